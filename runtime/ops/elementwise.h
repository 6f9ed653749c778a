#pragma once

#include "runtime/compute/elementwise.h"
#include "runtime/core/checked.h"
#include "runtime/ops/operator.h"

#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <type_traits>

/// What the families of elementwise operators share: their table lines name a functor, a list of element types, and
/// these.
namespace pli::ops {

/// Element types as C++ types.
template <class... T>
struct TypeList {};
using FloatTypes = TypeList<float, double>;
using SignedTypes = TypeList<float, double, int8_t, int16_t, int32_t, int64_t>;
using UnsignedTypes = TypeList<uint8_t, uint16_t, uint32_t, uint64_t>;
using IntegerTypes = TypeList<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using NumericTypes = TypeList<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;

template <class... T>
constexpr DataTypes mask_of(TypeList<T...>) {
  return types({dtype_of<T>()...});
}

/// body(std::type_identity<T>) for the listed type that `dtype` names. kUnsupported when there is none.
template <class... T, class Body>
std::unique_ptr<Kernel> dispatch(DataType dtype, TypeList<T...>, const Body& body) {
  std::unique_ptr<Kernel> kernel;
  const bool found = ((dtype == dtype_of<T>() && ((kernel = body(std::type_identity<T>{})), true)) || ...);
  if (!found) fail(ErrorCode::kUnsupported, "elements of type {}", to_string(dtype));
  return kernel;
}

/// What an element is read and written as: bytes that a file fills are no `bool`.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

/// a op b; for integers in unsigned arithmetic, so that an overflow wraps around as in two's complement.
template <class T, class Op>
constexpr T wrapping(Op op, T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return op(a, b);
  else
    return static_cast<T>(op(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

/// output 0 = f(inputs...), stretched to the output's dimensions, on elements of Out and In....
template <class Out, class... In, class F>
std::unique_ptr<Kernel> loop_kernel(const TensorDesc& output, std::span<const TensorDesc> inputs, const F& f,
                                    int64_t grain) {
  return compute::make_elementwise(compute::Walk(output, inputs.first(sizeof...(In))),
                                   compute::TileLoop::of<Out, In...>(f), grain);
}

/// For a functor without parameters from T to T.
template <class F, class Types, int64_t kGrain = compute::kLightGrain>
std::unique_ptr<Kernel> prepare_unary(const PrepareContext& context) {
  return dispatch(context.inputs[0].dtype, Types{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<T, T>(context.outputs[0], context.inputs, F{}, kGrain);
  });
}

/// One input, one output of its type.
std::vector<ir::Type> infer_unary(const InferContext& context);

/// Where dimension 0 of the second operand of Add, Sub, And, ... stands among the `rank` dimensions of the first:
/// NumPy's rule, or before version 7 the attribute `axis`. Negative when the second has more dimensions. kInvalidModel
/// when the attribute leaves too few dimensions.
int64_t broadcast_start(int64_t opset, const ir::Node& node, int64_t rank, int64_t other_rank);

/// The shape of operand `index` of a node with two operands against the other one, which has `rank` dimensions: as
/// many, those that the operand does not have being 1. Nothing when it has more, or has to be the one with more.
std::optional<Shape> aligned_shape(int64_t opset, const ir::Node& node, size_t index, std::span<const int64_t> shape,
                                   int64_t rank);

/// Two operands of one element type that are broadcast; the result has that type.
std::vector<ir::Type> infer_binary(const InferContext& context);
/// The same with a result of bool.
std::vector<ir::Type> infer_comparison(const InferContext& context);

/// The two operands so that NumPy's rule stretches them as the node means it.
std::array<TensorDesc, 2> binary_operands(const PrepareContext& context);

/// For a functor without parameters from (T, T) to T.
template <class F, class Types>
std::unique_ptr<Kernel> prepare_binary(const PrepareContext& context) {
  return dispatch(context.inputs[0].dtype, Types{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<T, T, T>(context.outputs[0], binary_operands(context), F{}, compute::kLightGrain);
  });
}

}  // namespace pli::ops
