#include "passes/replace_node.h"

namespace pli::passes {

ir::NodeId replace_node(ir::Graph& graph, ir::NodeId id, ir::NodeSpec spec,
                        const std::function<ir::ValueId(ir::ValueId)>& finish) {
  const std::vector<ir::ValueId> old = graph.node(id).outputs;
  std::vector<std::string> names;
  spec.outputs.clear();
  for (const ir::ValueId value : old) {
    names.push_back(value ? graph.name(value) : std::string());
    spec.outputs.push_back(
        value ? ir::OutputSpec{graph.unique_name(names.back()), graph.type(value), graph.value(value).extra}
              : ir::OutputSpec{});
  }
  const ir::NodeId made = graph.add_node(std::move(spec), id);
  const std::vector<ir::ValueId> results = graph.node(made).outputs;
  for (size_t i = 0; i < old.size(); ++i)
    if (old[i]) graph.replace_all_uses(old[i], i == 0 && finish ? finish(results[0]) : results[i]);
  graph.erase_node(id);
  for (size_t i = 0; i < old.size(); ++i)
    if (old[i]) graph.rename(results[i], names[i]);
  return made;
}

void set_attribute(ir::NodeSpec& spec, std::string name, ir::AttributeValue value) {
  std::erase_if(spec.attributes, [&](const ir::Attribute& attribute) { return attribute.name == name; });
  spec.attributes.push_back({std::move(name), std::move(value), {}});
}

}  // namespace pli::passes
