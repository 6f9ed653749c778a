#include "runtime/exec/join_activations.h"

#include "runtime/exec/specialize.h"
#include "runtime/ops/operator.h"

#include <cmath>
#include <functional>

namespace pli::exec {

namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

/// Whether a group of nodes on this type may become one: what it is computed in is float32.
bool is_joined(DataType dtype) { return dtype == DataType::kFloat32 || pli::is_half(dtype); }

/// The single element of a float constant; nothing otherwise.
std::optional<double> scalar(const Graph& graph, ValueId id) {
  const Tensor* constant = graph.constant_of(id);
  if (!constant || !is_joined(constant->dtype()) || constant->size() != 1 || constant->shape().size() > 1)
    return std::nullopt;
  return to_doubles(*constant)[0];
}

/// The constant is `wanted`, as well as its type can hold it.
bool is_near(const Graph& graph, ValueId id, double wanted) {
  const auto value = scalar(graph, id);
  if (!value) return false;
  const DataType dtype = graph.constant_of(id)->dtype();
  const double held = to_doubles(from_doubles(dtype, {}, std::vector{wanted}))[0];
  return *value == held || std::fabs(*value - wanted) <= 1e-6 * std::fabs(wanted);
}

/// The producer of `id` when it is of this type and nothing else reads it; null otherwise.
const Node* inner(const Graph& graph, ValueId id, std::string_view type) {
  if (!id || !graph.producer(id) || !graph.has_single_use(id)) return nullptr;
  const Node& node = graph.node(graph.producer(id));
  return node.is(type) ? &node : nullptr;
}

/// Calls `match(a, b)` for the operands of a commutative node in both orders until it gives a value.
ValueId either_order(const Node& node, const std::function<ValueId(ValueId, ValueId)>& match) {
  if (node.inputs.size() != 2) return {};
  if (const ValueId found = match(node.inputs[0], node.inputs[1])) return found;
  return match(node.inputs[1], node.inputs[0]);
}

/// x of x * Sigmoid(x).
ValueId match_swish(const Graph& graph, const Node& node) {
  if (!node.is("Mul")) return {};
  return either_order(node, [&](ValueId x, ValueId gate) {
    const Node* sigmoid = inner(graph, gate, "Sigmoid");
    return sigmoid && sigmoid->input(0) == x ? x : ValueId{};
  });
}

/// Whether `id` is x + 3 clipped to [0, 6], read by nothing else.
bool is_clipped_shift(const Graph& graph, ValueId id, ValueId x) {
  const Node* clip = inner(graph, id, "Clip");
  if (!clip || clip->inputs.size() != 3 || scalar(graph, clip->input(1)) != 0.0 || scalar(graph, clip->input(2)) != 6.0)
    return false;
  const Node* add = inner(graph, clip->input(0), "Add");
  return add && add->input(0) == x && scalar(graph, add->input(1)) == 3.0;
}

/// x of x * HardSigmoid(x; 1/6, 1/2) or x * Clip(x + 3; 0, 6) / 6.
ValueId match_hard_swish(const Graph& graph, const Node& node) {
  if (node.is("Mul"))
    return either_order(node, [&](ValueId x, ValueId gate) {
      const Node* hard = inner(graph, gate, "HardSigmoid");
      const bool fits = hard && hard->input(0) == x && hard->float_or("beta", 0.5f) == 0.5f &&
                        std::fabs(static_cast<double>(hard->float_or("alpha", 0.2f)) - 1.0 / 6) <= 1e-6 / 6;
      return fits ? x : ValueId{};
    });
  if (!node.is("Div") || scalar(graph, node.input(1)) != 6.0) return {};
  const Node* product = inner(graph, node.input(0), "Mul");
  if (!product) return {};
  return either_order(*product,
                      [&](ValueId x, ValueId gate) { return is_clipped_shift(graph, gate, x) ? x : ValueId{}; });
}

/// Whether `id` is 1 + Erf(x / sqrt(2)), read by nothing else.
bool is_erf_gate(const Graph& graph, ValueId id, ValueId x) {
  const Node* add = inner(graph, id, "Add");
  if (!add) return false;
  return static_cast<bool>(either_order(*add, [&](ValueId value, ValueId one) {
    const Node* erf = inner(graph, value, "Erf");
    if (!erf || scalar(graph, one) != 1.0) return ValueId{};
    const Node* div = inner(graph, erf->input(0), "Div");
    const Node* mul = inner(graph, erf->input(0), "Mul");
    const bool fits = (div && div->input(0) == x && is_near(graph, div->input(1), std::sqrt(2.0))) ||
                      (mul && mul->input(0) == x && is_near(graph, mul->input(1), std::sqrt(0.5)));
    return fits ? x : ValueId{};
  }));
}

/// x of x * (1 + Erf(x / sqrt(2))) * 0.5, the factors in any order that exporters write.
ValueId match_gelu(const Graph& graph, const Node& node) {
  if (!node.is("Mul")) return {};
  return either_order(node, [&](ValueId left, ValueId right) -> ValueId {
    if (scalar(graph, right) == 0.5) {
      const Node* product = inner(graph, left, "Mul");
      if (!product) return {};
      return either_order(*product,
                          [&](ValueId x, ValueId gate) { return is_erf_gate(graph, gate, x) ? x : ValueId{}; });
    }
    const Node* half = inner(graph, left, "Mul");
    if (!half) return {};
    return either_order(*half, [&](ValueId x, ValueId factor) {
      return scalar(graph, factor) == 0.5 && is_erf_gate(graph, right, x) ? x : ValueId{};
    });
  });
}

struct Pattern {
  std::string_view type;
  ValueId (*match)(const Graph&, const Node&);
};
constexpr Pattern kPatterns[] = {{"Swish", match_swish}, {"HardSwish", match_hard_swish}, {"Gelu", match_gelu}};

}  // namespace

void join_activations(Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    for (const auto& [type, match] : kPatterns) {
      const ValueId x = match(graph, graph.node(id));
      if (!x || !is_joined(graph.type(x).dtype)) continue;
      // The constants may have one dimension, which the result would have as well.
      if (!graph.type(x).dims || graph.type(x).dims->empty()) continue;
      const Node node = graph.node(id);
      const ValueId old = node.outputs[0];
      const NodeId joined = graph.add_node({.op_type = std::string(type),
                                            .domain = std::string(ops::kInternalDomain),
                                            .name = node.name,
                                            .inputs = {x},
                                            .outputs = {{graph.unique_name(graph.name(old)), graph.type(old), {}}},
                                            .attributes = {},
                                            .extra = {}},
                                           id);
      graph.replace_all_uses(old, graph.node(joined).outputs[0]);
      break;
    }
  }
  graph.erase_dead();
}

}  // namespace pli::exec
