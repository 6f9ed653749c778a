#include "runtime/onnx/save.h"
#include "tests/onnx/protos.h"

#include <algorithm>

namespace pli::test {

namespace {

using ir::ValueId;
using ir::ValueKind;

std::vector<std::string> op_types(const onnx::GraphProto& graph) {
  std::vector<std::string> types;
  for (const auto& each : graph.node()) types.push_back(each.op_type());
  return types;
}

ir::NodeId find_node(const ir::Graph& graph, const std::string& op_type) {
  for (const ir::NodeId id : graph.nodes())
    if (graph.node(id).op_type == op_type) return id;
  return {};
}

// --- order and names -------------------------------------------------------------------------------------------------

TEST(LoadGraph, SortsNodesAndKeepsTheOrderOfThoseThatDoNotWait) {
  onnx::ModelProto model = small_model();
  auto& graph = *model.mutable_graph();
  graph.clear_node();
  *graph.add_node() = node("Neg", {"b"}, {"c"});
  *graph.add_node() = node("Sin", {"x"}, {"s"});
  *graph.add_node() = node("Abs", {"a"}, {"b"});
  *graph.add_node() = node("Exp", {"x"}, {"a"});
  *graph.add_node() = node("Add", {"c", "s"}, {"y"});
  const onnx::ModelProto result = round_trip(model);
  EXPECT_EQ(op_types(result.graph()), (std::vector<std::string>{"Sin", "Exp", "Abs", "Neg", "Add"}));
}

TEST(LoadGraph, SortsANodeWhoseNestedGraphWaits) {
  onnx::ModelProto model = small_model();
  auto& graph = *model.mutable_graph();
  graph.clear_node();
  *graph.add_input() = declare("condition", onnx::TensorProto::BOOL, {});
  onnx::GraphProto branch;
  *branch.add_node() = node("Neg", {"late"}, {"inner"});
  *branch.add_output() = declare("inner", 1, {2, 3});
  auto& choice = *graph.add_node() = node("If", {"condition"}, {"y"});
  *choice.add_attribute() = graph_attribute("then_branch", branch);
  *choice.add_attribute() = graph_attribute("else_branch", branch);
  *graph.add_node() = node("Exp", {"x"}, {"late"});
  const ir::Model parsed = parse(model);
  EXPECT_EQ(op_types(to_proto(parsed).graph()), (std::vector<std::string>{"Exp", "If"}));
  EXPECT_EQ(parsed.graph.uses(parsed.graph.find("late")).size(), 2u);
}

TEST(LoadGraph, KeepsOptionalInputsAndOutputsThatAreLeftOut) {
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->mutable_node(0) = node("Strange", {"", "x", ""}, {"", "sum", ""});
  const ir::Model parsed = parse(model);
  const ir::Node& strange = parsed.graph.node(parsed.graph.nodes().front());
  EXPECT_FALSE(strange.inputs[0]);
  EXPECT_TRUE(strange.inputs[1]);
  EXPECT_EQ(strange.outputs.size(), 3u);
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

// --- nested graphs ---------------------------------------------------------------------------------------------------

/// y = If(c, branch, branch), where branch holds If(c2, inner, inner), where inner uses x, sum of the main graph and m
/// of the branch.
onnx::ModelProto nested_model() {
  onnx::ModelProto model = small_model();
  auto& graph = *model.mutable_graph();
  *graph.add_input() = declare("condition", onnx::TensorProto::BOOL, {});
  onnx::GraphProto inner;
  inner.set_name("inner");
  *inner.add_node() = node("Sum", {"x", "sum", "m"}, {"total"});
  *inner.add_output() = declare("total", 1, {2, 3});
  onnx::GraphProto branch;
  branch.set_name("branch");
  *branch.add_node() = node("Neg", {"x"}, {"m"});
  auto& nested = *branch.add_node() = node("If", {"condition"}, {"out"});
  *nested.add_attribute() = graph_attribute("then_branch", inner);
  *nested.add_attribute() = graph_attribute("else_branch", inner);
  *branch.add_output() = declare("out", 1, {2, 3});
  auto& choice = *graph.mutable_node(1) = node("If", {"condition"}, {"y"}, "choice");
  *choice.add_attribute() = graph_attribute("then_branch", branch);
  *choice.add_attribute() = graph_attribute("else_branch", branch);
  return model;
}

TEST(NestedGraphs, CaptureWhatTheyUseThroughEveryLevel) {
  const onnx::ModelProto model = nested_model();
  const ir::Model parsed = parse(model);
  const ir::Graph& graph = parsed.graph;
  const auto captured_names = [](const ir::Graph& around, const ir::Subgraph& subgraph) {
    std::vector<std::string> names;
    for (const ValueId id : subgraph.captures) names.push_back(around.name(id));
    std::ranges::sort(names);
    return names;
  };
  const auto& branch = std::get<ir::Subgraph>(graph.node(find_node(graph, "If")).attribute("then_branch")->value);
  EXPECT_EQ(captured_names(graph, branch), (std::vector<std::string>{"condition", "sum", "x"}));
  const auto& inner =
      std::get<ir::Subgraph>(branch.graph->node(find_node(*branch.graph, "If")).attribute("else_branch")->value);
  EXPECT_EQ(captured_names(*branch.graph, inner), (std::vector<std::string>{"m", "sum", "x"}));
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(NestedGraphs, AnInnerNameHidesAnOuterOne) {
  onnx::ModelProto model = nested_model();
  auto& branch = *model.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  *branch.add_node() = node("Exp", {"x"}, {"sum"});  // behind its user, and named like a value of the main graph
  const ir::Model parsed = parse(model);
  const auto& attribute = parsed.graph.node(find_node(parsed.graph, "If")).attribute("then_branch")->value;
  const auto& subgraph = std::get<ir::Subgraph>(attribute);
  EXPECT_EQ(subgraph.captures.size(), 2u);  // condition and x
  EXPECT_EQ(subgraph.graph->value(subgraph.graph->find("sum")).kind, ValueKind::kNodeOutput);
  onnx::ModelProto sorted = model;
  auto& nodes = *sorted.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g()->mutable_node();
  nodes.SwapElements(1, 2);
  EXPECT_TRUE(same_meaning(sorted, to_proto(parsed)));
}

TEST(NestedGraphs, NewNamesAreNewInEveryGraph) {
  ir::Model parsed = parse(nested_model());
  EXPECT_EQ(parsed.graph.unique_name("total"), "total_1");
  const auto& attribute = parsed.graph.node(find_node(parsed.graph, "If")).attribute("then_branch")->value;
  ir::Graph branch = *std::get<ir::Subgraph>(attribute).graph;
  EXPECT_EQ(branch.unique_name("w"), "w_1");
  EXPECT_EQ(branch.unique_name("fresh"), "fresh");
}

TEST(NestedGraphs, AreSavedWithTheNamesThatTheirCapturesHaveNow) {
  ir::Model parsed = parse(nested_model());
  ir::Graph& graph = parsed.graph;
  // "sum" gives way to a value named like one of the nested graph's own.
  const ir::NodeId made =
      graph.add_node({.op_type = "Mul", .inputs = {graph.find("x"), graph.find("w")}, .outputs = {{.name = "total"}}},
                     find_node(graph, "If"));
  graph.replace_all_uses(graph.find("sum"), graph.node(made).outputs[0]);
  graph.erase_dead();
  graph.verify();
  const onnx::ModelProto saved = to_proto(parsed);
  const onnx::GraphProto& inner = saved.graph().node(1).attribute(0).g().node(1).attribute(0).g();
  EXPECT_EQ(inner.node(0).input(1), "total");
  EXPECT_EQ(inner.node(0).output(0), "total_1");
  EXPECT_EQ(inner.output(0).name(), "total_1");
  parse(saved).graph.verify();
}

TEST(NestedGraphs, AnOutputThatIsAnOuterValueGetsAnIdentity) {
  onnx::ModelProto model = nested_model();
  auto& branch = *model.mutable_graph()->mutable_node(1)->mutable_attribute(0)->mutable_g();
  *branch.mutable_output(0) = declare("sum", 1, {2, 3});
  const onnx::ModelProto saved = round_trip(model);
  const onnx::GraphProto& result = saved.graph().node(1).attribute(0).g();
  const onnx::NodeProto& last = result.node(result.node_size() - 1);
  EXPECT_EQ(last.op_type(), "Identity");
  EXPECT_EQ(last.input(0), "sum");
  EXPECT_EQ(last.output(0), result.output(0).name());
  EXPECT_NE(last.output(0), "sum");
}

TEST(NestedGraphs, MayReturnOneValueTwice) {
  onnx::ModelProto model = nested_model();
  for (auto& attribute : *model.mutable_graph()->mutable_node(1)->mutable_attribute())
    *attribute.mutable_g()->add_output() = attribute.g().output(0);
  model.mutable_graph()->mutable_node(1)->add_output("again");
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

// --- outputs ---------------------------------------------------------------------------------------------------------

TEST(SaveGraph, OutputsKeepTheirNamesWhateverTheyAreBoundTo) {
  onnx::ModelProto model = small_model();
  for (const char* name : {"sum", "copy"}) *model.mutable_graph()->add_output() = declare(name, 1, {2, 3});
  *model.mutable_graph()->add_node() = node("Identity", {"x"}, {"copy"});
  ir::Model parsed = parse(model);
  ir::Graph& graph = parsed.graph;
  graph.replace_all_uses(graph.find("copy"), graph.find("x"));  // an input
  graph.replace_all_uses(graph.find("sum"), graph.find("w"));   // an initializer, which Relu uses too
  graph.erase_dead();
  const onnx::ModelProto saved = to_proto(parsed);
  EXPECT_EQ(op_types(saved.graph()), (std::vector<std::string>{"Relu", "Identity", "Identity"}));
  const ir::Model again = parse(saved);
  ASSERT_EQ(again.graph.outputs().size(), 3u);
  EXPECT_EQ(again.graph.outputs()[0].name, "y");
  EXPECT_EQ(again.graph.outputs()[1].name, "sum");
  EXPECT_EQ(again.graph.outputs()[2].name, "copy");
  EXPECT_EQ(again.graph.inputs().size(), 1u);
}

TEST(SaveGraph, AValueWithTwoOutputNamesIsMadeUnderOneAndCopiedToTheOther) {
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->add_output() = declare("z", 1, {2, 3});
  *model.mutable_graph()->add_node() = node("Relu", {"sum"}, {"z"});
  ir::Model parsed = parse(model);
  parsed.graph.replace_all_uses(parsed.graph.find("y"), parsed.graph.find("z"));
  parsed.graph.erase_dead();
  const onnx::ModelProto saved = to_proto(parsed);
  ASSERT_EQ(op_types(saved.graph()), (std::vector<std::string>{"Add", "Relu", "Identity"}));
  EXPECT_EQ(saved.graph().node(1).output(0), "z");
  EXPECT_EQ(saved.graph().node(2).output(0), "y");
  EXPECT_EQ(saved.graph().output(0).name(), "y");
}

TEST(SaveGraph, AValueInTheWayOfAnOutputGetsAnotherName) {
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->add_output() = declare("z", 1, {2, 3});
  *model.mutable_graph()->add_node() = node("Neg", {"y"}, {"z"});
  *model.mutable_graph()->add_node() = node("Exp", {"x"}, {"y_1"});
  ir::Model parsed = parse(model);
  // The output y becomes Exp's result, while Neg still uses the old y.
  parsed.graph.bind_output(0, parsed.graph.find("y_1"));
  const onnx::ModelProto saved = to_proto(parsed);
  const ir::Model again = parse(saved);
  const ir::Graph& graph = again.graph;
  const auto op = [&](ValueId id) { return graph.node(graph.producer(id)).op_type; };
  EXPECT_EQ(op(graph.outputs()[0].value), "Exp");
  EXPECT_EQ(op(graph.outputs()[1].value), "Neg");
  EXPECT_EQ(op(graph.node(graph.producer(graph.outputs()[1].value)).inputs[0]), "Relu");
}

TEST(SaveGraph, AnOutputThatIsAnInputOrInitializerOfTheSameNameStays) {
  onnx::ModelProto model = small_model();
  for (const char* name : {"x", "w"}) *model.mutable_graph()->add_output() = declare(name, 1, {2, 3});
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

TEST(SaveGraph, TypesThatHaveChangedAreWrittenAndTheRestOfADeclarationStays) {
  onnx::ModelProto model = small_model();
  auto& shape = *model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.mutable_dim(0)->set_dim_param("batch");
  shape.mutable_dim(0)->set_denotation("DATA_BATCH");
  shape.mutable_dim(1)->clear_value();
  ir::Model parsed = parse(model);
  parsed.graph.set_type(parsed.graph.find("x"), ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim(2), ir::Dim()}));
  const onnx::ModelProto saved = to_proto(parsed);
  const auto& dims = saved.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(dims.dim(0).dim_value(), 2);
  EXPECT_EQ(dims.dim(0).denotation(), "DATA_BATCH");
  EXPECT_EQ(dims.dim(1).value_case(), onnx::TensorShapeProto::Dimension::VALUE_NOT_SET);
}

// --- initializers that are inputs as well ----------------------------------------------------------------------------

onnx::ModelProto model_with_default(int64_t ir_version) {
  onnx::ModelProto model = small_model();
  model.set_ir_version(ir_version);
  *model.mutable_graph()->add_input() = declare("w", 1, {2, 3});
  return model;
}

TEST(Defaults, AreConstantBeforeIrVersion4) {
  const onnx::ModelProto model = model_with_default(3);
  const ir::Model parsed = parse(model);
  const ValueId w = parsed.graph.find("w");
  EXPECT_EQ(parsed.graph.value(w).kind, ValueKind::kInput);
  ASSERT_TRUE(parsed.graph.constant_of(w));
  EXPECT_EQ(parsed.graph.constant_of(w)->data<float>()[5], 6.5f);
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(Defaults, CanBeOverriddenFromIrVersion4) {
  const onnx::ModelProto model = model_with_default(4);
  ir::Model parsed = parse(model);
  EXPECT_FALSE(parsed.graph.constant_of(parsed.graph.find("w")));
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
  EXPECT_EQ(parsed.graph.freeze_defaults(), std::vector<std::string>{"w"});
  EXPECT_TRUE(parsed.graph.constant_of(parsed.graph.find("w")));
  const onnx::ModelProto frozen = to_proto(parsed);
  EXPECT_EQ(frozen.graph().input_size(), 1);
  EXPECT_EQ(frozen.graph().initializer_size(), 1);
}

TEST(Defaults, AnInitializerThatIsNoInputRaisesTheIrVersion) {
  ir::Model parsed = parse(model_with_default(3));
  ir::Graph& graph = parsed.graph;
  const Tensor two = Tensor::copy<float>({1}, std::vector<float>{2});
  const ValueId added = graph.add_constant(two, "w");
  const ir::NodeId add = find_node(graph, "Add");
  const ir::NodeId scaled = graph.add_node(
      {.op_type = "Mul", .inputs = {graph.node(add).inputs[0], added}, .outputs = {{.name = graph.unique_name("sum")}}},
      add);
  (void)scaled;
  const onnx::ModelProto saved = to_proto(parsed);
  EXPECT_EQ(saved.ir_version(), 4);
  EXPECT_EQ(saved.graph().input_size(), 2);  // what the model takes does not change by saving
  EXPECT_EQ(saved.graph().initializer_size(), 2);
}

TEST(Defaults, StayInputsOfAnOldModelThatBreaksItsVersionsRule) {
  onnx::ModelProto model = model_with_default(3);
  *model.mutable_graph()->add_initializer() = floats("free", {1}, {1});
  onnx::ModelProto expected = model;
  expected.set_ir_version(4);
  EXPECT_TRUE(same_meaning(expected, round_trip(model)));
}

TEST(Defaults, OpaqueOnesStayWithTheirInputs) {
  onnx::ModelProto model = model_with_default(8);
  model.mutable_graph()->mutable_initializer(0)->set_data_type(99);
  model.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->set_elem_type(99);
  ir::Model parsed = parse(model);
  EXPECT_FALSE(parsed.graph.constant_of(parsed.graph.find("w")));
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
  EXPECT_EQ(parsed.graph.freeze_defaults(), std::vector<std::string>{"w"});
  EXPECT_EQ(to_proto(parsed).graph().input_size(), 1);
}

// --- operator sets ---------------------------------------------------------------------------------------------------

TEST(Opsets, OnnxHasTwoNames) {
  onnx::ModelProto model = small_model();
  model.mutable_opset_import(0)->set_domain("ai.onnx");
  model.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  const ir::Model parsed = parse(model);
  EXPECT_EQ(parsed.graph.opset(""), 15);
  EXPECT_EQ(parsed.graph.opset("ai.onnx"), 15);
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(Opsets, WereNotImportedBeforeIrVersion3) {
  onnx::ModelProto model = model_with_default(2);
  model.clear_opset_import();
  const ir::Model parsed = parse(model);
  EXPECT_EQ(parsed.graph.opset(""), 1);
  EXPECT_TRUE(same_meaning(model, to_proto(parsed)));
}

TEST(Opsets, ChangesAreSavedBesideWhatCame) {
  onnx::ModelProto model = small_model();
  add_import(model, "custom", 1);
  ir::Model parsed = parse(model);
  parsed.opsets = std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 17}, {"other", 2}});
  const onnx::ModelProto saved = to_proto(parsed);
  ASSERT_EQ(saved.opset_import_size(), 2);
  EXPECT_EQ(saved.opset_import(0).version(), 17);
  EXPECT_EQ(saved.opset_import(1).domain(), "other");
}

TEST(ModelsOfOurOwn, NeedNoDeclarations) {
  ir::Model model;
  model.ir_version = 8;
  model.opsets = std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 15}});
  ir::Graph graph(model.opsets);
  const ValueId x = graph.add_input("x", ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("n"), ir::Dim(3)}));
  const ir::NodeId relu = graph.add_node({.op_type = "Relu", .inputs = {x}, .outputs = {{.name = "y"}}});
  graph.add_output({"y", graph.node(relu).outputs[0], graph.type(x), {}});
  model.graph = std::move(graph);
  const onnx::ModelProto proto = to_proto(model);
  EXPECT_EQ(proto.graph().input(0).type().tensor_type().shape().dim(0).dim_param(), "n");
  EXPECT_EQ(proto.graph().output(0).type().tensor_type().shape().dim(1).dim_value(), 3);
  EXPECT_EQ(dump(parse(proto).graph), dump(model.graph));
}

}  // namespace

}  // namespace pli::test
