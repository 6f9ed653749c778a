#include "runtime/exec/specialize.h"

#include "runtime/core/tensor.h"
#include "runtime/ops/control/if.h"
#include "runtime/ops/evaluate.h"

#include <algorithm>
#include <map>

namespace pli::exec {

namespace {

/// The constants that inputs become count for the budget, as others do.
void bind_inputs(ir::Graph& graph, const Binding& binding, ops::FoldingBudget& budget) {
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    const ir::ValueId id = graph.inputs()[i];
    const Tensor* tensor = binding.inputs.at(i);
    if (!tensor) {
      graph.set_constant(id, *graph.value(id).payload);
    } else if (binding.value_inputs && binding.value_inputs->contains(id)) {
      graph.set_constant(id, deep_copy(*tensor));  // the plan outlives the call, and with it the memory of its inputs
    } else {
      graph.set_type(id, ir::Type::of(*tensor));
      continue;
    }
    budget.bytes += ops::FoldingBudget::kForEachByte * static_cast<int64_t>(graph.constant_of(id)->bytes().size());
  }
}

void make_each_concrete(ir::Graph& graph, std::span<const ir::NodeId> nodes, const Limits& limits,
                        ops::FoldingBudget& budget);

/// Small results are made while compiling; large ones are left to run unless they take the place of operands as large,
/// since the plan holds them for good. An If becomes the branch that is taken, a call what the function holds.
void make_concrete(ir::Graph& graph, ir::NodeId id, const Limits& limits, ops::FoldingBudget& budget) {
  const ir::Node& node = graph.node(id);
  if (node.function && !ir::why_not_inlined(graph, node)) {
    make_each_concrete(graph, ir::inline_call(graph, id).nodes, limits, budget);
    return;
  }
  const auto known = [&](ir::ValueId output) { return !output || graph.constant_of(output); };
  if (std::ranges::all_of(node.outputs, known)) return;
  const ops::Operator* op = ops::find_operator(graph, node);
  if (!op) return;
  const auto types = ops::infer(*op, graph, node, limits);
  for (size_t i = 0; i < std::min(types.size(), node.outputs.size()); ++i)
    if (node.outputs[i] && !graph.constant_of(node.outputs[i])) graph.set_type(node.outputs[i], types[i]);
  if (ops::chosen_branch(graph, node)) {
    make_each_concrete(graph, ops::take_branch(graph, id).nodes, limits, budget);
    return;
  }
  const auto values = ops::fold_constant(graph, node, limits, budget);
  if (!values) return;
  for (size_t i = 0; i < std::min(values->size(), node.outputs.size()); ++i)
    if (node.outputs[i]) graph.set_constant(node.outputs[i], (*values)[i]);
}

void make_each_concrete(ir::Graph& graph, std::span<const ir::NodeId> nodes, const Limits& limits,
                        ops::FoldingBudget& budget) {
  for (const ir::NodeId id : nodes) {
    const ir::Node& node = graph.node(id);
    const bool may_go = node.function || node.is("If");  // what takes its place may have an error to tell
    const std::string name = may_go ? ir::describe(graph, node) : std::string();
    in_node([&] { return may_go ? name : ir::describe(graph, graph.node(id)); },
            [&] { make_concrete(graph, id, limits, budget); });
  }
}

}  // namespace

void infer_and_fold(ir::Graph& graph, const Limits& limits) {
  ops::FoldingBudget budget = ops::FoldingBudget::of(graph, limits);
  make_each_concrete(graph, graph.nodes(), limits, budget);
}

std::vector<ir::NodeId> needed_nodes(const ir::Graph& graph) {
  std::vector<bool> needed(graph.value_limit(), false);
  const auto need = [&](ir::ValueId id) {
    if (id && !graph.constant_of(id)) needed[static_cast<size_t>(id.index)] = true;
  };
  for (const ir::Output& output : graph.outputs()) need(output.value);
  std::vector<ir::NodeId> kept;
  const auto order = graph.nodes();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const ir::Node& node = graph.node(*id);
    const auto is_needed = [&](ir::ValueId output) { return output && needed[static_cast<size_t>(output.index)]; };
    if (std::ranges::none_of(node.outputs, is_needed)) continue;
    kept.push_back(*id);
    std::ranges::for_each(node.inputs, need);
    ir::for_each_subgraph(node, [&](const ir::Subgraph& subgraph) { std::ranges::for_each(subgraph.captures, need); });
  }
  std::ranges::reverse(kept);
  return kept;
}

std::set<ir::ValueId> find_value_inputs(const ir::Graph& graph) {
  std::set<ir::ValueId> found;  // captures as well: of a nested graph they are what it takes from around it
  std::vector<bool> seen(graph.value_limit(), false);
  std::vector<ir::ValueId> pending;
  const auto ask = [&](ir::ValueId id) {
    if (!id || graph.constant_of(id) || seen[static_cast<size_t>(id.index)]) return;
    seen[static_cast<size_t>(id.index)] = true;
    pending.push_back(id);
  };
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    ir::for_each_subgraph(node, [&](const ir::Subgraph& subgraph) {
      const std::set<ir::ValueId> inside = find_value_inputs(*subgraph.graph);
      for (size_t i = 0; i < subgraph.captures.size(); ++i)
        if (inside.contains(subgraph.graph->captures().at(i))) ask(subgraph.captures[i]);
    });
    const ops::Operator* op = ops::find_operator(graph, node);
    for (size_t i = 0; op && i < node.inputs.size(); ++i)
      if (op->reads_value(i)) ask(node.inputs[i]);
    if (!node.function) continue;
    const std::set<ir::ValueId> inside = find_value_inputs(node.function->body);
    const std::vector<ir::ValueId>& inputs = node.function->body.inputs();
    for (size_t i = 0; i < std::min(node.inputs.size(), inputs.size()); ++i)
      if (inside.contains(inputs[i])) ask(node.inputs[i]);
  }
  while (!pending.empty()) {
    const ir::ValueId id = pending.back();
    pending.pop_back();
    const ir::ValueKind kind = graph.value(id).kind;
    if (kind == ir::ValueKind::kInput || kind == ir::ValueKind::kCapture) found.insert(id);
    if (!graph.producer(id)) continue;
    const ir::Node& node = graph.node(graph.producer(id));
    const ops::Operator* op = ops::find_operator(graph, node);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!op || !op->reads_only_type(i)) ask(node.inputs[i]);
    ir::for_each_subgraph(node, [&](const ir::Subgraph& subgraph) { std::ranges::for_each(subgraph.captures, ask); });
  }
  return found;
}

void check_supported(const ir::Graph& graph, std::span<const ir::NodeId> nodes) {
  struct Place {
    int count = 0;
    std::string first;
  };
  std::map<std::string, Place> reasons;
  const auto look_at = [&](const ir::Graph& owner, const ir::Node& node) {
    if (const auto why = ops::why_unsupported(owner, node)) {
      Place& place = reasons[*why];
      if (place.count++ == 0) place.first = ir::describe(owner, node);
    }
  };
  for (const ir::NodeId id : nodes) {
    look_at(graph, graph.node(id));
    ir::for_each_subgraph(graph.node(id), [&](const ir::Subgraph& nested) {
      ir::for_each_graph(*nested.graph, [&](const ir::Graph& inner) {
        for (const ir::NodeId inside : inner.nodes()) look_at(inner, inner.node(inside));
      });
    });
  }
  if (reasons.empty()) return;
  std::string text;
  for (const auto& [why, place] : reasons) {
    text += fmt::format("{}{} ({}", text.empty() ? "" : ", ", why, place.first);
    text += place.count > 1 ? fmt::format(" and {} more)", place.count - 1) : ")";
  }
  fail(ErrorCode::kUnsupported, "not supported: {}", text);
}

std::vector<ir::NodeId> specialize(ir::Graph& graph, const Binding& binding, const Limits& limits,
                                   ops::FoldingBudget budget) {
  bind_inputs(graph, binding, budget);
  make_each_concrete(graph, graph.nodes(), limits, budget);
  std::vector<ir::NodeId> left = needed_nodes(graph);
  check_supported(graph, left);
  for (const ir::NodeId id : left) {
    const ir::Node& node = graph.node(id);
    if (node.is("If"))
      fail(ErrorCode::kUnsupported, "{}: which branch is taken depends on data", ir::describe(graph, node));
    for (const ir::ValueId output : node.outputs) {
      if (!output || (graph.uses(output).empty() && !graph.is_output(output))) continue;
      const ir::Type& type = graph.type(output);
      if (!type.shape() || type.dtype == DataType::kUndefined)
        fail(ErrorCode::kUnsupported, "{}: the shape of \"{}\" depends on data: {}", ir::describe(graph, node),
             graph.name(output), ir::to_string(type));
    }
  }
  return left;
}

}  // namespace pli::exec
