#include "tests/passes/model_text.h"

#include "runtime/core/tensor.h"
#include "runtime/onnx/load.h"
#include "tests/passes/reference.h"

#include <fmt/ranges.h>
#include <onnx/defs/parser.h>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace pli::test {

namespace {

// --- text -> model --------------------------------------------------------------------------------------------------

namespace onnx = ::onnx;  // the distribution's messages, not those that Pli has compiled in

/// Calls visit(node) for each node of a graph and of the graphs that its nodes hold.
template <class Visit>
void for_each_node(onnx::GraphProto& graph, const Visit& visit) {
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    visit(node);
    for (onnx::AttributeProto& attribute : *node.mutable_attribute())
      if (attribute.has_g()) for_each_node(*attribute.mutable_g(), visit);
  }
}

/// The weights that nodes divide by the root of, and scales that may not be below zero.
std::set<std::string> names_above_zero(onnx::GraphProto& graph) {
  std::set<std::string> names;
  for_each_node(graph, [&](const onnx::NodeProto& node) {
    const int input = node.op_type() == "BatchNormalization" ? 4 : node.op_type() == "DequantizeLinear" ? 1 : -1;
    if (input >= 0 && input < node.input_size()) names.insert(node.input(input));
  });
  return names;
}

onnx::TensorProto random_tensor(const onnx::ValueInfoProto& info, uint32_t seed, bool above_zero) {
  const auto& type = info.type().tensor_type();
  onnx::TensorProto tensor;
  tensor.set_name(info.name());
  tensor.set_data_type(type.elem_type());
  Shape shape;
  for (const auto& dim : type.shape().dim()) {
    shape.push_back(dim.dim_value());
    tensor.add_dims(dim.dim_value());
  }
  const auto dtype = static_cast<DataType>(type.elem_type());
  if (!is_float(dtype)) {  // integers of up to 32 bits, which are all stored in the same list
    for (const double number : random_doubles(shape, seed, 0, 120).data)
      tensor.add_int32_data(static_cast<int32_t>(number));
    return tensor;
  }
  const Doubles numbers = random_doubles(shape, seed, above_zero ? 0.1 : -1, above_zero ? 3 : 1);
  const Tensor rounded = from_doubles(dtype, shape, numbers.data);
  tensor.set_raw_data(rounded.bytes().data(), rounded.bytes().size());
  return tensor;
}

void fill_weights(onnx::GraphProto& graph) {
  std::set<std::string> made;
  for (const onnx::NodeProto& node : graph.node()) made.insert(node.output().begin(), node.output().end());
  const std::set<std::string> above_zero = names_above_zero(graph);
  uint32_t seed = 1;
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> left;
  for (const onnx::ValueInfoProto& info : graph.value_info())
    if (made.contains(info.name()))
      *left.Add() = info;
    else
      *graph.add_initializer() = random_tensor(info, seed++, above_zero.contains(info.name()));
  graph.mutable_value_info()->Swap(&left);
}

// --- graph -> text --------------------------------------------------------------------------------------------------

constexpr size_t kLineLength = 100, kMostNumbers = 8, kLongestNumber = 6;

std::string type_name(DataType dtype) {
  return dtype == DataType::kFloat32 ? "float" : dtype == DataType::kFloat64 ? "double" : to_string(dtype);
}

std::string type_text(const ir::Type& type) {
  if (!type.dims) return type_name(type.dtype) + "[]";
  if (type.dims->empty()) return type_name(type.dtype);
  std::vector<std::string> dims;
  for (const ir::Dim& dim : *type.dims) dims.push_back(ir::to_string(dim));
  return fmt::format("{}[{}]", type_name(type.dtype), fmt::join(dims, ","));
}

/// Shortest of those that are read as this number.
template <class Float>
std::string number_text(Float number) {
  const std::string text = fmt::format("{}", number);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

/// " = {1, 2}", or nothing where that would be long.
std::string numbers_text(const Tensor& tensor) {
  if (tensor.size() > kMostNumbers || tensor.dtype() == DataType::kString) return {};
  std::vector<std::string> numbers;
  if (is_float(tensor.dtype()))
    for (const double number : to_doubles(tensor))
      numbers.push_back(tensor.dtype() == DataType::kFloat64 ? number_text(number)
                                                             : number_text(static_cast<float>(number)));
  else
    for (const int64_t number : to_int64s(tensor)) numbers.push_back(std::to_string(number));
  if (std::ranges::any_of(numbers, [](const std::string& number) { return number.size() > kLongestNumber; })) return {};
  return fmt::format(" = {{{}}}", fmt::join(numbers, ", "));
}

std::string constant_text(const ir::Graph& graph, ir::ValueId id) {
  const ir::ValueRecord& value = graph.value(id);
  return type_text(value.type) + " " + value.name + (value.payload ? numbers_text(*value.payload) : "");
}

/// Words between brackets, in as many lines as it takes.
std::string list_text(const std::string& open, const std::vector<std::string>& words, const std::string& close) {
  std::string text = open;
  size_t length = open.size();
  for (size_t i = 0; i < words.size(); ++i) {
    const bool breaks = i > 0 && length + words[i].size() + 2 > kLineLength;
    if (i > 0) text += breaks ? ",\n    " : ", ";
    length = (breaks ? 4 : length + 2) + words[i].size();
    text += words[i];
  }
  return text + close;
}

std::string graph_text(const ir::Graph& graph, const std::string& name, const std::string& indent);

std::string attribute_text(const ir::AttributeValue& value, const std::string& indent) {
  const auto list = [](const auto& words) { return fmt::format("[{}]", fmt::join(words, ", ")); };
  if (const auto* v = std::get_if<int64_t>(&value)) return std::to_string(*v);
  if (const auto* v = std::get_if<float>(&value)) return number_text(*v);
  if (const auto* v = std::get_if<std::string>(&value)) return "\"" + *v + "\"";
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value)) return list(*v);
  if (const auto* v = std::get_if<std::vector<float>>(&value)) return list(*v);
  if (const auto* v = std::get_if<Tensor>(&value)) return type_text(ir::Type::of(*v)) + numbers_text(*v).substr(2);
  if (const auto* v = std::get_if<ir::Subgraph>(&value)) return graph_text(*v->graph, "body", indent + "  ");
  return "?";
}

std::string node_text(const ir::Graph& graph, const ir::Node& node, const std::string& indent) {
  const auto names = [&](const std::vector<ir::ValueId>& ids) {
    std::vector<std::string> words;
    for (const ir::ValueId id : ids) words.push_back(id ? graph.name(id) : "");
    return fmt::format("{}", fmt::join(words, ", "));
  };
  std::vector<std::string> attributes;
  for (const ir::Attribute& attribute : node.attributes)
    attributes.push_back(attribute.name + " = " + attribute_text(attribute.value, indent));
  return names(node.outputs) + " = " + (node.is_onnx() ? "" : node.domain + ".") + node.op_type +
         (attributes.empty() ? "" : fmt::format(" <{}> ", fmt::join(attributes, ", "))) + "(" + names(node.inputs) +
         ")";
}

std::string graph_text(const ir::Graph& graph, const std::string& name, const std::string& indent) {
  std::vector<std::string> inputs, outputs, constants;
  for (const ir::ValueId id : graph.inputs()) inputs.push_back(constant_text(graph, id));
  for (const ir::ValueId id : graph.initializers()) constants.push_back(constant_text(graph, id));
  for (const ir::Output& output : graph.outputs())
    outputs.push_back(type_text(graph.type(output.value)) + " " + output.name);
  std::string text = list_text(name + " (", inputs, ") => ") + list_text("(", outputs, ")\n" + indent);
  if (!constants.empty()) text += list_text("<", constants, ">\n" + indent);
  text += "{\n";
  for (const ir::NodeId id : graph.nodes()) text += indent + "  " + node_text(graph, graph.node(id), indent) + "\n";
  for (const ir::Output& output : graph.outputs())
    if (output.name != graph.name(output.value))
      text += indent + "  " + output.name + " = Identity(" + graph.name(output.value) + ")\n";
  return text + indent + "}";
}

}  // namespace

ir::Model model_of(const std::string& text) {
  const std::string header = text.starts_with("<") ? "" : "<ir_version: 8, opset_import: [\"\" : 17]>\n";
  onnx::ModelProto proto;
  const auto status = onnx::OnnxParser::Parse(proto, (header + text).c_str());
  if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  for_each_node(*proto.mutable_graph(), [](onnx::NodeProto& node) {
    if (node.output_size() > 0) node.set_name(node.output(0));
  });
  fill_weights(*proto.mutable_graph());
  const std::string bytes = proto.SerializeAsString();
  return parse_model(std::as_bytes(std::span(bytes)), Limits{});
}

std::string text_of(const ir::Graph& graph, const std::string& name) { return graph_text(graph, name, ""); }

}  // namespace pli::test
