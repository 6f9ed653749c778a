#pragma once

#include "runtime/ops/operator.h"

#include <optional>
#include <type_traits>
#include <vector>

namespace pli::ops {

/// What the operators that move elements share: constant operands as integers, arithmetic on dimensions that may be
/// unknown, and the layout of their results.

/// The elements of a constant input; nothing when it is omitted or only known at run time. kInvalidModel when it is no
/// integer tensor or its rank is above 1.
std::optional<std::vector<int64_t>> constant_ints(const ir::Graph& graph, const ir::Node& node, size_t input);

/// Likewise, of one element.
std::optional<int64_t> constant_int(const ir::Graph& graph, const ir::Node& node, size_t input);

/// For preparing: `value` of input `input`. kUnsupported when it is only known at run time.
template <class T>
const T& need(const std::optional<T>& value, size_t input) {
  if (!value) fail(ErrorCode::kUnsupported, "the value of input {} is only known at run time", input);
  return *value;
}

/// The type of input i, whose element type, when known, must be int32 or int64 (what ONNX calls Tind). kInvalidModel
/// otherwise.
const ir::Type& index_type(const InferContext& context, size_t i);

/// kInvalidModel unless input i's rank, when known, is `rank`.
void check_rank(const InferContext& context, size_t i, int64_t rank);

/// Axes counted from the end when negative made positive. kInvalidModel when one is outside of the rank or stands there
/// twice.
std::vector<int64_t> normalize_axes(std::vector<int64_t> axes, int64_t rank);

/// Unknown where an operand is, but x + 0 and x * 1 stay x. kInvalidModel on overflow. The product of sizes that have
/// names is a symbol as well, such as "4*batch".
ir::Dim add(const ir::Dim& a, const ir::Dim& b);
ir::Dim multiply(const ir::Dim& a, const ir::Dim& b);
/// What gives `product` when it is multiplied by `factor`. Unknown where that can't be told.
ir::Dim divide_exactly(const ir::Dim& product, const ir::Dim& factor);

/// The smaller of a number and a size that has a name: a symbol such as "Min(512, length)".
ir::Dim minimum(int64_t number, const ir::Dim& size);
/// It is the smaller of this size and some number.
bool is_minimum_with(const ir::Dim& dim, const ir::Dim& size);

/// `rank` unknown dimensions. kInvalidModel when negative, kResourceLimit beyond the rank that the limits allow.
ir::Dims unknown_dims(const InferContext& context, int64_t rank);

/// As many dimensions as input i, a one-dimensional shape that is not constant, has elements, those known that are, and
/// negative ones not; nothing when their number is not known. kInvalidModel when it has another rank.
std::optional<ir::Dims> dims_of_shape(const InferContext& context, size_t i);

/// The type in which sums and products of T are made: integers modulo a power of two, whatever overflows.
template <class T>
using Modular = std::conditional_t<std::is_floating_point_v<T>, T, uint64_t>;

/// Channels are innermost, the spatial dimensions follow, outermost first: channels-last or a slice of it, and not
/// row-major too.
bool is_channels_innermost(const TensorDesc& desc);

/// Inputs as they come; outputs channels-last when they and the first image among the inputs whose layout tells (one
/// that is not row-major as well) are, else row-major. For kernels that take any strides.
Layouts follow_layouts(const PrepareContext& context);

}  // namespace pli::ops
