#include "runtime/ir/graph.h"

#include <fmt/ranges.h>

namespace pli::ir {

namespace {

void dump_graph(const Graph& graph, const std::string& indent, std::string& text);

std::string words(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) text += (i ? ", " : "") + (ids[i] ? graph.name(ids[i]) : std::string("-"));
  return text;
}

std::string tensor_text(const Tensor& tensor) {
  constexpr size_t kMostShown = 8;
  std::string text = to_string(Type::of(tensor));
  if (tensor.size() > kMostShown) return text;
  if (tensor.dtype() == DataType::kFloat32)
    text += fmt::format(" {{{}}}", fmt::join(tensor.data<float>(), ", "));
  else if (is_integer(tensor.dtype()))
    text += fmt::format(" {{{}}}", fmt::join(to_int64s(tensor), ", "));
  return text;
}

std::string attribute_text(const AttributeValue& value) {
  struct Printer {
    std::string operator()(const Opaque&) const { return "opaque"; }
    std::string operator()(const Reference& v) const { return "@" + v.attribute; }
    std::string operator()(int64_t v) const { return std::to_string(v); }
    std::string operator()(float v) const { return fmt::format("{}f", v); }
    std::string operator()(const std::string& v) const { return "\"" + v + "\""; }
    std::string operator()(const Tensor& v) const { return tensor_text(v); }
    std::string operator()(const Subgraph&) const { return "graph"; }
    std::string operator()(const std::vector<int64_t>& v) const { return fmt::format("[{}]", fmt::join(v, ", ")); }
    std::string operator()(const std::vector<float>& v) const { return fmt::format("[{}]f", fmt::join(v, ", ")); }
    std::string operator()(const std::vector<std::string>& v) const { return fmt::format("{}", v); }
    std::string operator()(const std::vector<Tensor>& v) const { return fmt::format("{} tensors", v.size()); }
    std::string operator()(const std::vector<Subgraph>& v) const { return fmt::format("{} graphs", v.size()); }
  };
  return std::visit(Printer{}, value);
}

void dump_node(const Graph& graph, const Node& node, const std::string& indent, std::string& text) {
  text += indent + words(graph, node.outputs) + " = " + (node.is_onnx() ? "" : node.domain + ".") + node.op_type;
  text += "(" + words(graph, node.inputs) + ")";
  for (const Attribute& attribute : node.attributes)
    text += " " + attribute.name + "=" + attribute_text(attribute.value);
  if (!node.name.empty()) text += "  # " + node.name;
  text += "\n";
  for_each_subgraph(node, [&](const Subgraph& subgraph) {
    text += indent + "  captures " + words(graph, subgraph.captures) + "\n";
    dump_graph(*subgraph.graph, indent + "  ", text);
  });
}

void dump_graph(const Graph& graph, const std::string& indent, std::string& text) {
  for (const ValueId id : graph.inputs())
    text += indent + "input " + graph.name(id) + ": " + to_string(graph.type(id)) + "\n";
  for (const ValueId id : graph.captures()) text += indent + "capture " + graph.name(id) + "\n";
  for (const ValueId id : graph.initializers()) {
    const ValueRecord& record = graph.value(id);
    text += indent + "initializer " + record.name + ": " +
            (record.payload ? tensor_text(*record.payload) : to_string(record.type)) + "\n";
  }
  for (const NodeId id : graph.nodes()) dump_node(graph, graph.node(id), indent, text);
  for (const Output& output : graph.outputs())
    text += indent + "output " + output.name + " = " + graph.name(output.value) + "\n";
}

}  // namespace

std::string dump(const Graph& graph) {
  std::string text;
  dump_graph(graph, "", text);
  return text;
}

}  // namespace pli::ir
