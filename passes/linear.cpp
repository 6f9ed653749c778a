#include "passes/linear.h"

#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

int64_t product(std::span<const int64_t> dims) { return *checked_size(dims); }

/// The shape of a constant operand; a refusal when it is not constant or not of a float type.
std::optional<Shape> constant_shape(const ir::Graph& graph, const ir::Node& node, ir::ValueId value,
                                    std::string_view what, Refusal& why) {
  const Tensor* tensor = graph.constant_of(value);
  if (!tensor) {
    why.freezing_helps = is_overridable(graph, value);
    return why.because(code::kNotConstant, "the {} \"{}\" of {} {}", what, graph.name(value), ir::describe(graph, node),
                       why_not_constant(graph, value));
  }
  if (!is_float(tensor->dtype()))
    return why.because(code::kDataType, "the {} of {} is {}", what, ir::describe(graph, node),
                       to_string(tensor->dtype()));
  return Shape(tensor->shape().begin(), tensor->shape().end());
}

/// Conv [filters, ...] and ConvTranspose [channels, filters / group, ...].
std::optional<LinearNode> read_convolution(const ir::Graph& graph, ir::NodeId id, Refusal& why) {
  const ir::Node& node = graph.node(id);
  const ops::ConvView view = ops::ConvView::of(graph, node);
  const auto shape = constant_shape(graph, node, view.weight, "weight", why);
  if (!shape) return std::nullopt;
  if (view.bias && !constant_shape(graph, node, view.bias, "bias", why)) return std::nullopt;
  LinearNode linear{.node = id, .result = node.outputs.at(0), .weight = view.weight, .bias = view.bias};
  const int64_t inner = product(std::span(*shape).subspan(2));
  if (view.transposed) {
    linear.how = "conv_transpose_absorbs_following";
    linear.map = {view.group, (*shape)[0] / view.group, (*shape)[1], inner};
  } else {
    linear.how = "conv_absorbs_following";
    linear.map = {1, 1, (*shape)[0], (*shape)[1] * inner};
  }
  return linear;
}

std::optional<LinearNode> read_gemm(const ir::Graph& graph, ir::NodeId id, Refusal& why) {
  const ir::Node& node = graph.node(id);
  const ops::GemmView view = ops::GemmView::of(graph, node);
  const auto shape = constant_shape(graph, node, view.b, "B", why);
  if (!shape) return std::nullopt;
  // beta 0 means that C is not looked at.
  const bool adds_c = view.c && view.beta != 0;
  if (adds_c && !constant_shape(graph, node, view.c, "C", why)) return std::nullopt;
  LinearNode linear{.node = id, .result = node.outputs.at(0), .how = "gemm_absorbs_following", .weight = view.b};
  if (adds_c) linear.bias = view.c;
  linear.bias_factor = static_cast<double>(view.beta);
  linear.map = view.trans_b ? ChannelMap{1, 1, (*shape)[0], (*shape)[1]} : ChannelMap{1, (*shape)[0], (*shape)[1], 1};
  return linear;
}

/// MatMul with a constant of rank 2 or more on the right: [..., K, N].
std::optional<LinearNode> read_matmul(const ir::Graph& graph, ir::NodeId id, Refusal& why) {
  const ir::Node& node = graph.node(id);
  const ir::ValueId weight = node.input(1);
  const auto shape = constant_shape(graph, node, weight, "second operand", why);
  if (!shape) return std::nullopt;
  const ir::ValueId result = node.outputs.at(0);
  if (shape->size() < 2 || !graph.type(result).has_rank())
    return why.because(code::kAxisUnproven, "the result of {} has no axis that is known to be that of its weight",
                       ir::describe(graph, node));
  LinearNode linear{.node = id, .result = result, .how = "matmul_absorbs_following", .weight = weight};
  linear.map = {1, product(std::span(*shape).first(shape->size() - 1)), shape->back(), 1};
  linear.axis = graph.type(result).rank() - 1;
  return linear;
}

std::optional<LinearNode> read_linear(const ir::Graph& graph, ir::NodeId id, Refusal& why) {
  const ir::Node& node = graph.node(id);
  if (node.is("Gemm")) return read_gemm(graph, id, why);
  if (node.is("MatMul")) return read_matmul(graph, id, why);
  return read_convolution(graph, id, why);
}

bool is_linear(const ir::Node& node) {
  return node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul");
}

/// The Add of a constant to what a MatMul makes, the last dimension of one being that of the other: before opset 7 the
/// constant may stand elsewhere.
std::optional<ConstantOperand> bias_of_matmul(const ir::Graph& graph, const ir::Node& node) {
  Refusal ignored;
  if (!node.is("Add")) return std::nullopt;
  auto operand = constant_operand(graph, node, ignored);
  if (!operand) return std::nullopt;
  const auto own = graph.constant_of(operand->constant)->shape();
  if (!std::ranges::equal(own, std::span(operand->shape).last(own.size()))) return std::nullopt;
  const ir::NodeId producer = graph.producer(operand->x);
  if (!producer || !graph.node(producer).is("MatMul")) return std::nullopt;
  return operand;
}

/// The value may be changed: nothing beside the graph's nodes refers to it.
bool may_change(const ir::Graph& graph, ir::ValueId value, Refusal& why) {
  if (!value || !graph.is_pinned(value)) return true;
  why.because(code::kPinned, "a quantization annotation or a training graph refers to \"{}\"", graph.name(value));
  return false;
}

/// Nothing but `user` may see the value: what it holds is going to change.
bool used_only_by(const ir::Graph& graph, ir::ValueId value, ir::NodeId user, Refusal& why) {
  const std::string maker = ir::describe(graph, graph.node(graph.producer(value)));
  if (graph.is_output(value)) {
    why.because(code::kGraphOutput, "the result \"{}\" of {} is an output of the model", graph.name(value), maker);
    return false;
  }
  for (const ir::Use& use : graph.uses(value)) {
    if (use.node == user && use == *graph.uses(value).begin()) continue;
    why.because(code::kOtherConsumer, "the result \"{}\" of {} is used by {} too", graph.name(value), maker,
                ir::describe(graph, graph.node(use.node)));
    return false;
  }
  return may_change(graph, value, why);
}

// clang-format off
constexpr std::array kNonlinear{
    "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Clip", "Sigmoid", "HardSigmoid",
    "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Mish", "Erf", "Softmax", "LRN", "InstanceNormalization",
    "MaxPool", "LpPool", "GlobalMaxPool"};
constexpr std::array kNotNonlinear{
    "BatchNormalization", "Dropout", "Identity", "Cast", "AveragePool", "GlobalAveragePool", "Pad", "Slice", "Resize",
    "Upsample", "DepthToSpace", "SpaceToDepth", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"};
// clang-format on

bool is_one_of(const ir::Node& node, std::span<const char* const> types) {
  return std::ranges::any_of(types, [&](const char* type) { return node.is(type); });
}

struct LinearBefore {
  ir::NodeId linear;       // none: there is none
  bool nonlinear = false;  // what stands between
};

/// The nearest linear node before `node`, along the one path of data through nodes that move it or work element by
/// element.
LinearBefore linear_before(const ir::Graph& graph, const ir::Node& node) {
  constexpr int kMostSteps = 16;
  LinearBefore result;
  const ir::Node* at = &node;
  for (int step = 0; step < kMostSteps; ++step) {
    const bool nonlinear = is_one_of(*at, kNonlinear);
    result.nonlinear = result.nonlinear || nonlinear;
    if ((!nonlinear && !is_one_of(*at, kNotNonlinear)) || !at->input(0)) return {};
    const ir::NodeId producer = graph.producer(at->input(0));
    if (!producer) return {};
    if (is_linear(graph.node(producer))) {
      result.linear = producer;
      return result;
    }
    at = &graph.node(producer);
  }
  return {};
}

/// The linear node that works on `value`, where it is the only user.
ir::NodeId linear_after(const ir::Graph& graph, ir::ValueId value) {
  if (!graph.has_single_use(value)) return {};
  const ir::Use& use = *graph.uses(value).begin();
  return use.index == 0 && is_linear(graph.node(use.node)) ? use.node : ir::NodeId{};
}

/// Why nothing before it takes up an affine node whose input comes from `value`.
std::nullopt_t not_linear(const ir::Graph& graph, ir::ValueId value, const AffineNode& affine, Refusal& why) {
  const ir::NodeId producer = graph.producer(value);
  const LinearBefore before = producer ? linear_before(graph, graph.node(producer)) : LinearBefore{};
  if (before.linear)
    return why.because(before.nonlinear ? code::kNonlinearBetween : code::kNodeBetween, "{} stands between {} and it{}",
                       ir::describe(graph, graph.node(producer)), ir::describe(graph, graph.node(before.linear)),
                       how_to_mend(graph.node(producer)));
  std::string origin = fmt::format("its input \"{}\" ", graph.name(value));
  if (producer)
    origin += "comes from " + ir::describe(graph, graph.node(producer)) + ", which has no weights to fold into" +
              how_to_mend(graph.node(producer));
  else
    origin += graph.constant_of(value) ? std::string("is constant") : why_not_constant(graph, value);
  if (const ir::NodeId after = linear_after(graph, affine.y))
    return why.because(code::kLinearFollows, "{}, and nothing is folded into what follows, here {}", origin,
                       ir::describe(graph, graph.node(after)));
  return why.because(code::kNoLinearNeighbour, "{}", origin);
}

/// Follows Transposes back from `value`; notes them, first the one nearest to the data, and the axis that `axis` comes
/// from.
ir::ValueId before_transposes(const ir::Graph& graph, ir::ValueId value, std::vector<ir::NodeId>& transposes,
                              int64_t& axis) {
  for (;;) {
    const ir::NodeId producer = graph.producer(value);
    if (!producer || !graph.node(producer).is("Transpose") || !graph.node(producer).input(0)) break;
    const Shape perm = graph.node(producer).ints_or("perm", {});
    const int64_t rank = perm.empty() ? graph.type(value).rank() : static_cast<int64_t>(perm.size());
    if (axis >= rank) break;
    if (axis >= 0) axis = perm.empty() ? rank - 1 - axis : perm[static_cast<size_t>(axis)];
    transposes.insert(transposes.begin(), producer);
    value = graph.node(producer).inputs[0];
  }
  return value;
}

}  // namespace

bool is_sound(const Context& context, ir::NodeId id, Refusal& why) {
  const auto broken = context.broken.find(id);
  if (broken == context.broken.end()) return true;
  why.because(code::kBrokenNode, "{} breaks the standard: {}", ir::describe(context.graph, context.graph.node(id)),
              broken->second);
  return false;
}

std::optional<LinearMatch> match_linear(const Context& context, const AffineNode& affine, Refusal& why) {
  const ir::Graph& graph = context.graph;
  LinearMatch match;
  int64_t axis = affine.affine.axis;
  const ir::ValueId source = before_transposes(graph, affine.x, match.transposes, axis);
  const ir::NodeId producer = graph.producer(source);
  if (!producer) return not_linear(graph, source, affine, why);
  const auto bias = bias_of_matmul(graph, graph.node(producer));
  if (!bias && !is_linear(graph.node(producer))) return not_linear(graph, source, affine, why);
  std::vector<ir::NodeId> changed = match.transposes;
  changed.push_back(producer);
  if (bias) changed.push_back(graph.producer(bias->x));
  for (const ir::NodeId id : changed)
    if (!is_sound(context, id, why)) return std::nullopt;

  ir::ValueId value = source;
  for (const ir::NodeId transpose : match.transposes) {
    if (!used_only_by(graph, value, transpose, why)) return std::nullopt;
    value = graph.node(transpose).outputs.at(0);
  }
  if (!used_only_by(graph, value, affine.node, why)) return std::nullopt;
  if (bias && !used_only_by(graph, bias->x, producer, why)) return std::nullopt;

  auto linear = read_linear(graph, bias ? graph.producer(bias->x) : producer, why);
  if (!linear) return std::nullopt;
  if (bias) {
    linear->bias_node = producer;
    linear->bias = bias->constant;
    linear->result = source;
    linear->how = "matmul_add_absorbs_following";
  }
  if (!may_change(graph, linear->weight, why) || !may_change(graph, linear->bias, why)) return std::nullopt;
  const std::string name = ir::describe(graph, graph.node(linear->node));
  if (!affine.uniform() && axis != linear->axis)
    return why.because(code::kAxisUnproven, "it works along axis {} of the result of {}, whose channels are axis {}",
                       axis, name, linear->axis);
  if (!affine.uniform() && static_cast<int64_t>(affine.affine.scale.size()) != linear->map.channels())
    return why.because(code::kSizeMismatch, "it has {} channels, {} gives {}", affine.affine.scale.size(), name,
                       linear->map.channels());
  match.linear = *linear;
  return match;
}

}  // namespace pli::passes
