#include "runtime/ir/inline_subgraph.h"

#include <algorithm>

namespace pli::ir {

namespace {

/// What a call adds to the copy of a function's body.
struct Call {
  std::string prefix;                           // of the names of nodes and values
  std::map<std::string, Attribute> attributes;  // what References refer to
};

/// One copy. Ids of `source` become ids of `target`, names come from the graph `namer`: the same, or the outermost one
/// where the target is a nested graph.
class Copy {
 public:
  Copy(const Graph& source, Graph& target, Graph& namer, NodeId before, const Call* call)
      : source_(source), target_(target), namer_(namer), before_(before), call_(call) {}

  void bind(ValueId inside, ValueId outside) { ids_[inside] = outside; }

  InlinedSubgraph run() {
    for (const ValueId id : source_.initializers()) add_initializer(id);
    for (const NodeId id : source_.nodes()) add_node(source_.node(id));
    for (const Output& output : source_.outputs()) result_.outputs.push_back(moved(output.value));
    return std::move(result_);
  }

 private:
  ValueId moved(ValueId id) const { return id ? ids_.at(id) : ValueId{}; }

  void note(ValueId id, ValueId made) {
    ids_[id] = made;
    result_.values.emplace_back(made, source_.name(id));
  }

  std::string new_name(const std::string& name) {
    std::string made = namer_.unique_name(call_ ? call_->prefix + name : name);
    if (&namer_ != &target_) namer_.reserve_name(made);
    return made;
  }

  void add_initializer(ValueId id) {
    const ValueRecord& record = source_.value(id);
    std::string name = new_name(record.name);
    note(id, record.opaque
                 ? target_.add_opaque_initializer(std::move(name), record.type, record.tensor_extra, record.sparse)
                 : target_.add_initializer(std::move(name), *record.payload, record.tensor_extra));
  }

  void add_node(const Node& node) {
    NodeSpec spec = spec_like(node);
    spec.inputs.clear();
    for (const ValueId input : node.inputs) spec.inputs.push_back(moved(input));
    for (const ValueId output : node.outputs)
      spec.outputs.push_back(
          output ? OutputSpec{new_name(source_.name(output)), source_.type(output), source_.value(output).extra}
                 : OutputSpec{});
    for (Attribute& attribute : spec.attributes) {
      if (auto* one = std::get_if<Subgraph>(&attribute.value)) move_subgraph(*one);
      if (auto* many = std::get_if<std::vector<Subgraph>>(&attribute.value))
        for (Subgraph& subgraph : *many) move_subgraph(subgraph);
    }
    if (call_) {
      if (!spec.name.empty()) spec.name = call_->prefix + spec.name;
      spec.attributes = resolved(std::move(spec.attributes));
    }
    const NodeId made = target_.add_node(std::move(spec), before_);
    result_.nodes.push_back(made);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) note(node.outputs[i], target_.node(made).outputs[i]);
  }

  std::vector<Attribute> resolved(std::vector<Attribute> attributes) const {
    std::vector<Attribute> result;
    for (Attribute& attribute : attributes) {
      if (const auto* reference = std::get_if<Reference>(&attribute.value)) {
        const auto given = call_->attributes.find(reference->attribute);
        if (given == call_->attributes.end()) continue;
        attribute = {attribute.name, given->second.value, given->second.extra};
      }
      result.push_back(std::move(attribute));
    }
    return result;
  }

  /// A nested graph is shared as it is, unless it is the function's: then names and References in it change.
  void move_subgraph(Subgraph& subgraph) {
    for (ValueId& capture : subgraph.captures) capture = moved(capture);
    if (!call_) return;
    const Graph& nested = *subgraph.graph;
    std::vector<ValueId> captures;
    auto copy = std::make_shared<Graph>(target_.opsets());
    Copy inside(nested, *copy, namer_, {}, call_);
    for (const ValueId id : nested.inputs())
      inside.bind(id, copy->add_input(inside.new_name(nested.name(id)), nested.type(id), nested.value(id).extra));
    for (size_t i = 0; i < subgraph.captures.size(); ++i) {
      const ValueId id = nested.captures()[i];
      if (!subgraph.captures[i]) {  // an input of the function that the call leaves out
        inside.bind(id, {});
        continue;
      }
      captures.push_back(subgraph.captures[i]);
      inside.bind(id, copy->add_capture(inside.new_name(nested.name(id)), nested.type(id)));
    }
    const InlinedSubgraph made = inside.run();
    for (size_t i = 0; i < made.outputs.size(); ++i) {
      Output output = nested.outputs()[i];
      if (!made.outputs[i]) fail(ErrorCode::kInvalidModel, "\"{}\" is an input that the call leaves out", output.name);
      output.value = made.outputs[i];
      output.name = copy->name(output.value);
      copy->add_output(std::move(output));
    }
    copy->name_of_graph = nested.name_of_graph;
    copy->extra = nested.extra;
    subgraph = {std::move(copy), std::move(captures)};
  }

  const Graph& source_;
  Graph& target_;
  Graph& namer_;
  NodeId before_;
  const Call* call_;
  std::map<ValueId, ValueId> ids_;
  InlinedSubgraph result_;
};

Call describe_call(const Graph& graph, const Node& node) {
  Call call;
  call.prefix = node.name;
  for (const ValueId output : node.outputs)
    if (call.prefix.empty() && output) call.prefix = graph.name(output);
  call.prefix += "/";
  for (const Attribute& attribute : node.function->defaults) call.attributes[attribute.name] = attribute;
  for (const Attribute& attribute : node.attributes) call.attributes[attribute.name] = attribute;
  return call;
}

/// What keeps one node of a function's body, at whatever depth, from moving to `graph`.
std::optional<std::string> why_not_moved(const Graph& graph, const Graph& body, const Node& node, const Call& call) {
  const std::string domain = node.domain == "ai.onnx" ? "" : node.domain;
  if (!node.function && graph.opset(domain) != body.opset(domain))
    return fmt::format("its {} is of version {} of operator set \"{}\", the model of {}", node.op_type,
                       body.opset(domain), domain.empty() ? "ai.onnx" : domain, graph.opset(domain));
  for (const Attribute& attribute : node.attributes) {
    const auto* reference = std::get_if<Reference>(&attribute.value);
    const auto given = reference ? call.attributes.find(reference->attribute) : call.attributes.end();
    if (given == call.attributes.end()) continue;
    const AttributeValue& value = given->second.value;
    if (std::holds_alternative<Subgraph>(value) || std::holds_alternative<std::vector<Subgraph>>(value) ||
        (std::holds_alternative<Opaque>(value) && given->second.extra.empty()))
      return fmt::format("attribute {} is given a graph, or has no value that is known", reference->attribute);
  }
  return std::nullopt;
}

}  // namespace

InlinedSubgraph inline_subgraph(Graph& graph, const Subgraph& subgraph, NodeId before) {
  const Graph& nested = *subgraph.graph;
  if (!nested.inputs().empty())
    fail(ErrorCode::kInvalidModel, "a nested graph has {} inputs where none are expected", nested.inputs().size());
  Copy copy(nested, graph, graph, before, nullptr);
  for (size_t i = 0; i < subgraph.captures.size(); ++i) copy.bind(nested.captures().at(i), subgraph.captures[i]);
  return copy.run();
}

std::optional<std::string> why_not_inlined(const Graph& graph, const Node& node) {
  const Graph& body = node.function->body;
  if (node.inputs.size() > body.inputs().size() || node.outputs.size() > body.outputs().size())
    return fmt::format("it is called with {} inputs and {} outputs, and has {} and {}", node.inputs.size(),
                       node.outputs.size(), body.inputs().size(), body.outputs().size());
  const Call call = describe_call(graph, node);
  std::optional<std::string> reason;
  for_each_graph(body, [&](const Graph& each) {
    for (const NodeId id : each.nodes())
      if (!reason) reason = why_not_moved(graph, body, each.node(id), call);
    if (!reason && each.has_pins()) reason = "an annotation in it names a value";
  });
  std::set<ValueId> omitted;
  for (size_t i = 0; i < body.inputs().size(); ++i)
    if (!node.input(i)) omitted.insert(body.inputs()[i]);
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] && omitted.contains(body.outputs()[i].value))
      return fmt::format("its output {} is an input that the call leaves out", i);
  return reason;
}

InlinedSubgraph inline_call(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (!node.function || why_not_inlined(graph, node))
    fail(ErrorCode::kInternal, "{} is no call that can be inlined", describe(graph, node));
  const Call call = describe_call(graph, node);
  const Graph& body = node.function->body;
  Copy copy(body, graph, graph, id, &call);
  for (size_t i = 0; i < body.inputs().size(); ++i) copy.bind(body.inputs()[i], node.input(i));
  const auto first_new = static_cast<int32_t>(graph.value_limit());
  InlinedSubgraph inlined = copy.run();
  std::vector<std::pair<ValueId, std::string>> kept;  // names of results
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId output = node.outputs[i], made = inlined.outputs[i];
    if (!output) continue;
    if (const Type& type = graph.type(made); type.dtype == DataType::kUndefined && !type.dims)
      graph.set_type(made, graph.type(output));
    if (made.index >= first_new) kept.emplace_back(made, graph.name(output));
    graph.replace_all_uses(output, made);
  }
  graph.erase_node(id);
  for (const auto& [made, name] : kept)
    if (!graph.find(name)) graph.rename(made, name);
  return inlined;
}

}  // namespace pli::ir
