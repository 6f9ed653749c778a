#include "passes/affine/obstacles.h"

#include "passes/affine/affine_node.h"
#include "passes/affine/carry.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pli::passes {

namespace {

bool is_nonlinear(const ir::Node& node) {
  // clang-format off
  constexpr std::array kNonlinear{
      "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Clip", "Sigmoid", "HardSigmoid",
      "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Mish", "Erf", "Softmax", "LRN", "InstanceNormalization",
      "MaxPool", "LpPool", "GlobalMaxPool"};
  // clang-format on
  return std::ranges::any_of(kNonlinear, [&](const char* type) { return node.is(type); });
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
    const bool nonlinear = is_nonlinear(*at);
    const bool one_path =
        at->is("BatchNormalization") || (may_carry(*at) && !at->is("Add") && !at->is("Sub") && !at->is("Concat"));
    result.nonlinear = result.nonlinear || nonlinear;
    if ((!nonlinear && !one_path) || !at->input(0)) return {};
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

}  // namespace

bool is_sound(const Context& context, ir::NodeId id, Refusal& why) {
  const auto broken = context.broken.find(id);
  if (broken == context.broken.end()) return true;
  why.because(code::kBrokenNode, "{} breaks the standard: {}", ir::describe(context.graph, context.graph.node(id)),
              broken->second);
  return false;
}

bool used_only_by(const ir::Graph& graph, ir::ValueId value, ir::NodeId user, Refusal& why) {
  const auto refuse = [&](std::string_view code, const std::string& reason) {
    why.because(code, "{}", reason);
    return false;
  };
  const std::string result =
      fmt::format("the result \"{}\" of {}", graph.name(value), ir::describe(graph, graph.node(graph.producer(value))));
  if (graph.is_output(value)) return refuse(code::kGraphOutput, result + " is an output of the model");
  bool met = false;
  for (const ir::Use& use : graph.uses(value)) {
    if (reads_only_type(graph, use)) continue;
    if (use.node == user && !std::exchange(met, true)) continue;
    return refuse(code::kOtherConsumer,
                  fmt::format("{} is used by {} too", result, ir::describe(graph, graph.node(use.node))));
  }
  if (!graph.is_pinned(value)) return true;
  return refuse(code::kPinned,
                fmt::format("a quantization annotation or a training graph refers to \"{}\"", graph.name(value)));
}

bool reads_only_type(const ir::Graph& graph, ir::Use use) {
  const ops::Operator* op = use.index < 0 ? nullptr : ops::find_operator(graph, graph.node(use.node));
  return op && op->reads_only_type(static_cast<size_t>(use.index));
}

bool is_linear(const ir::Node& node) {
  return node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul");
}

void stands_before(const ir::Graph& graph, ir::Use use, ir::NodeId seed, const std::string& condition, Refusal& why) {
  const ir::Node& user = graph.node(use.node);
  const ir::ValueId value = user.inputs[static_cast<size_t>(use.index)];
  const ir::NodeId producer = graph.producer(value);
  const std::string operand = use.node == seed
                                  ? fmt::format("its input \"{}\"", graph.name(value))
                                  : fmt::format("the input \"{}\" of {}", graph.name(value), ir::describe(graph, user));
  if (!producer) {
    why.because(code::kNoLinearNeighbour, "{} {}", operand,
                graph.constant_of(value) ? "is constant" : why_not_constant(graph, value));
    return;
  }
  const ir::Node& node = graph.node(producer);
  const std::string because = (condition.empty() ? "" : ": " + condition) + how_to_mend(node);
  const LinearBefore before = linear_before(graph, node);
  if (before.linear)
    why.because(before.nonlinear ? code::kNonlinearBetween : code::kNodeBetween, "{} stands between {} and it{}",
                ir::describe(graph, node), ir::describe(graph, graph.node(before.linear)), because);
  else
    why.because(code::kNoLinearNeighbour, "{} comes from {}, which has no weights to fold into{}", operand,
                ir::describe(graph, node), because);
}

}  // namespace pli::passes
