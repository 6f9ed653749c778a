#include "passes/pass.h"
#include "runtime/ops/control/if.h"

#include <set>

namespace pli::passes {

namespace {

using Renamed = std::vector<std::pair<ir::ValueId, std::string>>;

/// Names that values of nested graphs have.
std::set<std::string> nested_names(const ir::Graph& outermost) {
  std::set<std::string> names;
  ir::for_each_graph(outermost, [&](const ir::Graph& graph) {
    if (&graph == &outermost) return;
    for (size_t i = 0; i < graph.value_limit(); ++i)
      if (const ir::ValueId id{static_cast<int32_t>(i)};
          graph.alive(id) && graph.value(id).kind != ir::ValueKind::kCapture)
        names.insert(graph.name(id));
  });
  return names;
}

/// What was moved keeps its name where no other value has it.
void restore_names(ir::Graph& graph, const Renamed& values) {
  std::set<std::string> taken = nested_names(graph);
  for (const ir::Output& output : graph.outputs()) taken.insert(output.name);
  for (const auto& [id, name] : values)
    if (graph.alive(id) && !taken.contains(name) && !graph.find(name)) graph.rename(id, name);
}

}  // namespace

/// If (constant) { then_branch } else { else_branch }   =>   the nodes of the branch that is taken
///
/// Left alone when an annotation names a value of the branch.
int64_t inline_if(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  Renamed moved;
  for (const ir::NodeId id : graph.nodes()) {
    const auto branch = ops::chosen_branch(graph, graph.node(id));
    if (!branch || context.broken.contains(id)) continue;
    const ir::Node holder = graph.node(id);
    if (std::get<ir::Subgraph>(holder.attribute(*branch)->value).graph->has_pins()) continue;
    const ir::InlinedSubgraph inlined = ops::take_branch(graph, id);
    context.log.inlined(holder, *branch, inlined.nodes);
    moved.insert(moved.end(), inlined.values.begin(), inlined.values.end());
    ++changes;
  }
  if (changes > 0) restore_names(graph, moved);
  return changes;
}

}  // namespace pli::passes
