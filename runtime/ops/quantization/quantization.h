#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// QuantizeLinear and DequantizeLinear between floats and integers of 8 to 32 bits: by tensor, by a position along an
/// axis, or by blocks of such positions that divide it.
Family quantization_family();

/// The operands of a QuantizeLinear or DequantizeLinear.
struct QuantizationView {
  ir::ValueId x, scale, zero_point;  // no zero_point: 0
  int64_t axis = 1;                  // as the attribute has it; negative from the end
  int64_t block_size = 0;            // 0: not by blocks

  static QuantizationView of(const ir::Graph& graph, const ir::Node& node);

  /// The dimensions under which the scale is stretched to x of these; nothing when it is by blocks. Scalars, and single
  /// elements of a list, are by tensor. kInvalidModel when they do not fit.
  std::optional<Shape> stretched(std::span<const int64_t> x_dims, std::span<const int64_t> scale_dims) const;
};

/// From this version on the scale may differ along an axis.
inline constexpr int64_t kQuantizedByAxis = 13;

}  // namespace pli::ops
