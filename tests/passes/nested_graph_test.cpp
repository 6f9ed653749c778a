#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

const ir::Graph& body_of(const ir::Graph& graph, const char* op_type, const char* attribute) {
  for (const ir::NodeId id : graph.nodes())
    if (graph.node(id).is(op_type)) return *std::get<ir::Subgraph>(graph.node(id).attribute(attribute)->value).graph;
  throw std::runtime_error(std::string("there is no ") + op_type);
}

/// Both bodies give the same for the same captures and inputs.
void expect_equal_bodies(const ir::Graph& original, const ir::Graph& folded,
                         const std::map<std::string, Doubles>& inputs) {
  const auto wanted = run_reference(original, inputs), found = run_reference(folded, inputs);
  for (const auto& [name, expected] : wanted) {
    ASSERT_EQ(expected.shape, found.at(name).shape);
    for (size_t i = 0; i < expected.data.size(); ++i) EXPECT_NEAR(expected.data[i], found.at(name).data[i], 1e-4);
  }
}

/// x -> Conv "c" -> If (open) {Conv of the captured weight "w2", BatchNormalization} else {the same once more}.
struct Branches {
  ConvNet c;
  ValueId weight;

  Branches() {
    weight = c.net.weight("w2", {4, 5, 1, 1});
    const auto branch = [&](const std::string& name) {
      Net net;
      const ValueId x = net.graph().add_capture("c", {});
      const ValueId w = net.graph().add_capture("w2", {});
      net.output(net.batch_norm(net.node("Conv", {x, w}, {}, name + "_conv"), 4, name));
      return ir::Subgraph{std::make_shared<const ir::Graph>(net.graph()), {c.conv, weight}};
    };
    const ValueId open = c.net.graph().add_input("open", ir::Type::tensor(DataType::kBool, ir::Dims{}));
    c.net.output(c.net.node("If", {open}, {{"then_branch", branch("a"), {}}, {"else_branch", branch("b"), {}}}, "y"));
  }
};

TEST(NestedGraph, FoldsInBothBranchesWithWeightsFromOutside) {
  Branches branches;
  const Optimized result = optimize(branches.c.net.model());
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(result.fold(name).folded) << result.fold(name).reason;
    EXPECT_EQ(result.fold(name).into, std::string("n_") + name + "_conv");
  }
  EXPECT_EQ(result.fold("a").graph, "n_y/then_branch");
  EXPECT_EQ(result.fold("b").graph, "n_y/else_branch");
  EXPECT_FALSE(result.model.graph.find("w2")) << "nobody outside needs it any more";
  for (const char* branch : {"then_branch", "else_branch"}) {
    const ir::Graph& folded = body_of(result.model.graph, "If", branch);
    EXPECT_EQ(folded.node_count(), 1u) << ir::dump(folded);
    EXPECT_EQ(folded.captures().size(), 1u);
    const ir::Graph& graph = branches.c.net.graph();
    const Tensor& w2 = *graph.constant_of(branches.weight);
    std::map<std::string, Doubles> inputs{{"c", random_doubles({2, 5, 6, 8}, 7)}};
    inputs["w2"] = {Shape(w2.shape().begin(), w2.shape().end()), to_doubles(w2)};
    expect_equal_bodies(body_of(graph, "If", branch), folded, inputs);
  }
}

TEST(NestedGraph, KeepsWhatTheUserNames) {
  const Branches branches;
  const Optimized result = optimize(branches.c.net.model(), {.keep = {"b"}});
  EXPECT_TRUE(result.fold("a").folded);
  EXPECT_EQ(result.fold("b").code, "disabled");
  EXPECT_TRUE(result.model.graph.find("w2"));
}

TEST(NestedGraph, WeightsThatAreInputsBeforeVersion4Stay) {
  Branches branches;
  ir::Model model = branches.c.net.model();
  model.ir_version = 3;
  const Optimized result = optimize(model);
  EXPECT_EQ(result.fold("a").code, "nested_graph");
}

TEST(NestedGraph, FoldsInTheBodyOfALoop) {
  Net net;
  const ValueId count = net.graph().add_input("count", ir::Type::tensor(DataType::kInt64, ir::Dims{}));
  const ValueId go_on = net.graph().add_input("go_on", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  const ValueId start = net.input("start", {2, 3, 8, 9});
  Net body;
  (void)body.graph().add_input("i", ir::Type::tensor(DataType::kInt64, ir::Dims{}));
  const ValueId again = body.graph().add_input("again", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  const ValueId x = body.input("x", {2, 3, 8, 9});
  const ValueId same = body.node("Conv", {x, body.weight("w", {3, 3, 3, 3})}, {ints("pads", {1, 1, 1, 1})}, "conv");
  body.output(again, "again_out");
  body.output(body.batch_norm(same, 3, "x_out"));
  const ir::Subgraph loop{std::make_shared<const ir::Graph>(body.graph()), {}};
  net.output(net.node("Loop", {count, go_on, start}, {{"body", loop, {}}}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.fold("x_out").folded) << result.fold("x_out").reason;
  EXPECT_EQ(body_of(result.model.graph, "Loop", "body").node_count(), 1u);
}

}  // namespace
}  // namespace pli::test
