#include "passes/names.h"

namespace pli::passes {

ir::ValueId Names::replace(ir::ValueId old, Tensor tensor) {
  const std::string name = of(old);
  const auto origin = origins_.find(old);
  const std::string from = origin == origins_.end() ? name : origin->second;
  const ir::ValueId made =
      graph_.add_initializer(graph_.unique_name(name), std::move(tensor), graph_.value(old).tensor_extra);
  wanted_[made] = name;
  origins_[made] = from;
  return made;
}

ir::ValueId Names::add(std::string_view name, Tensor tensor, ir::ValueId origin) {
  // A value of this graph may go and leave its name; who else has it, in a nested graph, stays.
  const bool becomes_free = static_cast<bool>(graph_.find(name));
  const ir::ValueId made = graph_.add_constant(std::move(tensor), name);
  wanted_[made] = becomes_free ? std::string(name) : graph_.name(made);
  if (origin) origins_[made] = of(origin);
  return made;
}

const std::string& Names::of(ir::ValueId id) const {
  const auto wanted = wanted_.find(id);
  return wanted == wanted_.end() ? graph_.name(id) : wanted->second;
}

void Names::settle() {
  for (const auto& [id, name] : wanted_)
    if (graph_.alive(id) && !graph_.find(name)) graph_.rename(id, name);
}

std::shared_ptr<ir::NameSet> all_names(const ir::Graph& graph) {
  auto names = std::make_shared<ir::NameSet>();
  ir::for_each_graph(graph, [&](const ir::Graph& each) {
    for (size_t i = 0; i < each.value_limit(); ++i)
      if (const ir::ValueId value{static_cast<int32_t>(i)}; each.alive(value)) names->insert(each.name(value));
  });
  return names;
}

std::string bias_name(const std::string& weight) {
  constexpr std::string_view kEnding = "weight";
  if (weight.ends_with(kEnding)) return weight.substr(0, weight.size() - kEnding.size()) + "bias";
  return weight + "_bias";
}

std::map<std::string, std::string> Names::origins() const {
  std::map<std::string, std::string> result;
  for (const auto& [id, from] : origins_)
    if (graph_.alive(id) && graph_.name(id) != from) result[graph_.name(id)] = from;
  return result;
}

}  // namespace pli::passes
