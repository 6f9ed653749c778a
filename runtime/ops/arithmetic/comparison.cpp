#include "runtime/ops/arithmetic/comparison.h"

#include "runtime/core/dispatch.h"
#include "runtime/ops/elementwise.h"

namespace pli::ops {

namespace {

using compute::kLightGrain;

/// A comparison of two elements as a byte.
template <class Compare>
struct Comparison {
  template <class T>
  uint8_t operator()(T a, T b) const {
    return Compare{}(a, b) ? 1 : 0;
  }
};

/// A function of two truth values, whose bytes are 0 or not 0.
template <class Function>
struct Logical {
  uint8_t operator()(uint8_t a, uint8_t b) const { return Function{}(a != 0, b != 0) ? 1 : 0; }
};

template <class Function>
struct Bitwise {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(Function{}(a, b));
  }
};

/// Right shifts repeat the sign. A shift by the width or more, or by a negative number of places, leaves nothing but
/// it.
template <bool kLeft>
struct BitShift {
  template <class T>
  T operator()(T value, T places) const {
    constexpr int kWidth = 8 * sizeof(T);
    if (std::cmp_less(places, 0) || std::cmp_greater_equal(places, kWidth))
      return static_cast<T>(!kLeft && std::cmp_less(value, 0) ? -1 : 0);
    return kLeft ? static_cast<T>(static_cast<uint64_t>(value) << places) : static_cast<T>(value >> places);
  }
};

struct Select {
  template <class T>
  T operator()(uint8_t condition, T yes, T no) const {
    return condition != 0 ? yes : no;
  }
};

template <class Function>
std::unique_ptr<Kernel> prepare_logical(const PrepareContext& context) {
  return loop_kernel<uint8_t, uint8_t, uint8_t>(context.outputs[0], binary_operands(context), Logical<Function>{},
                                                kLightGrain);
}

template <class Compare>
std::unique_ptr<Kernel> prepare_comparison(const PrepareContext& context) {
  const DataType dtype = context.inputs[0].dtype;
  if (dtype == DataType::kBool) return prepare_logical<Compare>(context);
  if constexpr (std::is_same_v<Compare, std::equal_to<>>)
    if (is_integer(dtype))
      return with_bits_type(dtype, [&]<class T>(T) {
        return loop_kernel<uint8_t, T, T>(context.outputs[0], binary_operands(context), Comparison<Compare>{},
                                          kLightGrain);
      });
  using Types = std::conditional_t<std::is_same_v<Compare, std::equal_to<>>, FloatTypes, NumericTypes>;
  return dispatch(dtype, Types{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<uint8_t, T, T>(context.outputs[0], binary_operands(context), Comparison<Compare>{}, kLightGrain);
  });
}

template <class Function>
std::unique_ptr<Kernel> prepare_bitwise(const PrepareContext& context) {
  return with_bits_type(context.inputs[0].dtype, [&]<class T>(T) {
    return loop_kernel<T, T, T>(context.outputs[0], binary_operands(context), Bitwise<Function>{}, kLightGrain);
  });
}

/// Whether the shift is to the left.
bool shifts_left(const ir::Node& node) {
  const std::string direction = node.string_or("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    fail(ErrorCode::kInvalidModel, "attribute direction is \"{}\" where LEFT or RIGHT is expected", direction);
  return direction == "LEFT";
}

std::vector<ir::Type> infer_shift(const InferContext& context) {
  shifts_left(context.node);
  return infer_binary(context);
}

std::unique_ptr<Kernel> prepare_shift(const PrepareContext& context) {
  if (shifts_left(context.node)) return prepare_binary<BitShift<true>, IntegerTypes>(context);
  return prepare_binary<BitShift<false>, IntegerTypes>(context);
}

std::vector<ir::Type> infer_where(const InferContext& context) {
  context.check_inputs(3, 3);
  context.check_outputs(1, 1);
  const ir::Type& condition = context.type(0);
  const ir::Type& yes = context.type(1);
  const ir::Type& no = context.type(2);
  if (condition.dtype != DataType::kBool && condition.dtype != DataType::kUndefined)
    fail(ErrorCode::kInvalidModel, "the condition is {} where bool is expected", to_string(condition.dtype));
  if (yes.dtype != no.dtype && yes.dtype != DataType::kUndefined && no.dtype != DataType::kUndefined)
    fail(ErrorCode::kInvalidModel, "a choice between {} and {}", to_string(yes.dtype), to_string(no.dtype));
  return {ir::Type::tensor(yes.dtype == DataType::kUndefined ? no.dtype : yes.dtype,
                           broadcast(condition.dims, broadcast(yes.dims, no.dims)))};
}

std::unique_ptr<Kernel> prepare_where(const PrepareContext& context) {
  return with_bits_type(context.outputs[0].dtype, [&]<class T>(T) {
    return loop_kernel<T, uint8_t, T, T>(context.outputs[0], context.inputs, Select{}, kLightGrain);
  });
}

template <class Compare>
constexpr Operator comparison(std::string_view type, int64_t since, DataTypes types) {
  return {type, since, kNewestOpset, types, infer_comparison, prepare_comparison<Compare>, elementwise_layouts};
}

template <class Function>
constexpr Operator logical(std::string_view type) {
  return {type, 1, kNewestOpset, kBools, infer_binary, prepare_logical<Function>, elementwise_layouts};
}

template <class Function>
constexpr Operator bitwise(std::string_view type) {
  return {
      type, 18, kNewestOpset, mask_of(IntegerTypes{}), infer_binary, prepare_bitwise<Function>, elementwise_layouts};
}

constexpr DataTypes kNumeric = mask_of(NumericTypes{});

constexpr std::array kOperators{
    comparison<std::equal_to<>>("Equal", 1, kNumeric | kBools),
    comparison<std::less<>>("Less", 1, kNumeric),
    comparison<std::greater<>>("Greater", 1, kNumeric),
    comparison<std::less_equal<>>("LessOrEqual", 12, kNumeric),
    comparison<std::greater_equal<>>("GreaterOrEqual", 12, kNumeric),
    logical<std::logical_and<>>("And"),
    logical<std::logical_or<>>("Or"),
    logical<std::not_equal_to<>>("Xor"),
    bitwise<std::bit_and<>>("BitwiseAnd"),
    bitwise<std::bit_or<>>("BitwiseOr"),
    bitwise<std::bit_xor<>>("BitwiseXor"),
    Operator{"BitShift", 11, 27, mask_of(UnsignedTypes{}), infer_shift, prepare_shift, elementwise_layouts},
    Operator{"BitShift", 28, kNewestOpset, mask_of(IntegerTypes{}), infer_shift, prepare_shift, elementwise_layouts},
    Operator{"Where", 9, kNewestOpset, kBools, infer_where, prepare_where, elementwise_layouts},
};

}  // namespace

Family comparison_family() { return kOperators; }

}  // namespace pli::ops
