#include "passes/inline_functions.h"

#include "passes/replace_node.h"
#include "runtime/ir/inline_subgraph.h"

#include <algorithm>

namespace pli::passes {

namespace {

using NamesOfAll = std::shared_ptr<ir::NameSet>;  // graphs of the model

bool calls_function(const ir::Graph& graph);

/// In a graph that the node holds, at any depth.
bool holds_call(const ir::Node& node) {
  bool found = false;
  ir::for_each_subgraph(node, [&](const ir::Subgraph& subgraph) { found = found || calls_function(*subgraph.graph); });
  return found;
}

bool calls_function(const ir::Graph& graph) {
  return std::ranges::any_of(graph.nodes(), [&](ir::NodeId id) {
    const ir::Node& node = graph.node(id);
    return node.function || holds_call(node);
  });
}

/// A runtime may have an operator of this name, and take that instead: other runtimes do, for ONNX's own domains and
/// for that of ONNX Runtime.
bool may_be_operator(const ir::Function& function) {
  return function.domain.empty() || function.domain.starts_with("ai.onnx") ||
         function.domain.starts_with("com.microsoft");
}

int64_t inline_in(ir::Graph& graph, Purpose purpose, const NamesOfAll& names);

/// The graphs that the node holds become others.
int64_t inline_in_bodies(ir::Graph& graph, ir::NodeId id, Purpose purpose, const NamesOfAll& names) {
  ir::NodeSpec spec = ir::spec_like(graph.node(id));
  int64_t changes = 0;
  const auto inline_in_body = [&](ir::Subgraph& body) {
    auto copy = std::make_shared<ir::Graph>(*body.graph);
    changes += inline_in(*copy, purpose, names);
    body.graph = std::move(copy);
  };
  for (ir::Attribute& attribute : spec.attributes) {
    if (auto* one = std::get_if<ir::Subgraph>(&attribute.value)) inline_in_body(*one);
    if (auto* many = std::get_if<std::vector<ir::Subgraph>>(&attribute.value))
      for (ir::Subgraph& each : *many) inline_in_body(each);
  }
  if (changes > 0) (void)replace_node(graph, id, std::move(spec));
  return changes;
}

int64_t inline_in(ir::Graph& graph, Purpose purpose, const NamesOfAll& names) {
  graph.reserve_names(names);
  int64_t changes = 0;
  std::vector<ir::NodeId> pending = graph.nodes();
  while (!pending.empty()) {
    const ir::NodeId id = pending.back();
    pending.pop_back();
    const ir::Node& node = graph.node(id);
    const bool stays = node.function && purpose == Purpose::kWriting && may_be_operator(*node.function);
    if (node.function && !stays && !ir::why_not_inlined(graph, node)) {
      const ir::InlinedSubgraph inlined = ir::inline_call(graph, id);
      pending.insert(pending.end(), inlined.nodes.begin(), inlined.nodes.end());
      for (const auto& [value, was] : inlined.values) names->insert(graph.name(value));
      ++changes;
    } else if (!node.function && holds_call(node)) {
      changes += inline_in_bodies(graph, id, purpose, names);
    }
  }
  return changes;
}

}  // namespace

int64_t inline_calls(ir::Graph& graph, Purpose purpose) {
  if (!calls_function(graph)) return 0;
  const int64_t changes = inline_in(graph, purpose, all_names(graph));
  graph.verify();
  return changes;
}

/// Call of a local function   =>   the nodes of the function, and of those that it calls
///
/// A function that differs from the model in the version of an operator set stays, and one that a runtime may have as
/// an operator. The pipeline does so before all other passes, so that what is reported, and what the user names, is
/// what the functions hold.
int64_t inline_functions(Context& context) { return inline_calls(context.graph, context.purpose); }

}  // namespace pli::passes
