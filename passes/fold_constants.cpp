#include "passes/pass.h"

#include "runtime/ops/evaluate.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// Weights that are stored in few bits would lose that.
bool expands_weights(const ir::Node& node) { return node.is("DequantizeLinear") || node.is("QuantizeLinear"); }

struct Cost {
  int64_t bytes = 0;  // of the results
  int64_t work = 0;   // multiply-adds, an upper bound
};

/// Multiply-adds, at most, for each element of the node's results.
int64_t work_for_each(const ir::Graph& graph, const ir::Node& node) {
  const auto operand = [&](size_t index) {
    return index < node.inputs.size() ? graph.constant_of(node.inputs[index]) : nullptr;
  };
  if (node.is("MatMul") || node.is("Gemm"))  // some dimension is what the sum runs over
    return operand(0) && !operand(0)->shape().empty() ? std::ranges::max(operand(0)->shape()) : 1;
  if (node.is("Conv") || node.is("ConvTranspose")) return operand(1) ? static_cast<int64_t>(operand(1)->size()) : 1;
  if (node.is("MaxPool") || node.is("AveragePool") || node.is("LpPool"))  // a window does not pass its input
    return operand(0) ? static_cast<int64_t>(operand(0)->size()) : 1;
  return 1;
}

/// What computing the node takes; nothing when it is too much for one node: results larger than their operands and
/// limits.folded_bytes, or when the sizes of the results are not known.
std::optional<Cost> cost_of(const ir::Graph& graph, const ir::Node& node, const Limits& limits) {
  int64_t operand_bytes = 0;
  for (const ir::ValueId input : node.inputs)
    if (const Tensor* tensor = graph.constant_of(input)) operand_bytes += static_cast<int64_t>(tensor->bytes().size());
  Cost cost;
  int64_t results = 0;
  for (const ir::ValueId output : node.outputs) {
    if (!output) continue;
    const ir::Type& type = graph.type(output);
    const auto shape = type.shape();
    const auto elements = shape ? checked_size(*shape) : std::nullopt;
    const auto bytes = elements ? packed_bytes(type.dtype, *elements) : std::nullopt;
    if (!bytes || *bytes > limits.tensor_bytes) return std::nullopt;
    cost.bytes += *bytes;
    results += *elements;
  }
  if (cost.bytes > std::max(operand_bytes, limits.folded_bytes)) return std::nullopt;
  const auto work = checked_mul(results, work_for_each(graph, node));
  if (!work) return std::nullopt;
  cost.work = *work;
  return cost;
}

/// Nothing when the node can't be computed now: what it needs is not known, or Pli can't run it.
std::optional<std::vector<Tensor>> results_of(const ir::Graph& graph, const ir::Node& node, const Limits& limits) {
  try {
    return ops::evaluate_constant(graph, node, limits);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return std::nullopt;
  }
}

}  // namespace

/// A node whose inputs are all constant, or a Shape or Size of a value whose dimensions are known   =>   initializers
///
/// computed by the kernels that would run it. Random numbers are never folded, nor what is in a model of few bits to be
/// small, nor results that would make the model larger than limits.folded_bytes a node allows.
int64_t fold_constants(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    if (!node.is_onnx() || expands_weights(node) || node.outputs.empty() || node.is("Constant") || node.is("Identity"))
      continue;
    const auto cost = cost_of(graph, node, context.options.limits);
    if (!cost || cost->bytes > context.growth_left || cost->work > context.work_left) continue;
    if (context.log.kept_by_user(id)) continue;
    const auto results = results_of(graph, node, context.options.limits);
    if (!results) continue;
    context.growth_left -= cost->bytes;
    context.work_left -= cost->work;

    const std::vector<ir::ValueId> outputs = node.outputs;
    if (node.is("BatchNormalization")) context.log.folded(id, graph.name(outputs[0]), "computed_from_constants");
    std::vector<std::string> names;
    std::vector<ir::ValueId> made;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i]) continue;
      names.push_back(graph.name(outputs[i]));
      made.push_back(graph.add_constant((*results)[i], names.back()));
      graph.replace_all_uses(outputs[i], made.back());
    }
    graph.erase_node(id);
    for (size_t i = 0; i < made.size(); ++i) graph.rename(made[i], names[i]);
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
