#include "passes/pass.h"

#include "runtime/ops/evaluate.h"

namespace pli::passes {

namespace {

/// Weights that are stored in few bits would lose that.
bool expands_weights(const ir::Node& node) { return node.is("DequantizeLinear") || node.is("QuantizeLinear"); }

/// A Cast that only widens a weight that is stored in a narrow type: computing it once and for all would make the file
/// larger. Small ones would be no smaller for the node.
bool widens_weight(const ir::Graph& graph, const ir::Node& node) {
  constexpr size_t kSmall = 1024;
  const Tensor* stored = graph.constant_of(node.input(0));
  const ir::ValueId result = node.output(0);
  if (!node.is("Cast") || !stored || !result || stored->bytes().size() < kSmall) return false;
  const DataType wide = graph.type(result).dtype;
  return is_float(stored->dtype()) && is_float(wide) && bit_width(wide) > bit_width(stored->dtype());
}

/// Nothing when the node can't be computed now: what it needs is not known, it costs too much, or Pli can't run it.
std::optional<std::vector<Tensor>> results_of(Context& context, const ir::Node& node) {
  try {
    return ops::fold_constant(context.graph, node, context.options.limits, context.budget);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return std::nullopt;
  }
}

}  // namespace

/// A node whose inputs are all constant, or a Shape or Size of a value whose dimensions are known   =>   initializers
///
/// computed by the kernels that would run it. A Cast that widens a stored weight stays in the model, and what it gives
/// is known from then on. Random numbers are never folded, nor what is in a model of few bits to be small, nor results
/// that would make the model larger than limits.folded_bytes a node allows.
int64_t fold_constants(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    if (!node.is_onnx() || expands_weights(node) || node.outputs.empty() || node.is("Constant") || node.is("Identity"))
      continue;
    if (context.log.kept_by_user(id)) continue;
    const bool stays = widens_weight(graph, node);
    if (stays && graph.constant_of(node.outputs[0])) continue;
    const auto results = results_of(context, node);
    if (!results) continue;
    if (stays) {
      graph.set_constant(node.outputs[0], results->front());
      continue;
    }

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
