#include "runtime/ops/control/if.h"

#include <algorithm>

namespace pli::ops {

namespace {

constexpr std::string_view kThen = "then_branch", kElse = "else_branch";

/// Null when there is no such graph.
const ir::Subgraph* branch_of(const ir::Node& node, std::string_view name) {
  const ir::Attribute* attribute = node.attribute(name);
  return attribute ? std::get_if<ir::Subgraph>(&attribute->value) : nullptr;
}

/// What breaks the standard about a branch, or nothing.
std::optional<std::string> why_broken(const ir::Node& node, std::string_view name) {
  const ir::Subgraph* branch = branch_of(node, name);
  if (!branch) return fmt::format("attribute {} {}", name, node.attribute(name) ? "is no graph" : "is missing");
  if (!branch->graph->inputs().empty())
    return fmt::format("attribute {}: the graph has inputs, where none are expected", name);
  if (branch->graph->outputs().size() != node.outputs.size())
    return fmt::format("attribute {}: the graph has {} outputs, the node {}", name, branch->graph->outputs().size(),
                       node.outputs.size());
  return std::nullopt;
}

/// The types stay as declared: the branches may differ even in rank.
std::vector<ir::Type> infer_if(const InferContext& context) {
  context.check_inputs(1, 1);
  const auto shape = context.type(0).shape();
  if (shape && checked_size(*shape) != 1)
    fail(ErrorCode::kInvalidModel, "the condition has shape {} where one element is expected", to_string(*shape));
  for (const std::string_view name : {kThen, kElse})
    if (const auto why = why_broken(context.node, name)) fail(ErrorCode::kInvalidModel, "{}", *why);
  std::vector<ir::Type> types;
  for (const ir::ValueId output : context.node.outputs)
    types.push_back(output ? context.graph.type(output) : ir::Type{});
  return types;
}

constexpr Operator kOperators[] = {{"If", 1, kNewestOpset, kBools, infer_if, nullptr}};

}  // namespace

Family if_family() { return kOperators; }

std::optional<std::string_view> chosen_branch(const ir::Graph& graph, const ir::Node& node) {
  const Tensor* condition = node.is("If") ? graph.constant_of(node.input(0)) : nullptr;
  if (!condition || condition->dtype() != DataType::kBool || condition->size() != 1) return std::nullopt;
  const std::string_view chosen = to_int64s(*condition)[0] != 0 ? kThen : kElse;
  return why_broken(node, chosen) ? std::nullopt : std::optional(chosen);
}

ir::InlinedSubgraph take_branch(ir::Graph& graph, ir::NodeId id) {
  const ir::Subgraph branch = *branch_of(graph.node(id), *chosen_branch(graph, graph.node(id)));
  const std::vector<ir::ValueId> outputs = graph.node(id).outputs;
  ir::InlinedSubgraph inlined = ir::inline_subgraph(graph, branch, id);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i]) graph.replace_all_uses(outputs[i], inlined.outputs[i]);
  graph.erase_node(id);
  return inlined;
}

}  // namespace pli::ops
