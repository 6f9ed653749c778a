#include "passes/narrow_weight.h"
#include "passes/pass.h"

#include "runtime/ops/evaluate.h"
#include "runtime/ops/normalization/batch_normalization.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// A BatchNormalization that the kernels would not compute as it is meant. One in training mode whose statistics nobody
/// reads is a function of its input as well: weight standardization is often written so.
bool is_read_otherwise(const Context& context, const ir::Node& node) {
  if (!node.is("BatchNormalization")) return false;
  const auto view = ops::BatchNormView::of(context.graph, node);
  return view.statistics_are_read || (context.options.strict && view.lists_unread_statistics);
}

/// Nothing when the node can't be computed now: what it needs is not known, Pli can't run it, or the limits forbid it.
std::optional<std::vector<Tensor>> results_of(Context& context, ir::NodeId id, ops::FoldingBudget& budget) {
  try {
    auto passed = ops::FoldingLimit::kNone;
    auto results = ops::fold_constant(context.graph, context.graph.node(id), context.options.limits, budget, &passed);
    if (passed != ops::FoldingLimit::kNone) context.over_limit.emplace_back(id, passed);
    return results;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return std::nullopt;
  }
}

int64_t bytes_of(const Tensor& tensor) { return static_cast<int64_t>(tensor.bytes().size()); }

/// By how much the results are larger than what the operands are stored in.
void note_growth(Context& context, const ir::Node& node, const std::vector<Tensor>& results) {
  int64_t narrow = 0;
  for (const ir::ValueId input : node.inputs)
    if (const auto weight = input ? narrow_weight(context.graph, input) : std::nullopt)
      narrow += bytes_of(*context.graph.constant_of(weight->stored));
  int64_t bytes = 0;
  for (const Tensor& result : results) bytes += bytes_of(result);
  if (narrow > 0) context.widened_bytes += std::max<int64_t>(bytes - narrow, 0);
}

/// Removes operands that were computed before and are used no more: what they took may be taken again.
void give_back(Context& context, const std::vector<ir::ValueId>& operands) {
  for (const ir::ValueId operand : operands) {
    if (!operand || !context.computed.contains(operand) || !context.graph.alive(operand)) continue;
    const int64_t bytes = bytes_of(*context.graph.constant_of(operand));
    if (context.graph.erase_unused(operand)) context.budget.bytes += bytes;
  }
}

}  // namespace

/// A node whose inputs are all constant, or matter by a type or shape that is known   =>   initializers
///
/// computed by the kernels that would run it. What widens a stored weight stays in the model, and what it gives is
/// known from then on. Random numbers are never folded, nor what is in a model of few bits to be small. Results that
/// are no larger than the operands, or than limits.folded_bytes, fold as long as the budget lasts.
int64_t fold_constants(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  context.over_limit.clear();
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id)) continue;
    const ir::Node& node = graph.node(id);
    if (!node.is_onnx() || node.outputs.empty() || node.is("Constant") || node.is("Identity")) continue;
    if (context.stays(id) || is_read_otherwise(context, node)) continue;
    const bool stays = widens_weight(graph, node);
    if (stays && graph.constant_of(node.outputs[0])) continue;
    const auto results = results_of(context, id, stays ? context.widening : context.budget);
    if (!results) continue;
    if (stays) {
      graph.set_constant(node.outputs[0], results->front());
      continue;
    }

    note_growth(context, node, *results);
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
