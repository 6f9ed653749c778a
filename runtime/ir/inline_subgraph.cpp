#include "runtime/ir/inline_subgraph.h"

namespace pli::ir {

namespace {

/// One copy. Ids of the nested graph become ids of the graph around it.
class Copy {
 public:
  Copy(Graph& graph, const Subgraph& subgraph, NodeId before)
      : graph_(graph), nested_(*subgraph.graph), before_(before) {
    for (size_t i = 0; i < subgraph.captures.size(); ++i) ids_[nested_.captures().at(i)] = subgraph.captures[i];
  }

  InlinedSubgraph run() {
    for (const ValueId id : nested_.initializers()) add_initializer(id);
    for (const NodeId id : nested_.nodes()) add_node(nested_.node(id));
    for (const Output& output : nested_.outputs()) result_.outputs.push_back(moved(output.value));
    return std::move(result_);
  }

 private:
  ValueId moved(ValueId id) const { return id ? ids_.at(id) : ValueId{}; }

  void note(ValueId id, ValueId made) {
    ids_[id] = made;
    result_.values.emplace_back(made, nested_.name(id));
  }

  void add_initializer(ValueId id) {
    const ValueRecord& record = nested_.value(id);
    std::string name = graph_.unique_name(record.name);
    note(id, record.opaque
                 ? graph_.add_opaque_initializer(std::move(name), record.type, record.tensor_extra, record.sparse)
                 : graph_.add_initializer(std::move(name), *record.payload, record.tensor_extra));
  }

  void add_node(const Node& node) {
    NodeSpec spec = spec_like(node);
    spec.inputs.clear();
    for (const ValueId input : node.inputs) spec.inputs.push_back(moved(input));
    for (const ValueId output : node.outputs)
      spec.outputs.push_back(output ? OutputSpec{graph_.unique_name(nested_.name(output)), nested_.type(output),
                                                 nested_.value(output).extra}
                                    : OutputSpec{});
    for (Attribute& attribute : spec.attributes) {
      const auto move_captures = [&](Subgraph& subgraph) {
        for (ValueId& capture : subgraph.captures) capture = moved(capture);
      };
      if (auto* one = std::get_if<Subgraph>(&attribute.value)) move_captures(*one);
      if (auto* many = std::get_if<std::vector<Subgraph>>(&attribute.value))
        for (Subgraph& subgraph : *many) move_captures(subgraph);
    }
    const NodeId made = graph_.add_node(std::move(spec), before_);
    result_.nodes.push_back(made);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) note(node.outputs[i], graph_.node(made).outputs[i]);
  }

  Graph& graph_;
  const Graph& nested_;
  NodeId before_;
  std::map<ValueId, ValueId> ids_;
  InlinedSubgraph result_;
};

}  // namespace

InlinedSubgraph inline_subgraph(Graph& graph, const Subgraph& subgraph, NodeId before) {
  if (!subgraph.graph->inputs().empty())
    fail(ErrorCode::kInvalidModel, "a nested graph has {} inputs where none are expected",
         subgraph.graph->inputs().size());
  return Copy(graph, subgraph, before).run();
}

}  // namespace pli::ir
