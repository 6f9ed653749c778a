#include "runtime/ir/inline_subgraph.h"
#include "tests/expect_error.h"

#include <ctime>
#include <functional>

namespace pli::ir {

namespace {

using test::fails_with;

constexpr ErrorCode kInternal = ErrorCode::kInternal;
constexpr ErrorCode kInvalid = ErrorCode::kInvalidModel;

const Type kType = Type::tensor(DataType::kFloat32, Dims{Dim("batch"), Dim(3)});

Tensor floats(std::vector<float> values) { return Tensor::copy<float>({static_cast<int64_t>(values.size())}, values); }

ValueId add(Graph& graph, const std::string& op_type, std::vector<ValueId> inputs, const std::string& output,
            NodeId before = {}) {
  const NodeId id =
      graph.add_node({.op_type = op_type, .inputs = std::move(inputs), .outputs = {{.name = output}}}, before);
  return graph.node(id).outputs[0];
}

std::vector<std::string> op_types(const Graph& graph) {
  std::vector<std::string> types;
  for (const NodeId id : graph.nodes()) types.push_back(graph.node(id).op_type);
  return types;
}

/// y = Relu(Add(x, w)).
struct SmallGraph {
  Graph graph{std::make_shared<OpsetImports>(OpsetImports{{"", 15}, {"custom", 2}})};
  ValueId x = graph.add_input("x", kType);
  ValueId w = graph.add_initializer("w", floats({1, 2, 3}));
  ValueId sum = add(graph, "Add", {x, w}, "sum");
  ValueId y = add(graph, "Relu", {sum}, "y");

  SmallGraph() { graph.add_output({"y", y, kType, {}}); }
};

// --- building --------------------------------------------------------------------------------------------------------

TEST(Graph, KnowsWhatIsInIt) {
  const SmallGraph small;
  const Graph& graph = small.graph;
  graph.verify();
  EXPECT_EQ(graph.inputs(), std::vector<ValueId>{small.x});
  EXPECT_EQ(graph.initializers(), std::vector<ValueId>{small.w});
  EXPECT_EQ(op_types(graph), (std::vector<std::string>{"Add", "Relu"}));
  EXPECT_EQ(graph.node_count(), 2u);
  EXPECT_EQ(graph.find("sum"), small.sum);
  EXPECT_FALSE(graph.find("nothing"));
  EXPECT_EQ(graph.node(graph.producer(small.y)).op_type, "Relu");
  EXPECT_FALSE(graph.producer(small.x));
  EXPECT_EQ(graph.uses(small.x), (std::set<Use>{{graph.producer(small.sum), 0}}));
  EXPECT_TRUE(graph.has_single_use(small.sum));
  EXPECT_TRUE(graph.is_output(small.y));
  EXPECT_FALSE(graph.has_single_use(small.y));
  EXPECT_EQ(graph.opset(""), 15);
  EXPECT_EQ(graph.opset("ai.onnx"), 15);
  EXPECT_EQ(graph.opset("custom"), 2);
  EXPECT_EQ(graph.opset("none"), 0);
  EXPECT_EQ(dump(graph),
            "input x: float32[batch, 3]\n"
            "initializer w: float32[3] {1, 2, 3}\n"
            "sum = Add(x, w)\n"
            "y = Relu(sum)\n"
            "output y = y\n");
}

TEST(Graph, NamesAreGivenOnce) {
  SmallGraph small;
  EXPECT_TRUE(fails_with(kInvalid, "\"x\" is given to two values", [&] { small.graph.add_input("x", {}); }));
  EXPECT_TRUE(fails_with(kInvalid, "\"y\" is given to two", [&] { small.graph.add_initializer("y", floats({1})); }));
  EXPECT_TRUE(fails_with(kInvalid, "empty name", [&] { small.graph.add_input("", {}); }));
}

TEST(Graph, UniqueNamesAvoidEverythingThatIsTakenOrReserved) {
  SmallGraph small;
  Graph& graph = small.graph;
  EXPECT_EQ(graph.unique_name("z"), "z");
  EXPECT_EQ(graph.name(graph.add_constant(floats({1}), "w")), "w_1");
  graph.reserve_name("w_2");
  graph.reserve_names(std::make_shared<const NameSet>(NameSet{"w_3", "v"}));
  EXPECT_EQ(graph.unique_name("w"), "w_4");
  EXPECT_EQ(graph.unique_name("v"), "v_1");
  EXPECT_EQ(graph.unique_name(""), "value");
}

TEST(Graph, IdsThatAreNoneOrErasedAreRefused) {
  SmallGraph small;
  Graph& graph = small.graph;
  EXPECT_TRUE(fails_with(kInternal, "value -1", [&] { (void)graph.value({}); }));
  EXPECT_TRUE(fails_with(kInternal, "value 99", [&] { (void)graph.value(ValueId{99}); }));
  EXPECT_TRUE(fails_with(kInternal, "node -1", [&] { (void)graph.node({}); }));
  EXPECT_TRUE(fails_with(kInternal, "value 99", [&] { add(graph, "Neg", {ValueId{99}}, "n"); }));
  const ValueId dead = add(graph, "Neg", {small.x}, "dead");
  const NodeId node = graph.producer(dead);
  EXPECT_EQ(graph.erase_dead(), 1);
  EXPECT_FALSE(graph.alive(dead));
  EXPECT_FALSE(graph.alive(node));
  EXPECT_TRUE(fails_with(kInternal, "does not exist", [&] { (void)graph.value(dead); }));
  EXPECT_TRUE(fails_with(kInternal, "does not exist", [&] { (void)graph.node(node); }));
}

TEST(Graph, ACopyIsIndependentAndSharesPayloads) {
  SmallGraph small;
  const Graph copy = small.graph;
  add(small.graph, "Neg", {small.x}, "n");
  EXPECT_EQ(copy.node_count(), 2u);
  EXPECT_FALSE(copy.find("n"));
  EXPECT_EQ(copy.constant_of(small.w)->bytes().data(), small.graph.constant_of(small.w)->bytes().data());
  copy.verify();
}

TEST(Graph, TakesBackTheConstantsOfACopy) {
  SmallGraph small;
  small.graph.set_constant(small.w, floats({4, 5, 6}));  // the original's own stays
  Graph copy = small.graph;
  copy.set_constant(small.x, floats({7}));
  copy.set_constant(small.sum, floats({8, 9}));
  copy.set_constant(small.w, floats({1}));
  ASSERT_TRUE(copy.restore_constants(small.graph));
  EXPECT_FALSE(copy.constant_of(small.x));
  EXPECT_FALSE(copy.constant_of(small.sum));
  EXPECT_TRUE(identical(*copy.constant_of(small.w), floats({4, 5, 6})));
  for (const ValueId id : {small.x, small.sum, small.w}) EXPECT_EQ(copy.type(id), small.graph.type(id));
  copy.set_constant(small.sum, floats({8}));  // and again
  ASSERT_TRUE(copy.restore_constants(small.graph));
  EXPECT_FALSE(copy.constant_of(small.sum));

  const auto is_refused = [&](Graph changed) { return !changed.restore_constants(small.graph); };
  Graph with_node = small.graph, without_node = small.graph, other_output = small.graph, other_value = small.graph;
  add(with_node, "Neg", {small.y}, "z");
  without_node.bind_output(0, small.sum);
  without_node.erase_dead();
  other_output.bind_output(0, small.x);
  other_value.add_constant(floats({1}), "more");
  EXPECT_TRUE(is_refused(with_node));
  EXPECT_TRUE(is_refused(without_node));
  EXPECT_TRUE(is_refused(other_output));
  EXPECT_TRUE(is_refused(other_value));
}

// --- rewriting -------------------------------------------------------------------------------------------------------

TEST(Rewriting, ANodeIsReplacedByAnother) {
  SmallGraph small;
  Graph& graph = small.graph;
  const ValueId product = add(graph, "Mul", {small.x, small.w}, "product", graph.producer(small.sum));
  EXPECT_EQ(op_types(graph), (std::vector<std::string>{"Mul", "Add", "Relu"}));
  graph.replace_all_uses(small.sum, product);
  EXPECT_TRUE(graph.uses(small.sum).empty());
  EXPECT_EQ(graph.erase_dead(), 1);
  graph.verify();
  EXPECT_EQ(op_types(graph), (std::vector<std::string>{"Mul", "Relu"}));
  EXPECT_EQ(graph.node(graph.producer(small.y)).inputs[0], product);
  EXPECT_FALSE(graph.find("sum"));
}

TEST(Rewriting, OutputsFollowAndKeepTheirNames) {
  SmallGraph small;
  Graph& graph = small.graph;
  graph.add_output({"again", small.y, {}, {}});
  graph.replace_all_uses(small.y, small.sum);
  graph.verify();
  EXPECT_EQ(graph.outputs()[0].name, "y");
  EXPECT_EQ(graph.outputs()[0].value, small.sum);
  EXPECT_EQ(graph.outputs()[1].value, small.sum);
  EXPECT_FALSE(graph.is_output(small.y));
  EXPECT_EQ(graph.erase_dead(), 1);
  graph.bind_output(1, small.x);
  graph.bind_output(0, small.x);
  EXPECT_EQ(graph.erase_dead(), 1);
  EXPECT_TRUE(graph.initializers().empty());
  EXPECT_EQ(graph.node_count(), 0u);
  graph.verify();
}

TEST(Rewriting, AValueUsedTwiceByOneNodeIsReplacedTwice) {
  SmallGraph small;
  Graph& graph = small.graph;
  const ValueId twice = add(graph, "Add", {small.x, small.x}, "twice");
  graph.add_output({"twice", twice, {}, {}});
  graph.replace_all_uses(small.x, small.w);
  graph.verify();
  EXPECT_EQ(graph.node(graph.producer(twice)).inputs, (std::vector<ValueId>{small.w, small.w}));
  EXPECT_EQ(graph.uses(small.w).size(), 4u);
  graph.replace_all_uses(small.w, small.w);
  graph.verify();
}

TEST(Rewriting, WhatIsUsedIsNotErased) {
  SmallGraph small;
  Graph& graph = small.graph;
  EXPECT_TRUE(fails_with(kInternal, "while \"sum\" is used", [&] { graph.erase_node(graph.producer(small.sum)); }));
  EXPECT_TRUE(fails_with(kInternal, "while \"y\" is used", [&] { graph.erase_node(graph.producer(small.y)); }));
  EXPECT_EQ(graph.erase_dead(), 0);
  graph.verify();
}

TEST(Rewriting, DeadChainsGoAtOnceWithTheirInitializers) {
  SmallGraph small;
  Graph& graph = small.graph;
  const ValueId k = graph.add_initializer("k", floats({4}));
  const ValueId a = add(graph, "Mul", {small.x, k}, "a");
  add(graph, "Neg", {add(graph, "Exp", {a}, "b")}, "c");
  EXPECT_EQ(graph.erase_dead(), 3);
  EXPECT_FALSE(graph.alive(k));
  EXPECT_TRUE(graph.alive(small.x));
  graph.verify();
}

TEST(Rewriting, WhatIsPinnedStaysWithAllThatItNeeds) {
  SmallGraph small;
  Graph& graph = small.graph;
  const ValueId k = graph.add_initializer("k", floats({4}));
  const ValueId a = add(graph, "Mul", {small.x, k}, "a");
  add(graph, "Neg", {a}, "b");
  const ValueId lonely = graph.add_initializer("lonely", floats({5}));
  graph.pin("a");
  graph.pin("lonely");
  graph.pin("no value's name");
  EXPECT_TRUE(graph.is_pinned(a));
  EXPECT_FALSE(graph.is_pinned(k));
  EXPECT_EQ(graph.erase_dead(), 1);
  EXPECT_TRUE(graph.alive(a) && graph.alive(k) && graph.alive(lonely));
  graph.rename(lonely, "other");
  EXPECT_EQ(graph.erase_dead(), 0);
  EXPECT_FALSE(graph.alive(lonely));
  graph.verify();
}

TEST(Rewriting, NodesCanBeErasedAnywhereInTheList) {
  for (int erased = 0; erased < 3; ++erased) {
    Graph graph;
    const ValueId x = graph.add_input("x", kType);
    std::vector<NodeId> nodes;
    for (const char* name : {"a", "b", "c"}) nodes.push_back(graph.producer(add(graph, name, {x}, name)));
    graph.erase_node(nodes[static_cast<size_t>(erased)]);
    graph.verify();
    EXPECT_EQ(graph.node_count(), 2u);
    std::erase(nodes, nodes[static_cast<size_t>(erased)]);
    EXPECT_EQ(graph.nodes(), nodes);
  }
}

// --- constants -------------------------------------------------------------------------------------------------------

Attribute attribute(const std::string& name, AttributeValue value) { return {name, std::move(value), {}}; }

TEST(Constants, AreSeenInEveryForm) {
  Graph graph;
  const auto constant = [&](Attribute value) {
    const NodeId id = graph.add_node(
        {.op_type = "Constant", .outputs = {{.name = graph.unique_name("c")}}, .attributes = {std::move(value)}});
    return graph.constant_of(graph.node(id).outputs[0]);
  };
  EXPECT_EQ(constant(attribute("value", floats({1, 2})))->data<float>()[1], 2);
  EXPECT_EQ(constant(attribute("value_float", 2.5f))->data<float>()[0], 2.5f);
  EXPECT_TRUE(constant(attribute("value_float", 2.5f))->shape().empty());
  EXPECT_EQ(constant(attribute("value_int", int64_t{7}))->data<int64_t>()[0], 7);
  EXPECT_EQ(constant(attribute("value_string", std::string("s")))->data<std::string>()[0], "s");
  EXPECT_EQ(constant(attribute("value_floats", std::vector<float>{1, 2}))->shape()[0], 2);
  EXPECT_EQ(constant(attribute("value_ints", std::vector<int64_t>{1, 2, 3}))->size(), 3u);
  EXPECT_EQ(constant(attribute("value_strings", std::vector<std::string>{"a"}))->dtype(), DataType::kString);
  EXPECT_FALSE(constant(attribute("value", Opaque{})));
  EXPECT_FALSE(constant(attribute("sparse_value", Opaque{})));
  EXPECT_FALSE(constant(attribute("value", int64_t{1})));
}

TEST(Constants, AreSeenThroughIdentities) {
  SmallGraph small;
  const ValueId copy = add(small.graph, "Identity", {add(small.graph, "Identity", {small.w}, "a")}, "b");
  EXPECT_EQ(small.graph.constant_of(copy)->bytes().data(), small.graph.constant_of(small.w)->bytes().data());
  EXPECT_EQ(small.graph.type(copy), Type::of(floats({1, 2, 3})));
  EXPECT_FALSE(small.graph.constant_of(add(small.graph, "Identity", {small.x}, "c")));
  EXPECT_FALSE(small.graph.constant_of({}));
}

TEST(Constants, OtherDomainsMeanSomethingElse) {
  SmallGraph small;
  const NodeId id = small.graph.add_node(
      {.op_type = "Identity", .domain = "custom", .inputs = {small.w}, .outputs = {{.name = "other"}}});
  EXPECT_FALSE(small.graph.constant_of(small.graph.node(id).outputs[0]));
}

TEST(Constants, ADefaultIsOneOnceItIsFrozen) {
  Graph graph;
  const ValueId a = graph.add_input("a", kType);
  const ValueId b = graph.add_input("b", kType);
  const ValueId plain = graph.add_input("plain", kType);
  graph.set_default(a, floats({1}), {}, false);
  graph.set_default(b, floats({2}), {}, true);
  const ValueId copy = add(graph, "Identity", {a}, "copy");
  EXPECT_FALSE(graph.constant_of(a));
  EXPECT_TRUE(graph.constant_of(b));
  EXPECT_TRUE(fails_with(kInvalid, "initialized twice", [&] { graph.set_default(a, floats({3}), {}, false); }));
  EXPECT_TRUE(fails_with(kInvalid, "initialized twice", [&] { graph.set_opaque_default(a, {}, false); }));
  EXPECT_EQ(graph.freeze_defaults(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(graph.inputs(), std::vector<ValueId>{plain});
  EXPECT_EQ(graph.initializers(), (std::vector<ValueId>{a, b}));
  EXPECT_EQ(graph.constant_of(copy)->data<float>()[0], 1);
  EXPECT_EQ(graph.type(a), Type::of(floats({1})));
  EXPECT_TRUE(graph.freeze_defaults().empty());
  graph.verify();
}

// --- nested graphs ---------------------------------------------------------------------------------------------------

/// An If over a graph that captures `outer` and negates it.
NodeId add_if(Graph& graph, ValueId condition, ValueId outer, const std::string& output) {
  auto body = std::make_shared<Graph>(graph.opsets());
  const ValueId captured = body->add_capture(graph.name(outer), graph.type(outer));
  body->add_output({"n", add(*body, "Neg", {captured}, "n"), {}, {}});
  return graph.add_node({.op_type = "If",
                         .inputs = {condition},
                         .outputs = {{.name = output}},
                         .attributes = {attribute("then_branch", Subgraph{body, {outer}}),
                                        attribute("both", std::vector<Subgraph>{{body, {outer}}})}});
}

TEST(NestedGraphs, CapturesAreUses) {
  SmallGraph small;
  Graph& graph = small.graph;
  const NodeId choice = add_if(graph, small.x, small.sum, "chosen");
  graph.add_output({"chosen", graph.node(choice).outputs[0], {}, {}});
  graph.verify();
  EXPECT_EQ(graph.uses(small.sum), (std::set<Use>{{choice, -2}, {choice, -1}, {graph.producer(small.y), 0}}));
  graph.replace_all_uses(small.sum, small.w);
  graph.verify();
  EXPECT_EQ(std::get<Subgraph>(graph.node(choice).attribute("then_branch")->value).captures[0], small.w);
  EXPECT_EQ(std::get<std::vector<Subgraph>>(graph.node(choice).attribute("both")->value)[0].captures[0], small.w);
  EXPECT_EQ(graph.erase_dead(), 1);
  graph.bind_output(1, small.x);
  EXPECT_EQ(graph.erase_dead(), 1);
  graph.verify();
}

/// Processor time that `body` takes. Work that is quadratic in the sizes used here takes minutes without optimization.
double seconds(const std::function<void()>& body) {
  const std::clock_t start = std::clock();
  body();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(NestedGraphs, AreInlined) {
  SmallGraph small;
  Graph& graph = small.graph;
  auto innermost = std::make_shared<Graph>(graph.opsets());
  const ValueId from_body = innermost->add_capture("w", kType);
  innermost->add_output({"i", add(*innermost, "Neg", {from_body}, "i"), {}, {}});
  Graph body(graph.opsets());
  const ValueId captured = body.add_capture(graph.name(small.sum), kType);
  const ValueId weight = body.add_initializer("w", Tensor(DataType::kFloat32, {2, 3}));  // as the graph around it has
  const ValueId product = add(body, "Mul", {captured, weight}, "product");
  const NodeId inner = body.add_node({.op_type = "If",
                                      .inputs = {captured},
                                      .outputs = {{.name = "chosen"}},
                                      .attributes = {attribute("then_branch", Subgraph{innermost, {weight}})}});
  body.add_output({"a", product, {}, {}});
  body.add_output({"b", body.node(inner).outputs[0], {}, {}});
  body.add_output({"c", captured, {}, {}});
  const NodeId place = graph.producer(small.y);

  const InlinedSubgraph inlined =
      inline_subgraph(graph, {std::make_shared<const Graph>(std::move(body)), {small.sum}}, place);
  graph.verify();
  ASSERT_EQ(inlined.nodes.size(), 2u);
  ASSERT_EQ(inlined.outputs.size(), 3u);
  EXPECT_EQ(inlined.outputs[2], small.sum);
  const Node& mul = graph.node(inlined.nodes[0]);
  EXPECT_EQ(mul.inputs[0], small.sum);
  EXPECT_NE(mul.inputs[1], small.w);
  EXPECT_NE(graph.name(mul.inputs[1]), "w");
  EXPECT_NE(graph.constant_of(mul.inputs[1]), nullptr);
  EXPECT_EQ(std::get<Subgraph>(graph.node(inlined.nodes[1]).attribute("then_branch")->value).captures,
            std::vector<ValueId>{mul.inputs[1]});
  ASSERT_EQ(inlined.values.size(), 3u);
  EXPECT_EQ(inlined.values[0].second, "w");
  const auto order = graph.nodes();
  EXPECT_LT(std::ranges::find(order, inlined.nodes[1]), std::ranges::find(order, place));

  auto with_input = std::make_shared<Graph>(graph.opsets());
  with_input->add_input("x", kType);
  EXPECT_TRUE(fails_with(kInvalid, "1 inputs", [&] { inline_subgraph(graph, {with_input, {}}, place); }));
}

TEST(Graph, ErasesWhatNothingUses) {
  SmallGraph small;
  Graph& graph = small.graph;
  EXPECT_FALSE(graph.erase_unused(small.sum));
  EXPECT_FALSE(graph.erase_unused(small.y));
  EXPECT_FALSE(graph.erase_unused(small.x));
  const ValueId spare = graph.add_initializer("spare", Tensor(DataType::kFloat32, {1}));
  graph.pin("spare");
  EXPECT_FALSE(graph.erase_unused(spare));
  const ValueId other = graph.add_initializer("other", Tensor(DataType::kFloat32, {1}));
  const ValueId negated = add(graph, "Neg", {other}, "negated");
  EXPECT_FALSE(graph.erase_unused(other));
  EXPECT_TRUE(graph.erase_unused(negated));
  EXPECT_TRUE(graph.erase_unused(other));
  EXPECT_FALSE(graph.alive(other));
  graph.verify();
}

TEST(NestedGraphs, ManyCapturesAreReplacedInLinearTime) {
  constexpr int kMany = 100'000;
  Graph graph;
  const ValueId x = graph.add_input("x", kType);
  auto body = std::make_shared<Graph>(graph.opsets());
  std::vector<ValueId> copies;
  for (int i = 0; i < kMany; ++i) {
    copies.push_back(add(graph, "Identity", {x}, "copy" + std::to_string(i)));
    body->add_capture("copy" + std::to_string(i), kType);
    graph.add_output({"out" + std::to_string(i), copies.back(), kType, {}});
  }
  const NodeId choice = graph.add_node({.op_type = "If",
                                        .inputs = {x},
                                        .outputs = {{.name = "y"}},
                                        .attributes = {attribute("then_branch", Subgraph{body, copies})}});
  graph.add_output({"y", graph.node(choice).outputs[0], kType, {}});
  EXPECT_LT(seconds([&] {
              for (const ValueId copy : copies) graph.replace_all_uses(copy, x);
            }),
            10.0);
  EXPECT_EQ(graph.erase_dead(), kMany);
  EXPECT_EQ(std::get<Subgraph>(graph.node(choice).attribute("then_branch")->value).captures,
            std::vector<ValueId>(kMany, x));
  EXPECT_EQ(graph.value(x).output_uses.size(), size_t{kMany});
  graph.verify();
}

TEST(NestedGraphs, AreDumpedIndented) {
  SmallGraph small;
  add_if(small.graph, small.x, small.sum, "chosen");
  EXPECT_NE(dump(small.graph)
                .find("chosen = If(x) then_branch=graph both=1 graphs\n"
                      "  captures sum\n"
                      "  capture sum\n"
                      "  n = Neg(sum)\n"
                      "  output n = n\n"),
            std::string::npos)
      << dump(small.graph);
}

// --- verify ----------------------------------------------------------------------------------------------------------

TEST(Verify, FindsAUseBeforeItsValue) {
  SmallGraph small;
  add(small.graph, "Neg", {small.y}, "early", small.graph.producer(small.sum));
  EXPECT_TRUE(
      fails_with(kInternal, "Neg with output \"early\" uses \"y\" before it is made", [&] { small.graph.verify(); }));
}

TEST(Verify, FindsACycleThatReplacingMade) {
  SmallGraph small;
  small.graph.replace_all_uses(small.x, small.y);
  EXPECT_TRUE(fails_with(kInternal, "uses \"y\" before it is made", [&] { small.graph.verify(); }));
}

TEST(Verify, FindsACaptureBeforeItsValue) {
  SmallGraph small;
  const NodeId choice = add_if(small.graph, small.x, small.x, "chosen");
  const ValueId late = add(small.graph, "Exp", {small.x}, "late");
  small.graph.verify();
  small.graph.replace_all_uses(small.graph.node(choice).inputs[0], late);
  EXPECT_TRUE(fails_with(kInternal, "before it is made", [&] { small.graph.verify(); }));
}

TEST(Verify, FindsSubgraphsThatDoNotFit) {
  for (const bool missing : {false, true}) {
    SmallGraph small;
    const auto body = missing ? nullptr : std::make_shared<const Graph>();
    // A graph that is not there can't be walked to count its uses, so it comes without captures.
    const std::vector<ValueId> captures = missing ? std::vector<ValueId>{} : std::vector<ValueId>{small.x};
    small.graph.add_node({.op_type = "If",
                          .outputs = {{.name = "z"}},
                          .attributes = {attribute("then_branch", Subgraph{body, captures})}});
    EXPECT_TRUE(fails_with(kInternal, missing ? "holds no graph" : "lost a capture", [&] { small.graph.verify(); }));
  }
}

TEST(Verify, FindsWhatIsWrongInANestedGraph) {
  auto body = std::make_shared<Graph>();
  const ValueId first = add(*body, "Exp", {}, "first");
  add(*body, "Neg", {first}, "early", body->producer(first));
  SmallGraph small;
  small.graph.add_node(
      {.op_type = "If", .outputs = {{.name = "z"}}, .attributes = {attribute("then_branch", Subgraph{body, {}})}});
  EXPECT_TRUE(fails_with(kInternal, "uses \"first\" before", [&] { small.graph.verify(); }));
}

// --- nodes -----------------------------------------------------------------------------------------------------------

TEST(Nodes, AttributesHaveTheTypeThatIsAskedFor) {
  Node node{.op_type = "Op", .name = "n"};
  node.attributes = {attribute("i", int64_t{3}), attribute("f", 1.5f), attribute("s", std::string("text")),
                     attribute("is", std::vector<int64_t>{1, 2}), attribute("fs", std::vector<float>{0.5f})};
  EXPECT_EQ(node.int_or("i", 0), 3);
  EXPECT_EQ(node.int_or("none", 9), 9);
  EXPECT_EQ(node.float_or("f", 0), 1.5f);
  EXPECT_EQ(node.string_or("s", ""), "text");
  EXPECT_EQ(node.string_or("none", "default"), "default");
  EXPECT_EQ(node.ints_or("is", {}), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(node.floats_or("fs", {}), std::vector<float>{0.5f});
  EXPECT_TRUE(fails_with(kInvalid, "attribute f of Op \"n\" is not an integer", [&] { (void)node.int_or("f", 0); }));
  EXPECT_TRUE(fails_with(kInvalid, "is not a list of floats", [&] { (void)node.floats_or("is", {}); }));
  EXPECT_TRUE(fails_with(kInvalid, "is not a string", [&] { (void)node.string_or("i", ""); }));
}

TEST(Nodes, ACallOfAFunctionIsNoOperator) {
  Node node{.op_type = "Relu"};
  EXPECT_TRUE(node.is("Relu") && node.is_onnx());
  node.function = std::make_shared<const Function>();
  EXPECT_FALSE(node.is("Relu") || node.is_onnx());
  EXPECT_EQ(spec_like(node).function, node.function);
}

TEST(Nodes, AreDescribedByNameOrOutput) {
  SmallGraph small;
  const NodeId named = small.graph.add_node({.op_type = "Neg", .name = "minus", .inputs = {small.x}});
  EXPECT_EQ(describe(small.graph, small.graph.node(named)), "Neg \"minus\"");
  EXPECT_EQ(describe(small.graph, small.graph.node(small.graph.producer(small.y))), "Relu with output \"y\"");
  EXPECT_EQ(describe(small.graph, Node{.op_type = "Neg"}), "Neg");
}

TEST(Types, DimensionsThatAreNotKnownAreNotEqual) {
  EXPECT_EQ(Dim(3), Dim(3));
  EXPECT_EQ(Dim("n"), Dim("n"));
  EXPECT_FALSE(Dim() == Dim());
  const Dim symbol("batch");
  const Dim copy = symbol;
  EXPECT_EQ(&copy.symbol(), &symbol.symbol());
  EXPECT_FALSE(Dim("n") == Dim("m"));
  EXPECT_FALSE(Dim(3) == Dim("3"));
  EXPECT_EQ(to_string(kType), "float32[batch, 3]");
  EXPECT_EQ(to_string(Type::tensor(DataType::kInt64)), "int64[...]");
  EXPECT_EQ(to_string(Type::tensor(DataType::kUndefined, Dims{Dim()})), "?[?]");
  EXPECT_EQ(kType.shape(), std::nullopt);
  EXPECT_EQ(kType.rank(), 2);
  EXPECT_EQ(Type().rank(), -1);
  EXPECT_EQ(Type::of(floats({1, 2})).shape(), Shape{2});
}

}  // namespace

}  // namespace pli::ir
