#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Transpose, Concat, Split, Slice, Expand, Tile: strides wherever strides can say it, else one copy a piece, in any
/// layout.
Family movement_family();

/// The permutation of a Transpose: output dimension i is dimension permutation[i] of the input. Reversed when it is not
/// given. kInvalidModel when it is no permutation of `rank` dimensions.
std::vector<int64_t> transpose_permutation(const ir::Node& node, int64_t rank);

/// The dimension along which a Concat of tensors of this rank joins. kInvalidModel when there is no such dimension.
int64_t concat_axis(const ir::Graph& graph, const ir::Node& node, int64_t rank);

/// What a Slice takes of one dimension: `count` elements from `start`, `step` apart (never 0; 1 where nothing or one is
/// taken).
struct SliceRange {
  int64_t start = 0;
  int64_t count = 0;
  int64_t step = 1;
};

/// Starts, ends, axes and steps of a Slice: attributes before opset 10, inputs since.
struct SliceView {
  std::vector<int64_t> starts, ends, axes, steps;  // equally long

  /// Nothing when an operand is only known at run time. kInvalidModel: lists of different lengths, a step of 0.
  static std::optional<SliceView> of(const ir::Graph& graph, const ir::Node& node);

  /// Of each dimension, clamped. kInvalidModel when an axis is outside of the rank or given twice.
  std::vector<SliceRange> ranges(std::span<const int64_t> dims) const;
};

}  // namespace pli::ops
