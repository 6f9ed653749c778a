#include "passes/pipeline.h"
#include "tests/onnx/protos.h"

#include <google/protobuf/unknown_field_set.h>

#include <functional>

namespace pli::test {

namespace {

void add_unknown(google::protobuf::Message& message, int field, const std::string& text) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(field, text);
}

/// A field that ONNX 1.12 does not know. Where the schema of this build does, it is one like others.
void add_newer(google::protobuf::Message& message, int field, const std::string& content) {
  google::protobuf::UnknownFieldSet fields;
  fields.AddLengthDelimited(field, content);
  std::string bytes;
  ASSERT_TRUE(fields.SerializeToString(&bytes) && message.MergeFromString(bytes));
}

/// What the first string of a message makes: the key of an entry, an id, a name.
std::string first_string(const std::string& text) {
  onnx::StringStringEntryProto entry;
  entry.set_key(text);
  return entry.SerializeAsString();
}

/// Gives the message and everything in it a field that no version of ONNX knows, each with a text of its own.
void mark_all(google::protobuf::Message& message, int& counter) {
  add_unknown(message, 1000, "mark " + std::to_string(counter++));
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated())
      mark_all(*reflection.MutableMessage(&message, field), counter);
    else
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        mark_all(*reflection.MutableRepeatedMessage(&message, field, i), counter);
  }
}

onnx::SparseTensorProto sparse(const std::string& name) {
  onnx::SparseTensorProto proto;
  *proto.mutable_values() = floats(name, {2}, {1.5f, 2.5f});
  proto.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  proto.mutable_indices()->add_dims(2);
  proto.mutable_indices()->add_int64_data(0);
  proto.mutable_indices()->add_int64_data(3);
  proto.add_dims(5);
  return proto;
}

onnx::AttributeProto attribute(const std::string& name) {
  onnx::AttributeProto proto;
  proto.set_name(name);
  proto.set_doc_string("about " + name);
  return proto;
}

/// A model with one of everything.
onnx::ModelProto full_model() {
  onnx::ModelProto model = small_model();
  add_import(model, "custom", 3);
  model.set_producer_name("producer");
  model.set_producer_version("1.2");
  model.set_domain("org.example");
  model.set_model_version(7);
  model.set_doc_string("a model");
  auto& property = *model.add_metadata_props();
  property.set_key("key");
  property.set_value("value");
  auto& training = *model.add_training_info();
  *training.mutable_algorithm()->add_initializer() = floats("rate", {1}, {0.1f});
  *training.mutable_initialization()->add_node() = node("RandomNormal", {}, {"start"});
  auto& function = *model.add_functions();
  function.set_name("Twice");
  function.set_domain("custom");
  function.add_input("a");
  function.add_output("b");
  function.add_attribute("alpha");
  auto& import = *function.add_opset_import();
  import.set_version(15);
  *function.add_node() = node("Add", {"a", "a"}, {"b"});
  auto& reference = *function.mutable_node(0)->add_attribute();
  reference.set_name("beta");
  reference.set_ref_attr_name("alpha");

  auto& graph = *model.mutable_graph();
  graph.set_doc_string("a graph");
  graph.mutable_initializer(0)->set_doc_string("a weight");
  *graph.add_sparse_initializer() = sparse("rare");
  *graph.add_value_info() = declare("sum", 1, {2, 3});
  *graph.add_value_info() = declare("w", 1, {2, 3});
  *graph.add_value_info() = declare("nowhere", 1, {9});
  auto& symbolic = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0);
  symbolic.set_dim_param("batch");
  symbolic.set_denotation("DATA_BATCH");
  graph.mutable_input(0)->mutable_type()->set_denotation("IMAGE");
  graph.mutable_input(0)->set_doc_string("an input");
  graph.mutable_output(0)->set_doc_string("an output");
  auto& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("sum");
  auto& parameter = *annotation.add_quant_parameter_tensor_names();
  parameter.set_key("SCALE_TENSOR");
  parameter.set_value("w");

  auto& other = *graph.add_node();
  other = node("Strange", {"x", "", "rare"}, {"", "strange"}, "odd one");
  other.set_domain("custom");
  other.set_doc_string("a node");
  const auto add = [&](const std::string& name) -> onnx::AttributeProto& {
    return *other.add_attribute() = attribute(name);
  };
  add("f").set_f(0.5f);
  add("i").set_i(-3);
  add("s").set_s(std::string("\0\xff text", 7));
  *add("t").mutable_t() = floats("inner", {1, 2}, {1, 2});
  add("floats").add_floats(2.5f);
  add("ints").add_ints(11);
  add("strings").add_strings("one");
  auto& tensors = add("tensors");
  *tensors.add_tensors() = floats("first", {1}, {3});
  *tensors.add_tensors() = floats("second", {2}, {4, 5});
  *add("sparse").mutable_sparse_tensor() = sparse("s");
  *add("sparses").add_sparse_tensors() = sparse("ss");
  add("type").mutable_tp()->mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type()->set_elem_type(1);
  add("types").add_type_protos()->mutable_optional_type();
  onnx::GraphProto nested;
  nested.set_name("nested");
  *nested.add_initializer() = floats("k", {2, 3}, {1, 2, 3, 4, 5, 6});
  *nested.add_node() = node("Mul", {"sum", "k"}, {"product"});
  *nested.add_output() = declare("product", 1, {2, 3});
  *add("g").mutable_g() = nested;
  *add("graphs").add_graphs() = nested;
  add("graphs2").add_graphs();
  add("ints_without_type").add_ints(5);
  for (auto& each : *other.mutable_attribute()) {
    if (each.has_f()) each.set_type(onnx::AttributeProto::FLOAT);
    if (each.has_i()) each.set_type(onnx::AttributeProto::INT);
    if (each.has_s()) each.set_type(onnx::AttributeProto::STRING);
    if (each.has_t()) each.set_type(onnx::AttributeProto::TENSOR);
    if (each.has_g()) each.set_type(onnx::AttributeProto::GRAPH);
    if (each.has_tp()) each.set_type(onnx::AttributeProto::TYPE_PROTO);
    if (each.has_sparse_tensor()) each.set_type(onnx::AttributeProto::SPARSE_TENSOR);
    if (each.floats_size()) each.set_type(onnx::AttributeProto::FLOATS);
    if (each.ints_size()) each.set_type(onnx::AttributeProto::INTS);
    if (each.strings_size()) each.set_type(onnx::AttributeProto::STRINGS);
    if (each.tensors_size()) each.set_type(onnx::AttributeProto::TENSORS);
    if (each.graphs_size()) each.set_type(onnx::AttributeProto::GRAPHS);
    if (each.type_protos_size()) each.set_type(onnx::AttributeProto::TYPE_PROTOS);
    if (each.sparse_tensors_size()) each.set_type(onnx::AttributeProto::SPARSE_TENSORS);
  }
  return model;
}

TEST(UnknownFields, OptimizingKeepsWhatOnlyAnnotationsAndTrainingRefersTo) {
  onnx::ModelProto model = full_model();
  auto& graph = *model.mutable_graph();
  *graph.add_output() = declare("strange", 1, {2, 3});  // so that its maker is needed
  auto& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("sum");
  auto& zero_point = *annotation.add_quant_parameter_tensor_names();
  zero_point.set_key("ZERO_POINT_TENSOR");
  zero_point.set_value("zero_point");
  *graph.add_initializer() = floats("zero_point", {1}, {3});
  *graph.add_initializer() = floats("momentum", {1}, {3});
  *graph.add_initializer() = floats("gradient", {1}, {4});
  *graph.add_initializer() = floats("nested gradient", {1}, {5});
  onnx::GraphProto body;
  *body.add_node() = node("Neg", {"nested gradient"}, {"negative"});
  auto& training = *model.mutable_training_info(0);
  auto& step = *training.mutable_algorithm()->add_node() = node("If", {"gradient"}, {"next"});
  *step.add_attribute() = graph_attribute("then_branch", body);
  auto& update = *training.add_update_binding();
  update.set_key("momentum");
  update.set_value("next");
  ir::Model parsed = parse(model);
  (void)passes::run(parsed, {});
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(UnknownFields, AModelWithOneOfEverythingComesBackTheSame) {
  const onnx::ModelProto model = full_model();
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

TEST(UnknownFields, SurviveInEveryKindOfMessage) {
  onnx::ModelProto model = full_model();
  int counter = 0;
  mark_all(model, counter);
  const onnx::ModelProto result = round_trip(model);
  EXPECT_GE(counter, 100);
  EXPECT_EQ(unknown_fields(model).size(), static_cast<size_t>(counter));
  EXPECT_EQ(unknown_fields(model), unknown_fields(result));
  EXPECT_TRUE(same_meaning(model, result));
}

TEST(UnknownFields, WhatNewerVersionsOfOnnxAddedSurvives) {
  onnx::ModelProto model = full_model();
  auto& graph = *model.mutable_graph();
  add_newer(*graph.mutable_node(0), 8, "an overload");
  add_newer(*graph.mutable_node(0), 9, first_string("metadata_props of a node"));
  add_newer(*graph.mutable_node(1), 10, first_string("device configurations of a node"));
  add_newer(*graph.mutable_initializer(0), 16, first_string("metadata_props of a tensor"));
  add_newer(*graph.mutable_input(0), 4, first_string("metadata_props of a value"));
  add_newer(graph, 16, first_string("metadata_props of a graph"));
  add_newer(*model.mutable_functions(0), 12, first_string("a value of a function"));
  add_newer(*model.mutable_functions(0), 13, "an overload of a function");
  add_newer(*model.mutable_functions(0), 14, first_string("metadata_props of a function"));
  add_newer(model, 26, first_string("configuration of the model"));
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

TEST(UnknownFields, AnAttributeOfATypeThatIsNotKnownSurvives) {
  onnx::ModelProto model = small_model();
  auto& strange = *model.mutable_graph()->mutable_node(0)->add_attribute();
  strange.set_name("strange");
  strange.GetReflection()->MutableUnknownFields(&strange)->AddVarint(20, 77);  // the type
  add_unknown(strange, 50, "the value");
  const ir::Model parsed = parse(model);
  const ir::Node& first = parsed.graph.node(parsed.graph.nodes().front());
  EXPECT_TRUE(std::holds_alternative<ir::Opaque>(first.attribute("strange")->value));
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(UnknownFields, CallsOfFunctionsAreToldFromOperators) {
  onnx::ModelProto model = full_model();
  auto& function = *model.mutable_functions(0);
  function.set_domain("ai.onnx");
  function.set_name("Relu");
  auto& graph = *model.mutable_graph();
  onnx::GraphProto nested;
  *nested.add_node() = node("Relu", {"x"}, {"n"});
  *nested.add_node() = node("Neg", {"n"}, {"m"});
  *graph.mutable_node(0)->add_attribute() = graph_attribute("body", nested);
  const auto calls = [&] {
    const ir::Model parsed = parse(model);
    std::vector<std::string> names;
    const std::function<void(const ir::Graph&)> visit = [&](const ir::Graph& each) {
      for (const ir::NodeId id : each.nodes()) {
        if (each.node(id).function) names.push_back(each.name(each.node(id).outputs[0]));
        ir::for_each_subgraph(each.node(id), [&](const ir::Subgraph& inner) { visit(*inner.graph); });
      }
    };
    visit(parsed.graph);
    EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
    return names;
  };
  EXPECT_EQ(calls(), (std::vector<std::string>{"n", "y"}));
  add_newer(function, 13, "an overload");
  EXPECT_EQ(calls(), std::vector<std::string>{});
  add_newer(*graph.mutable_node(1), 8, "an overload");
  EXPECT_EQ(calls(), std::vector<std::string>{"y"});
}

TEST(UnknownFields, TwoFunctionsOfOneNameMayDifferInTheirOverload) {
  onnx::ModelProto model = full_model();
  onnx::FunctionProto second = model.functions(0);
  *second.mutable_node(0) = node("Twice", {"a"}, {"b"});
  second.mutable_node(0)->set_domain("custom");
  add_newer(second, 13, "calls the other");
  *model.add_functions() = second;
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

}  // namespace

}  // namespace pli::test
