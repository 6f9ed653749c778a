#include "runtime/ops/arithmetic/unary.h"

#include "runtime/compute/vector_math.h"
#include "runtime/ops/elementwise.h"

#include <array>
#include <cmath>

namespace pli::ops {

namespace {

using compute::kHeavyGrain;
using compute::kLightGrain;

struct Abs {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::abs(x);
    else if constexpr (std::is_signed_v<T>)
      return x < 0 ? static_cast<T>(uint64_t{0} - static_cast<uint64_t>(x)) : x;
    else
      return x;
  }
};
/// The least integer is its own negative, as in two's complement.
struct Neg {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>)
      return -x;
    else
      return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(x));
  }
};
struct Sign {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_unsigned_v<T>)
      return x > 0 ? T(1) : T(0);
    else
      return x > 0 ? T(1) : x < 0 ? T(-1) : x;
  }
};
struct Reciprocal {
  template <class T>
  T operator()(T x) const {
    return T(1) / x;
  }
};
/// Halves go to the even neighbour.
struct Round {
  template <class T>
  T operator()(T x) const {
    return std::nearbyint(x);
  }
};

/// A functor from a function that takes float and double.
#define PLI_UNARY(Name, function) \
  struct Name {                   \
    template <class T>            \
    T operator()(T x) const {     \
      return function(x);         \
    }                             \
  }
PLI_UNARY(Ceil, std::ceil);
PLI_UNARY(Floor, std::floor);
PLI_UNARY(Sqrt, std::sqrt);
PLI_UNARY(Exp, compute::fast_exp);
PLI_UNARY(Log, compute::fast_log);
PLI_UNARY(Erf, compute::fast_erf);
PLI_UNARY(Tanh, compute::fast_tanh);
PLI_UNARY(Sin, std::sin);
PLI_UNARY(Cos, std::cos);
PLI_UNARY(Tan, std::tan);
PLI_UNARY(Asin, std::asin);
PLI_UNARY(Acos, std::acos);
PLI_UNARY(Atan, std::atan);
PLI_UNARY(Sinh, std::sinh);
PLI_UNARY(Cosh, std::cosh);
PLI_UNARY(Asinh, std::asinh);
PLI_UNARY(Acosh, std::acosh);
PLI_UNARY(Atanh, std::atanh);
#undef PLI_UNARY

struct Not {
  uint8_t operator()(uint8_t x) const { return x == 0 ? 1 : 0; }
};
struct BitwiseNot {
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(~x);
  }
};
struct IsNaN {
  template <class T>
  uint8_t operator()(T x) const {
    return x != x ? 1 : 0;
  }
};
struct IsInf {
  bool negative, positive;
  template <class T>
  uint8_t operator()(T x) const {
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    return static_cast<uint8_t>((x == kInfinity) & positive) | static_cast<uint8_t>((x == -kInfinity) & negative);
  }
};

std::vector<ir::Type> infer_predicate(const InferContext& context) {
  std::vector<ir::Type> types = infer_unary(context);
  types[0].dtype = DataType::kBool;
  return types;
}

std::unique_ptr<Kernel> prepare_not(const PrepareContext& context) {
  return loop_kernel<uint8_t, uint8_t>(context.outputs[0], context.inputs, Not{}, kLightGrain);
}

std::unique_ptr<Kernel> prepare_predicate(const PrepareContext& context, const auto& f) {
  return dispatch(context.inputs[0].dtype, FloatTypes{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<uint8_t, T>(context.outputs[0], context.inputs, f, kLightGrain);
  });
}

std::unique_ptr<Kernel> prepare_is_nan(const PrepareContext& context) { return prepare_predicate(context, IsNaN{}); }

std::unique_ptr<Kernel> prepare_is_inf(const PrepareContext& context) {
  const ir::Node& node = context.node;
  return prepare_predicate(context,
                           IsInf{node.int_or("detect_negative", 1) != 0, node.int_or("detect_positive", 1) != 0});
}

template <class F, class Types = FloatTypes, int64_t kGrain = kLightGrain>
constexpr Operator unary(std::string_view type, int64_t since) {
  return {
      type, since, kNewestOpset, mask_of(Types{}), infer_unary, prepare_unary<F, Types, kGrain>, elementwise_layouts};
}

template <class F>
constexpr Operator heavy(std::string_view type, int64_t since) {
  return unary<F, FloatTypes, kHeavyGrain>(type, since);
}

constexpr std::array kOperators{
    unary<Abs, NumericTypes>("Abs", 1),
    unary<Neg, SignedTypes>("Neg", 1),
    unary<Sign, NumericTypes>("Sign", 9),
    unary<Reciprocal>("Reciprocal", 1),
    unary<Ceil>("Ceil", 1),
    unary<Floor>("Floor", 1),
    unary<Round>("Round", 11),
    unary<Sqrt>("Sqrt", 1),
    heavy<Exp>("Exp", 1),
    heavy<Log>("Log", 1),
    heavy<Erf>("Erf", 9),
    heavy<Tanh>("Tanh", 1),
    heavy<Sin>("Sin", 7),
    heavy<Cos>("Cos", 7),
    heavy<Tan>("Tan", 7),
    heavy<Asin>("Asin", 7),
    heavy<Acos>("Acos", 7),
    heavy<Atan>("Atan", 7),
    heavy<Sinh>("Sinh", 9),
    heavy<Cosh>("Cosh", 9),
    heavy<Asinh>("Asinh", 9),
    heavy<Acosh>("Acosh", 9),
    heavy<Atanh>("Atanh", 9),
    unary<BitwiseNot, IntegerTypes>("BitwiseNot", 18),
    Operator{"Not", 1, kNewestOpset, kBools, infer_unary, prepare_not, elementwise_layouts},
    Operator{"IsNaN", 9, kNewestOpset, mask_of(FloatTypes{}), infer_predicate, prepare_is_nan, elementwise_layouts},
    Operator{"IsInf", 10, kNewestOpset, mask_of(FloatTypes{}), infer_predicate, prepare_is_inf, elementwise_layouts},
};

}  // namespace

Family unary_family() { return kOperators; }

}  // namespace pli::ops
