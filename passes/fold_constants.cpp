#include "passes/pass.h"

#include "runtime/ops/evaluate.h"
#include "runtime/ops/normalization/batch_normalization.h"

namespace pli::passes {

namespace {

/// Weights that are stored in few bits would lose that.
bool expands_weights(const ir::Node& node) { return node.is("DequantizeLinear") || node.is("QuantizeLinear"); }

/// A BatchNormalization that is not to be taken as inference.
bool trains(const Context& context, const ir::Node& node) {
  if (!node.is("BatchNormalization")) return false;
  const auto view = ops::BatchNormView::of(context.graph, node);
  return view.training || view.statistics_are_read || (view.lists_unread_statistics && context.options.strict);
}

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

/// Nothing when the node can't be computed now: what it needs is not known, Pli can't run it, or the limits forbid it.
std::optional<std::vector<Tensor>> results_of(Context& context, ir::NodeId id) {
  try {
    bool over_limit = false;
    auto results =
        ops::fold_constant(context.graph, context.graph.node(id), context.options.limits, context.budget, &over_limit);
    if (over_limit) context.over_limit.push_back(id);
    return results;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return std::nullopt;
  }
}

/// Removes operands that were computed before and are used no more: what they took may be taken again.
void give_back(Context& context, const std::vector<ir::ValueId>& operands) {
  for (const ir::ValueId operand : operands) {
    if (!operand || !context.computed.contains(operand) || !context.graph.alive(operand)) continue;
    const auto bytes = static_cast<int64_t>(context.graph.constant_of(operand)->bytes().size());
    if (context.graph.erase_unused(operand)) context.budget.bytes += bytes;
  }
}

}  // namespace

/// A node whose inputs are all constant, or matter by a type or shape that is known   =>   initializers
///
/// computed by the kernels that would run it. A Cast that widens a stored weight stays in the model, and what it gives
/// is known from then on. Random numbers are never folded, nor what is in a model of few bits to be small. Results that
/// are no larger than the operands, or than limits.folded_bytes, fold as long as the budget lasts.
int64_t fold_constants(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  context.over_limit.clear();
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id)) continue;
    const ir::Node& node = graph.node(id);
    if (!node.is_onnx() || expands_weights(node) || node.outputs.empty() || node.is("Constant") || node.is("Identity"))
      continue;
    if (context.log.kept_by_user(id) || context.broken.contains(id) || trains(context, node)) continue;
    const bool stays = widens_weight(graph, node);
    if (stays && graph.constant_of(node.outputs[0])) continue;
    const auto results = results_of(context, id);
    if (!results) continue;
    if (stays) {
      graph.set_constant(node.outputs[0], results->front());
      continue;
    }

    const std::vector<ir::ValueId> inputs = node.inputs, outputs = node.outputs;
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
    context.computed.insert(made.begin(), made.end());
    give_back(context, inputs);
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
