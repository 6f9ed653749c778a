#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <cmath>

namespace pli::passes {

namespace {

constexpr int64_t kHardSwish = 14;     // the version that it came with
constexpr int64_t kClipByInputs = 11;  // before, its bounds are attributes
constexpr double kTolerance = 1e-6;    // that a float, or its seven decimal digits, are rounded by

/// The number that a constant of one element puts to each element of `beside`, without making that larger.
std::optional<double> number(const ir::Graph& graph, ir::ValueId constant, ir::ValueId beside) {
  const Tensor* tensor = graph.constant_of(constant);
  if (!tensor || !beside || !is_float(tensor->dtype()) || tensor->size() != 1) return std::nullopt;
  const auto rank = static_cast<int64_t>(tensor->shape().size());
  return rank <= std::max(graph.type(beside).rank(), int64_t{0}) ? std::optional(to_doubles(*tensor)[0]) : std::nullopt;
}

/// What makes this value and may go with it. Null where there is no such node.
const ir::Node* only_maker(const Context& context, ir::ValueId value) {
  const ir::NodeId maker = context.only_maker(value);
  return maker ? &context.graph.node(maker) : nullptr;
}

/// x op number, for one operand that is no constant; of Sub and Div it is the first.
struct Arithmetic {
  ir::ValueId x;
  double number;
};

std::optional<Arithmetic> read(const ir::Graph& graph, const ir::Node& node, bool commutes) {
  if (node.inputs.size() != 2) return std::nullopt;
  for (const size_t side : {1, 0}) {
    const ir::ValueId x = node.inputs[1 - side];
    if (const auto found = number(graph, node.inputs[side], x); found && !graph.constant_of(x))
      return Arithmetic{x, *found};
    if (!commutes) break;
  }
  return std::nullopt;
}

/// min(max(x, low), high), as Clip, Relu, Max or Min.
struct Bounded {
  ir::ValueId x;
  double low = -INFINITY, high = INFINITY;
};

std::optional<Bounded> read_bounds(const ir::Graph& graph, const ir::Node& node) {
  if (node.is("Relu")) return Bounded{node.inputs[0], 0};
  if (node.is("Max") || node.is("Min")) {
    const auto bound = read(graph, node, true);
    if (!bound) return std::nullopt;
    return node.is("Max") ? Bounded{bound->x, bound->number} : Bounded{bound->x, -INFINITY, bound->number};
  }
  if (!node.is("Clip")) return std::nullopt;
  Bounded result{node.inputs[0]};
  if (graph.opset("") < kClipByInputs) {
    result.low = static_cast<double>(node.float_or("min", -INFINITY));
    result.high = static_cast<double>(node.float_or("max", INFINITY));
    return result;
  }
  for (const size_t input : {1, 2}) {
    if (!node.input(input)) continue;
    const Tensor* bound = graph.constant_of(node.inputs[input]);
    if (!bound || bound->size() != 1) return std::nullopt;
    (input == 1 ? result.low : result.high) = to_doubles(*bound)[0];
  }
  return result;
}

/// min(max(x + shift, 0), high)
struct Ramp {
  ir::ValueId x;
  DataType dtype;
  double high = 0, shift = 0;
};

std::optional<Ramp> read_ramp(const Context& context, ir::ValueId value) {
  const ir::Graph& graph = context.graph;
  const DataType dtype = graph.type(value).dtype;
  if (dtype != DataType::kFloat32 && dtype != DataType::kFloat16) return std::nullopt;  // other runtimes know no others
  Bounded all{value};
  const ir::Node* node = only_maker(context, value);
  while (const auto bounds = node ? read_bounds(graph, *node) : std::nullopt) {
    all = {bounds->x, std::max(all.low, bounds->low), std::min(all.high, bounds->high)};
    if (!(bounds->low <= bounds->high && all.low <= all.high)) return std::nullopt;
    node = only_maker(context, all.x);
  }
  if (all.low != 0 || !(all.high > 0) || !std::isfinite(all.high)) return std::nullopt;
  Ramp ramp{all.x, dtype, all.high};
  if (!node || !(node->is("Add") || node->is("Sub"))) return ramp;
  if (const auto sum = read(graph, *node, node->is("Add"))) {
    ramp.x = sum->x;
    ramp.shift = node->is("Add") ? sum->number : -sum->number;
  }
  return ramp;
}

/// The number is 1 / high, as well as its type holds that.
bool is_inverse(double number, double high, DataType dtype) {
  const double held = to_doubles(from_doubles(dtype, {}, std::vector{1 / high}))[0];
  return number == held || std::fabs(number * high - 1) <= kTolerance;
}

ir::NodeSpec hard_sigmoid(const Ramp& ramp, std::string name) {
  return {.op_type = "HardSigmoid",
          .name = std::move(name),
          .inputs = {ramp.x},
          .attributes = {{"alpha", static_cast<float>(1 / ramp.high), {}},
                         {"beta", static_cast<float>(ramp.shift / ramp.high), {}}}};
}

/// Ramp / high   =>   HardSigmoid; gate * Ramp / high   =>   gate * HardSigmoid
bool make_hard_sigmoid(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  const auto scaled = read(graph, node, node.is("Mul"));
  if (!scaled) return false;
  const auto fits = [&](const std::optional<Ramp>& ramp) {
    return ramp && is_inverse(node.is("Mul") ? scaled->number : 1 / scaled->number, ramp->high, ramp->dtype);
  };
  if (const auto ramp = read_ramp(context, scaled->x); fits(ramp)) {
    (void)replace_node(graph, id, hard_sigmoid(*ramp, node.name));
    return true;
  }
  const ir::Node* product = only_maker(context, scaled->x);
  if (!product || !product->is("Mul") || product->inputs.size() != 2) return false;
  for (const size_t side : {0, 1}) {
    const ir::ValueId bounded = product->inputs[side], gate = product->inputs[1 - side];
    const auto ramp = read_ramp(context, bounded);
    if (!fits(ramp)) continue;
    ir::NodeSpec spec{.op_type = "Mul", .name = node.name, .inputs = {gate}};
    ir::NodeSpec hard = hard_sigmoid(*ramp, graph.node(graph.producer(bounded)).name);
    hard.outputs = {{graph.unique_name(graph.name(bounded)), graph.type(bounded), {}}};
    spec.inputs.push_back(graph.node(graph.add_node(std::move(hard), id)).outputs[0]);
    (void)replace_node(graph, id, std::move(spec));
    return true;
  }
  return false;
}

/// x * HardSigmoid(x; 1/6, 1/2)   =>   HardSwish
bool make_hard_swish(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  if (graph.opset("") < kHardSwish || !node.is("Mul") || node.inputs.size() != 2) return false;
  for (const size_t side : {0, 1}) {
    const ir::Node* hard = only_maker(context, node.inputs[side]);
    const ir::ValueId x = node.inputs[1 - side];
    if (!hard || !hard->is("HardSigmoid") || hard->inputs[0] != x) continue;
    const auto alpha = static_cast<double>(hard->float_or("alpha", 0.2f));
    if (std::fabs(6 * alpha - 1) > kTolerance || hard->float_or("beta", 0.5f) != 0.5f) continue;
    (void)replace_node(graph, id, {.op_type = "HardSwish", .name = node.name, .inputs = {x}});
    return true;
  }
  return false;
}

}  // namespace

/// min(max(x + c, 0), h) / h          =>   HardSigmoid(x; 1/h, c/h)
/// gate * min(max(x + c, 0), h) / h   =>   gate * HardSigmoid(x; 1/h, c/h)
/// x * HardSigmoid(x; 1/6, 1/2)       =>   HardSwish(x)
///
/// with numbers c and h, where nobody else reads what is between. What is bounded may be so by Clip, or by Relu, Max
/// and Min in any order.
int64_t fuse_hard_sigmoid(Context& context) {
  int64_t changes = 0;
  if (context.graph.opset("") < ops::kNumpyBroadcasting) return 0;
  for (const ir::NodeId id : context.graph.nodes()) {
    if (!context.graph.alive(id) || context.stays(id)) continue;
    const ir::Node& node = context.graph.node(id);
    if (!node.is("Mul") && !node.is("Div")) continue;
    if (make_hard_sigmoid(context, id) || make_hard_swish(context, id)) ++changes;
  }
  return changes;
}

}  // namespace pli::passes
