#include "runtime/ops/arithmetic/binary.h"

#include "runtime/compute/copy.h"
#include "runtime/ops/activation/activation.h"
#include "runtime/ops/arithmetic/cast.h"
#include "runtime/ops/elementwise.h"

#include <algorithm>
#include <cmath>

namespace pli::ops {

namespace {

using compute::kHeavyGrain;
using compute::kLightGrain;
using compute::TileLoop;

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return wrapping(std::plus(), a, b);
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return wrapping(std::minus(), a, b);
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return wrapping(std::multiplies(), a, b);
  }
};
/// Integers are truncated; x / 0 = 0.
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a / b;
    else if constexpr (std::is_unsigned_v<T>)
      return b == 0 ? T(0) : static_cast<T>(a / b);
    else
      return b == 0 ? T(0) : b == -1 ? wrapping(std::minus(), T(0), a) : static_cast<T>(a / b);
  }
};
/// The remainder with the sign of the dividend; of a division by the integer 0 it is 0.
struct Fmod {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fmod(a, b);
    else if constexpr (std::is_unsigned_v<T>)
      return b == 0 ? T(0) : static_cast<T>(a % b);
    else
      return b == 0 || b == -1 ? T(0) : static_cast<T>(a % b);
  }
};
/// The remainder with the sign of the divisor, zeros included.
struct Mod {
  template <class T>
  T operator()(T a, T b) const {
    const T rest = Fmod{}(a, b);
    if constexpr (std::is_floating_point_v<T>)
      if (rest == 0) return std::copysign(rest, b);
    return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  }
};
/// NaN where either is.
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return ((a > b) | (a != a)) ? a : b;
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return ((a < b) | (a != a)) ? a : b;
  }
};
/// The last step of a mean.
struct AddDivide {
  int64_t count;
  template <class T>
  T operator()(T a, T b) const {
    return (a + b) / static_cast<T>(count);
  }
};

/// f, and the activation that most often follows a sum: x < 0 ? slope x : x, then held between low and high.
template <class F>
struct ThenPiecewiseLinear {
  float slope, low, high;
  float operator()(float a, float b) const {
    const float x = F{}(a, b);
    const float bent = x < 0.0f ? slope * x : x;
    const float raised = bent < low ? low : bent;
    return raised > high ? high : raised;
  }
};

template <class F>
std::optional<ThenPiecewiseLinear<F>> then(const Activation& activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (activation.kind) {
    case Activation::Kind::kRelu:
      return {{1, 0, kInfinity}};
    case Activation::Kind::kClip:
      return {{1, activation.alpha, activation.beta}};
    case Activation::Kind::kLeakyRelu:
      return {{activation.alpha, -kInfinity, kInfinity}};
    default:
      return std::nullopt;
  }
}

/// The loop, then what follows it while its results are in the cache.
std::unique_ptr<Kernel> fused_kernel(const PrepareContext& context, const TileLoop& loop,
                                     std::span<const Epilogue> epilogues) {
  std::vector<TileLoop> after;
  for (const Epilogue& epilogue : epilogues) {
    if (epilogue.kind != Epilogue::Kind::kActivation) fail(ErrorCode::kInternal, "an epilogue that is no activation");
    after.push_back(activation_loop(epilogue.activation));
  }
  const int64_t grain = after.empty() ? kLightGrain : kHeavyGrain;
  return compute::make_elementwise(compute::Walk(context.outputs[0], binary_operands(context)), loop, grain,
                                   std::move(after));
}

template <class F>
std::unique_ptr<Kernel> prepare_arithmetic(const PrepareContext& context) {
  if (context.epilogues.empty()) return prepare_binary<F, NumericTypes>(context);
  if (context.inputs[0].dtype != DataType::kFloat32)
    fail(ErrorCode::kInternal, "an epilogue on {}", to_string(context.inputs[0].dtype));
  const std::span<const Epilogue> epilogues = context.epilogues;
  const Epilogue& first = epilogues.front();
  const auto both = first.kind == Epilogue::Kind::kActivation ? then<F>(first.activation) : std::nullopt;
  if (both) return fused_kernel(context, TileLoop::of<float, float, float>(*both), epilogues.subspan(1));
  return fused_kernel(context, TileLoop::of<float, float, float>(F{}), epilogues);
}

/// From this version on floats have a remainder with the sign of the divisor as well.
constexpr int64_t kFloorModOfFloats = 28;

std::vector<ir::Type> infer_mod(const InferContext& context) {
  std::vector<ir::Type> types = infer_binary(context);
  if (context.opset < kFloorModOfFloats && is_float(types[0].dtype) && context.node.int_or("fmod", 0) == 0)
    fail(ErrorCode::kInvalidModel, "attribute fmod has to be 1 for {}", to_string(types[0].dtype));
  return types;
}

std::unique_ptr<Kernel> prepare_mod(const PrepareContext& context) {
  if (context.node.int_or("fmod", 0) != 0) return prepare_binary<Fmod, NumericTypes>(context);
  return prepare_binary<Mod, NumericTypes>(context);
}

// --- Pow -------------------------------------------------------------------------------------------------------------

using PowTypes = TypeList<float, double, int32_t, int64_t>;

/// Integers to the power of a whole number wrap around; to a negative one they are truncated like any quotient, and 0
/// is 0.
struct Pow {
  template <std::floating_point T>
  T operator()(T base, T exponent) const {
    return std::pow(base, exponent);
  }
  float operator()(float base, double exponent) const { return static_cast<float>(std::pow(double{base}, exponent)); }
  template <std::integral T>
  T operator()(T base, int64_t exponent) const {
    if (exponent < 0) return base == 1 || (base == -1 && exponent % 2 == 0) ? T(1) : base == -1 ? T(-1) : T(0);
    uint64_t result = 1;
    for (auto square = static_cast<uint64_t>(base); exponent > 0; exponent /= 2, square *= square)
      if (exponent % 2 != 0) result *= square;
    return static_cast<T>(result);
  }
  template <std::integral T>
  T operator()(T base, double exponent) const {
    return saturate<T>(std::pow(static_cast<double>(base), exponent));
  }
};

/// Squares and square roots are what a constant exponent mostly stands for.
struct Square {
  float operator()(float x) const { return x * x; }
};
struct SquareRoot {
  float operator()(float x) const { return x == -std::numeric_limits<float>::infinity() ? -x : std::sqrt(x) + 0.0f; }
};

/// Exponents of another type than the bases' are converted first: whole numbers for an integer base, else to double.
struct PowKernel final : Kernel {
  void run(const compute::RunArgs& args) const override {
    const std::array<void*, 1> exponents{args.scratch};
    convert->run({args.inputs.subspan(1, 1), exponents, nullptr, nullptr});
    const std::array<const void*, 2> operands{args.inputs[0], args.scratch};
    power->run({operands, args.outputs, nullptr, nullptr});
  }
  size_t scratch_bytes() const override { return bytes; }

  std::unique_ptr<Kernel> convert, power;
  size_t bytes = 0;
};

std::unique_ptr<Kernel> prepare_converted_pow(const PrepareContext& context) {
  auto operands = binary_operands(context);
  const bool whole = is_integer(operands[0].dtype) && is_integer(operands[1].dtype);
  const TensorDesc from = operands[1];
  const TensorDesc to = compute::laid_out_like(whole ? DataType::kInt64 : DataType::kFloat64, from.dims, from);
  operands[1] = to;
  auto kernel = std::make_unique<PowKernel>();
  kernel->bytes = static_cast<size_t>(compute::span_bytes(to));
  kernel->convert = make_cast(from, to);
  kernel->power = dispatch(operands[0].dtype, PowTypes{}, [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>)
      if (whole) return loop_kernel<T, T, int64_t>(context.outputs[0], operands, Pow{}, kHeavyGrain);
    return loop_kernel<T, T, double>(context.outputs[0], operands, Pow{}, kHeavyGrain);
  });
  return kernel;
}

std::unique_ptr<Kernel> prepare_pow(const PrepareContext& context) {
  const auto operands = binary_operands(context);
  if (operands[0].dtype == DataType::kFloat32 && operands[1].dtype == DataType::kFloat32) {
    const Tensor* exponent = context.constant(1);
    const float one = exponent && exponent->size() == 1 ? static_cast<float>(to_doubles(*exponent)[0]) : 0;
    if (one == 2.0f) return loop_kernel<float, float>(context.outputs[0], operands, Square{}, kLightGrain);
    if (one == 0.5f) return loop_kernel<float, float>(context.outputs[0], operands, SquareRoot{}, kLightGrain);
    return loop_kernel<float, float, float>(context.outputs[0], operands, Pow{}, kHeavyGrain);
  }
  return prepare_converted_pow(context);
}

std::vector<ir::Type> infer_pow(const InferContext& context) {
  if (context.opset < 12) return infer_binary(context);
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  return {ir::Type::tensor(context.type(0).dtype, broadcast(context.type(0).dims, context.type(1).dims))};
}

// --- any number of operands ------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_variadic(const InferContext& context) {
  context.check_inputs(std::max<size_t>(context.node.inputs.size(), 1), std::numeric_limits<size_t>::max());
  context.check_outputs(1, 1);
  std::optional<ir::Dims> dims = context.type(0).dims;
  for (size_t i = 1; i < context.node.inputs.size(); ++i) dims = broadcast(dims, context.type(i).dims);
  return {ir::Type::tensor(common_dtype(context.graph, context.node), dims)};
}

/// f of the first two operands, then of that and each of the others in turn.
struct FoldKernel final : Kernel {
  void run(const compute::RunArgs& args) const override {
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::array<const void*, 2> operands{i == 0 ? args.inputs[0] : args.outputs[0], args.inputs[i + 1]};
      steps[i]->run({operands, args.outputs, nullptr, nullptr});
    }
  }

  std::vector<std::unique_ptr<Kernel>> steps;
};

template <class Types, class F, class Last>
std::unique_ptr<Kernel> prepare_fold(const PrepareContext& context, const F& f, const Last& last) {
  const std::vector<TensorDesc>& inputs = context.inputs;
  const TensorDesc& output = context.outputs[0];
  if (inputs.size() == 1) return compute::make_copy(inputs[0], output);
  return dispatch(inputs[0].dtype, Types{}, [&]<class T>(std::type_identity<T>) {
    auto kernel = std::make_unique<FoldKernel>();
    for (size_t i = 1; i < inputs.size(); ++i) {
      const std::array operands{i == 1 ? inputs[0] : output, inputs[i]};
      kernel->steps.push_back(i + 1 == inputs.size() ? loop_kernel<T, T, T>(output, operands, last, kLightGrain)
                                                     : loop_kernel<T, T, T>(output, operands, f, kLightGrain));
    }
    return kernel;
  });
}

template <class F, class Types>
std::unique_ptr<Kernel> prepare_variadic(const PrepareContext& context) {
  return prepare_fold<Types>(context, F{}, F{});
}

std::unique_ptr<Kernel> prepare_mean(const PrepareContext& context) {
  return prepare_fold<FloatTypes>(context, Add{}, AddDivide{static_cast<int64_t>(context.inputs.size())});
}

/// Of one operand it is that operand.
std::optional<std::vector<View>> view_variadic(const PrepareContext& context) {
  if (context.inputs.size() != 1) return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

template <class F>
constexpr Operator arithmetic(std::string_view type) {
  return {
      type,    1, kNewestOpset,    mask_of(NumericTypes{}), infer_binary, prepare_arithmetic<F>, elementwise_layouts,
      nullptr, 0, kTakesActivation};
}

template <class Types>
constexpr Operator variadic(std::string_view type, PrepareFn prepare) {
  return {type, 1, kNewestOpset, mask_of(Types{}), infer_variadic, prepare, elementwise_layouts, view_variadic};
}

constexpr std::array kOperators{
    arithmetic<Add>("Add"),
    arithmetic<Sub>("Sub"),
    arithmetic<Mul>("Mul"),
    arithmetic<Div>("Div"),
    Operator{"Mod", 10, kNewestOpset, mask_of(NumericTypes{}), infer_mod, prepare_mod, elementwise_layouts},
    Operator{"Pow", 1, kNewestOpset, mask_of(PowTypes{}), infer_pow, prepare_pow, elementwise_layouts},
    variadic<NumericTypes>("Max", prepare_variadic<Max, NumericTypes>),
    variadic<NumericTypes>("Min", prepare_variadic<Min, NumericTypes>),
    variadic<FloatTypes>("Sum", prepare_variadic<Add, FloatTypes>),
    variadic<FloatTypes>("Mean", prepare_mean),
};

}  // namespace

Family binary_family() { return kOperators; }

}  // namespace pli::ops
