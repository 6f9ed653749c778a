#include "passes/pass.h"

namespace pli::passes {

/// Constant   =>   an initializer of its name
///
/// which other tools can store elsewhere, share and find. Before IR version 4 initializers are inputs: there it stays.
int64_t constants_to_initializers(Context& context) {
  ir::Graph& graph = context.graph;
  if (context.purpose == Purpose::kRunning || !context.free_initializers) return 0;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    if (!node.is("Constant") || context.broken.contains(id) || node.outputs.size() != 1 || !node.outputs[0]) continue;
    const ir::ValueId old = node.outputs[0];
    const Tensor* constant = graph.constant_of(old);
    if (!constant || graph.is_output(old) || graph.is_pinned(old)) continue;
    const std::string name = graph.name(old);
    const ir::ValueId made = graph.add_initializer(graph.unique_name(name), *constant);
    graph.replace_all_uses(old, made);
    graph.erase_node(id);
    graph.rename(made, name);
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
