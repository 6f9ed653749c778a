#include "passes/pipeline.h"
#include "runtime/ir/inline_subgraph.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace pli::test {
namespace {

using ir::ValueId;

ir::Attribute reference(std::string name, std::string to) {
  return {std::move(name), ir::Reference{std::move(to)}, {}};
}

/// A function of these inputs; `build` gives what it gives.
std::shared_ptr<ir::Function> function(const std::string& name, const std::vector<std::string>& inputs,
                                       const std::function<ValueId(Net&, const std::vector<ValueId>&)>& build,
                                       int64_t opset = 17) {
  Net net(opset);
  std::vector<ValueId> values;
  for (const std::string& input : inputs) values.push_back(net.graph().add_input(input, {}));
  net.output(build(net, values));
  auto made = std::make_shared<ir::Function>();
  made->domain = "blocks";
  made->name = name;
  made->body = net.graph();
  return made;
}

/// Conv with the caller's strides, BatchNormalization with the caller's epsilon.
std::shared_ptr<ir::Function> conv_block(int64_t opset = 17) {
  auto block = function(
      "ConvBlock", {"x", "w", "s", "b", "m", "v", "bias"},
      [](Net& net, const std::vector<ValueId>& in) {
        const ValueId c = net.node("Conv", {in[0], in[1], in[6]}, {reference("strides", "strides")}, "c");
        return net.node("BatchNormalization", {c, in[2], in[3], in[4], in[5]}, {reference("epsilon", "eps")}, "y");
      },
      opset);
  block->defaults = {attribute("eps", 0.25f)};
  return block;
}

ValueId call(Net& net, const std::shared_ptr<const ir::Function>& function, std::vector<ValueId> inputs,
             std::vector<ir::Attribute> attributes, const std::string& output, std::string name) {
  const ir::NodeId id = net.graph().add_node({.op_type = function->name,
                                              .domain = function->domain,
                                              .name = std::move(name),
                                              .inputs = std::move(inputs),
                                              .outputs = {{output, {}, {}}},
                                              .attributes = std::move(attributes),
                                              .function = function});
  return net.graph().node(id).outputs[0];
}

std::vector<ValueId> block_inputs(Net& net, ValueId x, const std::string& prefix, int64_t channels, int64_t filters,
                                  bool bias) {
  std::vector<ValueId> inputs{x, net.weight(prefix + "w", {filters, channels, 3, 2})};
  for (const char* name : {"s", "b", "m"}) inputs.push_back(net.weight(prefix + name, {filters}));
  inputs.push_back(net.weight(prefix + "v", {filters}, 0.01, 2));
  inputs.push_back(bias ? net.weight(prefix + "bias", {filters}) : ValueId{});
  return inputs;
}

ir::Model with_functions(const Net& net, std::vector<std::shared_ptr<const ir::Function>> functions) {
  ir::Model model = net.model();
  model.functions = std::move(functions);
  auto opsets = std::make_shared<ir::OpsetImports>(*model.opsets);
  opsets->emplace("blocks", 1);
  model.opsets = opsets;
  return model;
}

/// Two calls of one function that differ in attributes and in the inputs that they leave out.
struct TwoCalls {
  Net net;
  std::shared_ptr<ir::Function> block;

  explicit TwoCalls(int64_t opset = 17) : block(conv_block(opset)) {
    const ValueId x = net.input("x", {2, 3, 12, 11});
    const ValueId first =
        call(net, block, block_inputs(net, x, "a.", 3, 5, true), {ints("strides", {2, 1})}, "first", "layer1");
    net.output(call(net, block, block_inputs(net, first, "b.", 5, 4, false), {attribute("eps", 0.5f)}, "second", ""));
  }
};

TEST(InlineFunctions, SpecializesEachCall) {
  const TwoCalls calls;
  const ir::Model model = with_functions(calls.net, {calls.block});
  const Optimized result = optimize(model);
  EXPECT_EQ(result.model.graph.node_count(), 2u) << ir::dump(result.model.graph);
  EXPECT_EQ(result.count("Conv"), 2);
  EXPECT_TRUE(result.model.functions.empty());
  EXPECT_FALSE(result.model.opsets->contains("blocks"));
  expect_equal_results(model, result.model);
  ASSERT_EQ(result.report.batch_norms.size(), 2u);
  EXPECT_EQ(result.report.batch_norms[0].name, "layer1/n_y");
  EXPECT_EQ(result.report.batch_norms[1].name, "second/n_y") << "a call without a name is called by its result";
  for (const Fold& fold : result.report.batch_norms) EXPECT_TRUE(fold.folded) << fold.reason;
  EXPECT_NE(result.report.notes.at(0).find("1 local function is gone"), std::string::npos);
}

TEST(InlineFunctions, FollowsCallsInFunctions) {
  const auto block = conv_block();
  const auto outer = function("Outer", {"x", "w", "s", "b", "m", "v"}, [&](Net& net, const std::vector<ValueId>& in) {
    std::vector<ValueId> inputs = in;
    inputs.push_back({});
    const ValueId y = call(net, block, inputs, {reference("strides", "step"), reference("eps", "unset")}, "y", "inner");
    return net.node("Relu", {y}, {}, "z");
  });
  Net net;
  std::vector<ValueId> inputs = block_inputs(net, net.input("x", {2, 3, 9, 12}), "", 3, 5, false);
  inputs.pop_back();
  net.output(call(net, outer, inputs, {ints("step", {1, 3})}, "out", "layer"));
  const ir::Model model = with_functions(net, {block, outer});
  const Optimized result = optimize(model);
  EXPECT_EQ(result.model.graph.node_count(), 2u) << ir::dump(result.model.graph);
  EXPECT_EQ(result.report.batch_norms.at(0).name, "layer/inner/n_y");
  EXPECT_TRUE(result.model.graph.find("out"));
  EXPECT_TRUE(result.model.functions.empty());
  expect_equal_results(model, result.model);
}

/// The branches of an If in a function capture its inputs, use an attribute of the call, and may name values as the
/// model does.
TEST(InlineFunctions, RenamesAndResolvesInNestedGraphs) {
  const auto chosen = function("Chosen", {"open", "a", "unused"}, [](Net& net, const std::vector<ValueId>& in) {
    const auto branch = [&](const char* op, const char* y) {
      Net nested;
      const ValueId a = nested.graph().add_capture("a", {});
      const ValueId spare = nested.graph().add_capture("unused", {});
      const ValueId low = nested.node("LeakyRelu", {a}, {reference("alpha", "slope")}, "x");
      nested.output(nested.node(op, {low, nested.weight("k", {1})}, {}, y));
      (void)spare;
      return ir::Subgraph{std::make_shared<const ir::Graph>(nested.graph()), {in[1], in[2]}};
    };
    return net.node("If", {in[0]}, {{"then_branch", branch("Mul", "m"), {}}, {"else_branch", branch("Add", "n"), {}}},
                    "picked");
  });
  Net net;
  const ValueId x = net.input("x", {2, 3});
  const ValueId open = net.graph().add_input("open", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  const ValueId once = call(net, chosen, {open, x}, {attribute("slope", 0.5f)}, "once", "first");
  net.output(call(net, chosen, {open, once}, {attribute("slope", 0.125f)}, "twice", "second"));
  const ir::Model model = with_functions(net, {chosen});
  const Optimized result = optimize(model, {.disable = {"eliminate_common_subexpression"}});
  ASSERT_EQ(result.count("If"), 2) << ir::dump(result.model.graph);
  std::set<std::string> names;
  std::vector<float> slopes;
  ir::for_each_graph(result.model.graph, [&](const ir::Graph& graph) {
    for (const ir::NodeId id : graph.nodes()) {
      for (const ValueId value : graph.node(id).outputs)
        EXPECT_TRUE(names.insert(graph.name(value)).second) << graph.name(value) << " is there twice";
      if (graph.node(id).is("LeakyRelu")) slopes.push_back(graph.node(id).float_or("alpha", 0));
    }
  });
  EXPECT_FALSE(names.contains("x")) << "the model's input";
  EXPECT_EQ(slopes, (std::vector<float>{0.5f, 0.5f, 0.125f, 0.125f}));
  EXPECT_TRUE(result.model.functions.empty());
}

TEST(InlineFunctions, RunsInBodies) {
  const auto twice = function("Twice", {"x"}, [](Net& net, const std::vector<ValueId>& in) {
    return net.node("Add", {in[0], in[0]}, {}, "y");
  });
  Net net;
  const ValueId x = net.input("x", {2, 3});
  const auto branch = [&](const char* op) {
    Net nested;
    const ValueId a = nested.graph().add_capture("x", {});
    nested.output(nested.node(op, {call(nested, twice, {a}, {}, std::string("t") + op, "call")}, {}, op));
    return ir::Subgraph{std::make_shared<const ir::Graph>(nested.graph()), {x}};
  };
  const ValueId open = net.graph().add_input("open", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  net.output(net.node("If", {open}, {{"then_branch", branch("Relu"), {}}, {"else_branch", branch("Neg"), {}}}, "y"));
  const Optimized result = optimize(with_functions(net, {twice}));
  EXPECT_TRUE(result.model.functions.empty());
  ir::for_each_graph(result.model.graph, [](const ir::Graph& graph) {
    for (const ir::NodeId id : graph.nodes()) EXPECT_FALSE(graph.node(id).function);
  });
}

// --- what stays ------------------------------------------------------------------------------------------------------

void expect_stays(const ir::Model& model, std::string_view reason, const OptimizeOptions& options = {}) {
  const Optimized result = optimize(model, options);
  EXPECT_EQ(result.model.functions.size(), model.functions.size());
  for (const ir::NodeId id : model.graph.nodes()) {
    const ir::Node& node = model.graph.node(id);
    if (!node.function || reason.empty()) continue;
    const auto why = ir::why_not_inlined(model.graph, node);
    ASSERT_TRUE(why);
    EXPECT_NE(why->find(reason), std::string::npos) << *why;
  }
}

TEST(InlineFunctions, LeavesFunctionsOfAnotherOperatorSet) {
  const TwoCalls calls(14);
  expect_stays(with_functions(calls.net, {calls.block}), "of version 14 of operator set \"ai.onnx\", the model of 17");
}

TEST(InlineFunctions, LeavesWhatTheUserWants) {
  const TwoCalls calls;
  expect_stays(with_functions(calls.net, {calls.block}), "", {.disable = {"inline_functions"}});
}

TEST(InlineFunctions, LeavesCallsThatDoNotFitTheFunction) {
  const auto twice = function("Twice", {"x"}, [](Net& net, const std::vector<ValueId>& in) {
    return net.node("Add", {in[0], in[0]}, {}, "y");
  });
  Net net;
  const ValueId x = net.input("x", {2, 3});
  net.output(call(net, twice, {x, x}, {}, "y", "call"));
  expect_stays(with_functions(net, {twice}), "called with 2 inputs and 1 outputs, and has 1 and 1");
}

TEST(InlineFunctions, LeavesOutputsThatNothingMakes) {
  const auto second = function("Second", {"x", "y"}, [](Net&, const std::vector<ValueId>& in) { return in[1]; });
  Net net;
  const ValueId x = net.input("x", {2, 3});
  net.output(call(net, second, {x}, {}, "y", "call"));
  expect_stays(with_functions(net, {second}), "output 0 is an input that the call leaves out");
}

TEST(InlineFunctions, LeavesGraphsThatAreGivenAsAttributes) {
  const auto block = function("Block", {"x"}, [](Net& net, const std::vector<ValueId>& in) {
    return net.node("Custom", {in[0]}, {reference("body", "body")}, "y");
  });
  Net net, body;
  body.output(body.graph().add_input("z", {}));
  const ValueId x = net.input("x", {2, 3});
  net.output(call(net, block, {x}, {{"body", ir::Subgraph{std::make_shared<const ir::Graph>(body.graph()), {}}, {}}},
                  "y", "call"));
  expect_stays(with_functions(net, {block}), "attribute body is given a graph");
}

TEST(InlineFunctions, GivesOnWhatItIsGiven) {
  const auto same = function("Same", {"x"}, [](Net&, const std::vector<ValueId>& in) { return in[0]; });
  Net net;
  const ValueId x = net.input("x", {2, 3});
  net.output(net.node("Relu", {call(net, same, {x}, {}, "s", "call")}, {}, "y"));
  const ir::Model model = with_functions(net, {same});
  const Optimized result = optimize(model);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  expect_equal_results(model, result.model);
}

}  // namespace
}  // namespace pli::test
