#pragma once

#include "runtime/core/small_vector.h"
#include "runtime/ir/graph.h"

namespace pli::ops {

/// How a kernel slides over the spatial dimensions of a tensor (N, C, spatial...): what Conv and the pools share. One
/// element of each list for each spatial dimension.
///
/// A window reads the positions start + tap * dilation for tap in [0, kernel), its start being output * stride -
/// pad_begin.
struct Window {
  enum class AutoPad { kNotSet, kSameUpper, kSameLower, kValid };

  PerAxis kernel;
  PerAxis strides;
  PerAxis dilations;
  PerAxis pads_begin;  // zero while auto_pad is a SAME form: they depend on the size
  PerAxis pads_end;
  AutoPad auto_pad = AutoPad::kNotSet;
  /// Of pools, without effect where auto_pad is a SAME form: a last window may reach beyond the padding, but starts in
  /// the tensor or in the padding before it. Not set by of().
  bool ceil_mode = false;

  /// Reads strides, dilations, pads and auto_pad of a node. Explicit pads beside another auto_pad are ignored.
  /// kInvalidModel: lists of another length than `kernel`; a kernel, stride or dilation below 1; a negative pad; sums
  /// that do not fit into 64 bits.
  static Window of(const ir::Node& node, PerAxis kernel);

  size_t rank() const { return kernel.size(); }

  /// Positions from the first to the last tap: (kernel - 1) * dilation + 1.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }

  /// The output's size for an input of this size; not known where it can't be told, but a symbol that stays the same is
  /// kept. kInvalidModel when no window fits into the padded input.
  ir::Dim output_dim(size_t axis, const ir::Dim& input) const;
  /// The same for all of them. kInvalidModel also when `spatial` has another length than the kernel.
  ir::Dims output_dims(const ir::Dims& spatial) const;

  /// The same window with the pads that auto_pad means for an input of these sizes, and auto_pad kNotSet.
  Window resolved(std::span<const int64_t> spatial) const;
};

}  // namespace pli::ops
