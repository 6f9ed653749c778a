#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Pad, in any layout; channels-last stays channels-last.
Family pad_family();

/// What a Pad puts before and behind each dimension; negative: takes away. Pads are an attribute before opset 11, an
/// input since; from 18 on they may be given for some axes only.
struct PadView {
  enum class Mode {
    kConstant,
    kReflect,  // mirrored at the first and last element, which are not repeated
    kEdge,     // the first and last element repeated
    kWrap,     // periodic
  };
  Mode mode = Mode::kConstant;
  Shape begin, end;

  /// For an input of this rank. Nothing when the pads are only known at run time. kInvalidModel: a mode that there is
  /// not, pads that do not fit the rank, axes outside of it or given twice.
  static std::optional<PadView> of(const ir::Graph& graph, const ir::Node& node, int64_t rank);

  /// The number around a tensor of a float type in constant mode: an attribute before opset 11, an input since, 0 where
  /// it is omitted. Nothing when it is only known at run time, or no single number of a float type.
  static std::optional<double> number(const ir::Graph& graph, const ir::Node& node);
};

}  // namespace pli::ops
