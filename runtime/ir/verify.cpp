#include "runtime/ir/graph.h"

#include <algorithm>

namespace pli::ir {

namespace {

[[noreturn]] void broken(const std::string& what) { fail(ErrorCode::kInternal, "the graph is broken: {}", what); }

}  // namespace

void Graph::verify() const {
  // Values are defined before they are used, in the order of the nodes.
  std::vector<bool> defined(values_.size(), false);
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueRecord& record = values_[i];
    if (record.kind == ValueKind::kErased) continue;
    if (record.kind != ValueKind::kNodeOutput) defined[i] = true;
    const auto named = by_name_.find(record.name);
    if (named == by_name_.end() || named->second.index != static_cast<int32_t>(i))
      broken("name \"" + record.name + "\" is lost");
    if ((record.kind == ValueKind::kNodeOutput) != static_cast<bool>(record.producer))
      broken("\"" + record.name + "\" has a wrong producer");
  }

  std::vector<std::set<Use>> uses(values_.size());
  size_t count = 0;
  for (const NodeId id : nodes()) {
    const Node& node = this->node(id);
    ++count;
    const auto use = [&](ValueId used, int index) {
      if (!used) return;
      (void)value(used);
      if (!defined[static_cast<size_t>(used.index)])
        broken(describe(*this, node) + " uses \"" + name(used) + "\" before it is made");
      uses[static_cast<size_t>(used.index)].insert({id, index});
    };
    for (size_t i = 0; i < node.inputs.size(); ++i) use(node.inputs[i], static_cast<int>(i));
    int captures = 0;
    for_each_subgraph(node, [&](const Subgraph& subgraph) {
      if (!subgraph.graph) broken(describe(*this, node) + " holds no graph");
      if (subgraph.captures.size() != subgraph.graph->captures().size())
        broken(describe(*this, node) + " has lost a capture");
      for (const ValueId captured : subgraph.captures) {
        if (!captured) broken(describe(*this, node) + " captures nothing");
        use(captured, --captures);
      }
      subgraph.graph->verify();
    });
    for (const ValueId output : node.outputs) {
      if (!output) continue;
      if (value(output).producer != id) broken("\"" + name(output) + "\" has a wrong producer");
      defined[static_cast<size_t>(output.index)] = true;
    }
  }
  if (count != node_count_) broken("a node is lost");

  std::vector<std::vector<size_t>> output_uses(values_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const Output& output = outputs_[i];
    (void)value(output.value);
    if (!defined[static_cast<size_t>(output.value.index)]) broken("output \"" + output.name + "\" is never made");
    output_uses[static_cast<size_t>(output.value.index)].push_back(i);
  }
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].kind == ValueKind::kErased) continue;
    std::vector<size_t> bound = values_[i].output_uses;
    std::ranges::sort(bound);
    if (values_[i].uses != uses[i] || output_uses[i] != bound)
      broken("the uses of \"" + values_[i].name + "\" are wrong");
  }
}

}  // namespace pli::ir
