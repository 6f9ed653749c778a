#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Softmax, LogSoftmax and Hardmax: the dimensions over which a group of elements extends. Before opset 13 these are
/// all from `axis` (1 unless given) on, from then on `axis` alone (the last unless given).
struct SoftmaxView {
  Shape axes;

  /// kInvalidModel: an axis outside of the rank.
  static SoftmaxView of(const ir::Graph& graph, const ir::Node& node, int64_t rank);
};

Family softmax_family();

}  // namespace pli::ops
