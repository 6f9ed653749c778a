#pragma once

#include "runtime/ir/graph.h"
#include "tests/expect_error.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace pli::test {

namespace onnx = ::onnx;  // the distribution's messages, not those that Pli has compiled in

inline onnx::ValueInfoProto declare(const std::string& name, int32_t dtype, std::initializer_list<int64_t> dims) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(dtype);
  tensor.mutable_shape();
  for (const int64_t dim : dims) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
  return info;
}

inline onnx::NodeProto node(const std::string& op_type, const std::vector<std::string>& inputs,
                            const std::vector<std::string>& outputs, const std::string& name = {}) {
  onnx::NodeProto proto;
  proto.set_op_type(op_type);
  for (const auto& input : inputs) proto.add_input(input);
  for (const auto& output : outputs) proto.add_output(output);
  if (!name.empty()) proto.set_name(name);
  return proto;
}

inline onnx::TensorProto floats(const std::string& name, std::initializer_list<int64_t> dims,
                                const std::vector<float>& values) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor;
}

inline void add_import(onnx::ModelProto& model, const std::string& domain, int64_t version) {
  auto& import = *model.add_opset_import();
  import.set_domain(domain);
  import.set_version(version);
}

/// y = Relu(x + w): x and y float32[2, 3], w an initializer of that shape.
inline onnx::ModelProto small_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  add_import(model, "", 15);
  auto& graph = *model.mutable_graph();
  graph.set_name("small");
  *graph.add_input() = declare("x", 1, {2, 3});
  *graph.add_output() = declare("y", 1, {2, 3});
  *graph.add_initializer() = floats("w", {2, 3}, {1, 2, 3, 4, 5, 6.5f});
  *graph.add_node() = node("Add", {"x", "w"}, {"sum"}, "add");
  *graph.add_node() = node("Relu", {"sum"}, {"y"}, "relu");
  return model;
}

inline onnx::AttributeProto graph_attribute(const std::string& name, const onnx::GraphProto& graph) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::GRAPH);
  *attribute.mutable_g() = graph;
  return attribute;
}

/// The model through load and save, both in memory.
onnx::ModelProto round_trip(const onnx::ModelProto& model);

ir::Model parse(const onnx::ModelProto& model);
onnx::ModelProto to_proto(const ir::Model& model);

/// Brings a model into the form in which two that mean the same are equal: payloads raw, lists that are sets sorted,
/// empty fields absent.
void normalize(onnx::ModelProto& model);

/// The unknown fields of a message and all within it, as "<message type> <bytes>", sorted.
std::vector<std::string> unknown_fields(const google::protobuf::Message& message);

/// Equal after normalization, unknown fields included.
testing::AssertionResult same_meaning(onnx::ModelProto a, onnx::ModelProto b);

}  // namespace pli::test
