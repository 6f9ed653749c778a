#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// ReduceSum, ReduceMean, ...: which dimensions they reduce, whether an attribute or an input says so.
struct ReduceView {
  /// The axes, normalised and ascending; nothing while the input that holds them, or the rank, is not known.
  std::optional<Shape> axes;
  bool keepdims = true;

  /// kInvalidModel: an axis outside of the rank, or twice; axes of another type than a list of int64.
  static ReduceView of(const ir::Graph& graph, const ir::Node& node, int64_t rank);
};

Family reduction_family();

}  // namespace pli::ops
