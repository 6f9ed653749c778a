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

/// What holds of output `index` whichever branch is taken, by the types that the branches declare.
ir::Type common_type(const ir::Node& node, size_t index) {
  const ir::Type& one = branch_of(node, kThen)->graph->outputs()[index].type;
  const ir::Type& other = branch_of(node, kElse)->graph->outputs()[index].type;
  if (one.dtype != other.dtype || one.kind != other.kind) return {};
  ir::Type common = one;
  if (!one.dims || !other.dims || one.dims->size() != other.dims->size()) {
    common.dims.reset();
    return common;
  }
  for (size_t i = 0; i < common.dims->size(); ++i)
    if (!(*one.dims)[i].known() || !((*one.dims)[i] == (*other.dims)[i])) (*common.dims)[i] = ir::Dim();
  return common;
}

/// The branches may differ even in rank, and exporters declare the output as one of them has it.
std::vector<ir::Type> infer_if(const InferContext& context) {
  context.check_inputs(1, 1);
  const auto shape = context.type(0).shape();
  if (shape && checked_size(*shape) != 1)
    fail(ErrorCode::kInvalidModel, "the condition has shape {} where one element is expected", to_string(*shape));
  for (const std::string_view name : {kThen, kElse})
    if (const auto why = why_broken(context.node, name)) fail(ErrorCode::kInvalidModel, "{}", *why);
  std::vector<ir::Type> types;
  for (size_t i = 0; i < context.node.outputs.size(); ++i) types.push_back(common_type(context.node, i));
  return types;
}

constexpr Operator kOperators[] = {{.type = "If",
                                    .since = 1,
                                    .until = kNewestOpset,
                                    .types = kBools,
                                    .infer = infer_if,
                                    .prepare = nullptr,
                                    .value_inputs = 0b1}};

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
