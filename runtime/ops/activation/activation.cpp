#include "runtime/ops/activation/activation.h"

#include "runtime/compute/activation_functions.h"
#include "runtime/ops/elementwise.h"

#include <array>
#include <limits>

namespace pli::ops {

namespace {

using Kind = Activation::Kind;

using compute::kHeavyGrain;
using compute::kLightGrain;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// From this version on the bounds of Clip are inputs.
constexpr int64_t kClipByInputs = 11;

bool is_float32_or_half(DataType dtype) { return dtype == DataType::kFloat32 || is_half(dtype); }

/// A constant of one float32 or half; nothing when it is something else.
std::optional<float> constant_scalar(const ir::Graph& graph, ir::ValueId id) {
  const Tensor* tensor = graph.constant_of(id);
  if (!tensor || !is_float32_or_half(tensor->dtype()) || tensor->size() != 1) return std::nullopt;
  return static_cast<float>(to_doubles(*tensor)[0]);
}

/// body(functor) for the functor that the activation stands for.
template <class Body>
auto visit(const Activation& activation, const Body& body) {
  const auto [kind, alpha, beta] = activation;
  switch (kind) {
    case Kind::kRelu:
      return body(compute::ReluFunction{});
    case Kind::kLeakyRelu:
      return body(compute::LeakyReluFunction{alpha});
    case Kind::kClip:
      return body(compute::ClipFunction<float>{alpha, beta});
    case Kind::kSigmoid:
      return body(compute::SigmoidFunction{});
    case Kind::kTanh:
      return body(compute::TanhFunction{});
    case Kind::kElu:
      return body(compute::EluFunction{alpha});
    case Kind::kHardSigmoid:
      return body(compute::HardSigmoidFunction{alpha, beta});
    case Kind::kHardSwish:
      return body(compute::HardSwishFunction{});
    case Kind::kSwish:
      return body(compute::SwishFunction{alpha});
    case Kind::kGeluErf:
      return body(compute::GeluErfFunction{});
    case Kind::kGeluTanh:
      return body(compute::GeluTanhFunction{});
    case Kind::kLinear:
      return body(compute::LinearFunction{alpha, beta});
  }
  fail(ErrorCode::kInternal, "an activation of unknown kind {}", static_cast<int>(kind));
}

/// Clip with constant bounds; a missing bound is infinite.
std::optional<Activation> as_clip(const ir::Graph& graph, const ir::Node& node) {
  const bool by_inputs = graph.opset("") >= kClipByInputs;
  const auto bound = [&](size_t input, std::string_view attribute, float none) -> std::optional<float> {
    if (!by_inputs) return node.float_or(attribute, none);
    return node.input(input) ? constant_scalar(graph, node.input(input)) : none;
  };
  const auto low = bound(1, "min", -kInfinity);
  const auto high = bound(2, "max", kInfinity);
  if (!low || !high || !(*low <= *high)) return std::nullopt;
  if (*low == 0 && *high == kInfinity) return Activation{Kind::kRelu};
  return Activation{Kind::kClip, *low, *high};
}

/// The nodes that stand for several while a plan is compiled.
std::optional<Activation> joined(const ir::Node& node) {
  if (node.op_type == "Swish") return Activation{Kind::kSwish, 1};
  if (node.op_type == "HardSwish") return Activation{Kind::kHardSwish};
  if (node.op_type == "Gelu") return Activation{Kind::kGeluErf};
  return std::nullopt;
}

/// The nodes that an Activation describes by attributes alone, whatever their element type.
std::optional<Activation> by_attributes(const ir::Node& node) {
  if (node.domain == kInternalDomain) return joined(node);
  if (node.is("Relu")) return Activation{Kind::kRelu};
  if (node.is("LeakyRelu")) return Activation{Kind::kLeakyRelu, node.float_or("alpha", 0.01f)};
  if (node.is("Elu")) return Activation{Kind::kElu, node.float_or("alpha", 1.0f)};
  if (node.is("Sigmoid")) return Activation{Kind::kSigmoid};
  if (node.is("Tanh")) return Activation{Kind::kTanh};
  if (node.is("Swish")) return Activation{Kind::kSwish, node.float_or("alpha", 1.0f)};
  if (node.is("HardSwish")) return Activation{Kind::kHardSwish};
  if (node.is("HardSigmoid"))
    return Activation{Kind::kHardSigmoid, node.float_or("alpha", 0.2f), node.float_or("beta", 0.5f)};
  if (node.is("Gelu"))
    return Activation{node.string_or("approximate", "none") == "tanh" ? Kind::kGeluTanh : Kind::kGeluErf};
  return std::nullopt;
}

std::vector<ir::Type> infer_gelu(const InferContext& context) {
  const std::string approximate = context.node.string_or("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    fail(ErrorCode::kInvalidModel, "attribute approximate is \"{}\" where none or tanh is expected", approximate);
  return infer_unary(context);
}

std::vector<ir::Type> infer_clip(const InferContext& context) {
  context.check_inputs(1, context.opset >= kClipByInputs ? 3 : 1);
  context.check_outputs(1, 1);
  for (size_t i = 1; i < context.node.inputs.size(); ++i) {
    if (!context.has(i)) continue;
    const auto shape = context.type(i).shape();
    if (shape && checked_size(*shape) != 1)
      fail(ErrorCode::kInvalidModel, "bound {} has shape {} where a scalar is expected", i, to_string(*shape));
  }
  ir::Type type = context.type(0);
  type.dtype = common_dtype(context.graph, context.node);
  return {type};
}

/// x is stretched by nothing: the slope's dimensions are those of x or 1. Before version 7 a vector holds one slope a
/// channel.
int64_t slope_start(int64_t opset, int64_t rank, int64_t slope_rank) {
  if (opset < kNumpyBroadcasting && slope_rank == 1 && rank > 2) return 1;
  if (slope_rank > rank) fail(ErrorCode::kInvalidModel, "a slope of rank {} for an input of rank {}", slope_rank, rank);
  return rank - slope_rank;
}

std::vector<ir::Type> infer_prelu(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const ir::Type type = ir::Type::tensor(common_dtype(context.graph, context.node), context.type(0).dims);
  const auto& slope = context.type(1).dims;
  if (!type.dims || !slope) return {type};
  const auto start = static_cast<size_t>(slope_start(context.opset, type.rank(), context.type(1).rank()));
  for (size_t i = 0; i < slope->size(); ++i) {
    const ir::Dim& wanted = (*type.dims)[start + i];
    const ir::Dim& found = (*slope)[i];
    if (found.known() && found.value() != 1 && wanted.known() && found.value() != wanted.value())
      fail(ErrorCode::kInvalidModel, "a slope of {} elements for a dimension of {}", found.value(), wanted.value());
  }
  return {type};
}

std::unique_ptr<Kernel> prepare_activation(const PrepareContext& context) {
  const auto activation = by_attributes(context.node);
  if (!activation) fail(ErrorCode::kInternal, "no activation");
  const bool light = activation->kind == Kind::kRelu || activation->kind == Kind::kLeakyRelu ||
                     activation->kind == Kind::kHardSigmoid || activation->kind == Kind::kHardSwish;
  return dispatch(context.inputs[0].dtype, FloatTypes{}, [&]<class T>(std::type_identity<T>) {
    return visit(*activation, [&](const auto& f) {
      return loop_kernel<T, T>(context.outputs[0], context.inputs, f, light ? kLightGrain : kHeavyGrain);
    });
  });
}

/// For a functor that reads its parameters from the node.
template <auto kMake, int64_t kGrain>
std::unique_ptr<Kernel> prepare_function(const PrepareContext& context) {
  return dispatch(context.inputs[0].dtype, FloatTypes{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<T, T>(context.outputs[0], context.inputs, kMake(context), kGrain);
  });
}

compute::EluFunction make_selu(const PrepareContext& context) {
  const bool rounded = context.opset < 6;  // the first version gives fewer digits
  return {context.node.float_or("alpha", rounded ? 1.6732f : 1.67326319217681884765625f),
          context.node.float_or("gamma", rounded ? 1.0507f : 1.05070102214813232421875f), 1};
}
compute::EluFunction make_celu(const PrepareContext& context) {
  const float alpha = context.node.float_or("alpha", 1.0f);
  return {alpha, 1, alpha};
}
compute::ThresholdedReluFunction make_thresholded_relu(const PrepareContext& context) {
  return {context.node.float_or("alpha", 1.0f)};
}
compute::ShrinkFunction make_shrink(const PrepareContext& context) {
  return {context.node.float_or("bias", 0.0f), context.node.float_or("lambd", 0.5f)};
}

std::unique_ptr<Kernel> prepare_clip(const PrepareContext& context) {
  return dispatch(context.inputs[0].dtype, NumericTypes{}, [&]<class T>(std::type_identity<T>) {
    using Limit = std::numeric_limits<T>;
    compute::ClipFunction<T> bounds{Limit::has_infinity ? -Limit::infinity() : Limit::lowest(),
                                    Limit::has_infinity ? Limit::infinity() : Limit::max()};
    if (std::is_floating_point_v<T> && context.opset < kClipByInputs)
      bounds = {static_cast<T>(context.node.float_or("min", -kInfinity)),
                static_cast<T>(context.node.float_or("max", kInfinity))};
    return compute::make_kernel([walk = compute::Walk(context.outputs[0], std::span(context.inputs).first(1)), bounds,
                                 low = context.has(1), high = context.has(2)](const compute::RunArgs& args) {
      compute::ClipFunction<T> clip = bounds;
      if (low) clip.low = *args.input<T>(1);
      if (high) clip.high = *args.input<T>(2);
      walk.run(args.outputs[0], args.inputs, kLightGrain, compute::TileLoop::of<T, T>(clip));
    });
  });
}

using PReluTypes = TypeList<float, double, int32_t, int64_t, uint32_t, uint64_t>;

struct PReluFunction {
  template <class T>
  T operator()(T x, T slope) const {
    if constexpr (std::is_unsigned_v<T>)
      return x;
    else
      return x < T(0) ? wrapping(std::multiplies(), x, slope) : x;
  }
};

std::unique_ptr<Kernel> prepare_prelu(const PrepareContext& context) {
  TensorDesc slope = context.inputs[1];
  const int64_t start = slope_start(context.opset, context.inputs[0].rank(), slope.rank());
  slope.dims.resize(context.inputs[0].dims.size() - static_cast<size_t>(start), 1);
  slope.strides.resize(slope.dims.size(), 1);
  return dispatch(context.inputs[0].dtype, PReluTypes{}, [&]<class T>(std::type_identity<T>) {
    return loop_kernel<T, T, T>(context.outputs[0], std::array{context.inputs[0], slope}, PReluFunction{}, kLightGrain);
  });
}

constexpr Operator activation(std::string_view type, int64_t since, InferFn infer = infer_unary) {
  return {type, since, kNewestOpset, mask_of(FloatTypes{}), infer, prepare_activation, elementwise_layouts};
}

constexpr Operator joined_activation(std::string_view type) {
  Operator op = activation(type, 1);
  op.types = kF32;
  op.domain = kInternalDomain;
  return op;
}

template <auto kMake, int64_t kGrain>
constexpr Operator function(std::string_view type, int64_t since) {
  return {type,
          since,
          kNewestOpset,
          mask_of(FloatTypes{}),
          infer_unary,
          prepare_function<kMake, kGrain>,
          elementwise_layouts};
}

template <class F>
F make_plain(const PrepareContext&) {
  return F{};
}

constexpr std::array kOperators{
    activation("LeakyRelu", 1),
    activation("Elu", 1),
    activation("Sigmoid", 1),
    activation("HardSigmoid", 1),
    activation("HardSwish", 14),
    activation("Gelu", 20, infer_gelu),
    activation("Swish", 24),
    joined_activation("Swish"),
    joined_activation("HardSwish"),
    joined_activation("Gelu"),
    function<make_selu, kHeavyGrain>("Selu", 1),
    function<make_celu, kHeavyGrain>("Celu", 12),
    function<make_plain<compute::MishFunction>, kHeavyGrain>("Mish", 18),
    function<make_plain<compute::SoftplusFunction>, kHeavyGrain>("Softplus", 1),
    function<make_plain<compute::SoftsignFunction>, kLightGrain>("Softsign", 1),
    function<make_thresholded_relu, kLightGrain>("ThresholdedRelu", 10),
    function<make_shrink, kLightGrain>("Shrink", 9),
    Operator{"Relu", 1, kNewestOpset, mask_of(SignedTypes{}), infer_unary,
             prepare_unary<compute::ReluFunction, SignedTypes>, elementwise_layouts},
    Operator{"Clip", 1, kNewestOpset, mask_of(NumericTypes{}), infer_clip, prepare_clip, elementwise_layouts},
    Operator{"PRelu", 1, kNewestOpset, mask_of(PReluTypes{}), infer_prelu, prepare_prelu, elementwise_layouts},
};

}  // namespace

Family activation_family() { return kOperators; }

compute::TileLoop activation_loop(const Activation& activation) {
  return visit(activation, [](const auto& f) { return compute::TileLoop::of<float, float>(f); });
}

std::optional<Activation> as_activation(const ir::Graph& graph, const ir::Node& node) {
  if (!(node.is_onnx() || node.domain == kInternalDomain) || !node.input(0)) return std::nullopt;
  if (!is_float32_or_half(graph.type(node.input(0)).dtype)) return std::nullopt;
  if (node.is("Clip")) return as_clip(graph, node);
  if (node.is("PRelu")) {
    const auto slope = constant_scalar(graph, node.input(1));
    return slope ? std::optional(Activation{Kind::kLeakyRelu, *slope}) : std::nullopt;
  }
  return node.inputs.size() == 1 ? by_attributes(node) : std::nullopt;
}

}  // namespace pli::ops
