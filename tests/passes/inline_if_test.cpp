#include "passes/pipeline.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

Tensor boolean(bool value) {
  Tensor tensor(DataType::kBool, {});
  tensor.mutable_data<bool>()[0] = value;
  return tensor;
}

/// Conv and BatchNormalization on the value "c" of the graph around it.
ir::Graph conv_branch(int64_t kernel, const std::string& name) {
  Net inner;
  const ValueId x = inner.graph().add_capture("c", {});
  const ValueId w = inner.weight(name + "_w", {4, 5, kernel, kernel});
  inner.output(inner.batch_norm(inner.node("Conv", {x, w}, {}, name + "_c"), 4, name));
  return inner.graph();
}

/// x -> Conv "c" -> If (condition) { 1 x 1 } else { 2 x 2 } -> Relu "y"
struct BranchNet {
  ConvNet c;
  ValueId result;

  explicit BranchNet(ValueId (*condition)(Net&)) {
    const auto branch = [&](int64_t kernel, const std::string& name) {
      return ir::Subgraph{std::make_shared<const ir::Graph>(conv_branch(kernel, name)), {c.conv}};
    };
    result = c.net.node("If", {condition(c.net)},
                        {{"then_branch", branch(1, "small"), {}}, {"else_branch", branch(2, "large"), {}}}, "chosen");
    c.net.output(c.net.node("Relu", {result}, {}, "y"));
  }
};

TEST(InlineIf, TakesTheBranchAndFoldsWhatIsInIt) {
  for (const bool chosen : {true, false}) {
    const BranchNet net(chosen ? [](Net& n) { return n.constant("condition", boolean(true)); }
                               : [](Net& n) { return n.constant("condition", boolean(false)); });
    OptimizeOptions options;
    options.disable = {"merge_linear"};  // which makes one of the two convolutions that there are then
    const Optimized result = optimize(net.c.net.model(), options);
    EXPECT_EQ(result.count("If"), 0);
    EXPECT_EQ(result.count("BatchNormalization"), 0);
    EXPECT_EQ(result.count("Conv"), 2);
    const std::string taken = chosen ? "small" : "large", other = chosen ? "large" : "small";
    EXPECT_TRUE(result.fold(taken).folded);
    EXPECT_EQ(result.fold(taken).graph, chosen ? "n_chosen/then_branch" : "n_chosen/else_branch");
    EXPECT_EQ(result.fold(other).code, "dead");
    EXPECT_EQ(result.report.batch_norms.size(), 2u);
    const Tensor weight = result.constant(taken + "_w");
    EXPECT_EQ(weight.shape()[2], chosen ? 1 : 2) << "names stay";

    ConvNet expected;  // the same without the If
    const ir::Graph body = conv_branch(chosen ? 1 : 2, taken);
    const auto constant = [&](ValueId id) { return expected.net.constant(body.name(id), *body.constant_of(id)); };
    const ir::Node& conv = body.node(body.nodes()[0]);
    const ir::Node& norm = body.node(body.nodes()[1]);
    std::vector<ValueId> operands{expected.net.node("Conv", {expected.conv, constant(conv.inputs[1])})};
    for (size_t i = 1; i < 5; ++i) operands.push_back(constant(norm.inputs[i]));
    expected.net.output(
        expected.net.node("Relu", {expected.net.node("BatchNormalization", operands, norm.attributes)}, {}, "y"));
    expect_equal_results(expected.net.model(), result.model);
  }
}

TEST(InlineIf, OfAConditionThatFollowsFromAShape) {
  const BranchNet net([](Net& n) {
    const ValueId shape = n.node("Shape", {n.graph().find("c")});
    const ValueId rows = n.node("Gather", {shape, n.constant("two", int64_tensor(std::vector<int64_t>{2}))});
    const ValueId one = n.constant("one", int64_tensor(std::vector<int64_t>{1}));
    return n.node("Squeeze", {n.node("Equal", {n.node("Cast", {rows}, {attribute("to", 7)}), one})});
  });
  const Optimized result = optimize(net.c.net.model());
  EXPECT_TRUE(result.fold("large").folded);
  EXPECT_EQ(result.count("Shape"), 0);
}

TEST(InlineIf, LeavesWhatIsNotConstantOrAnnotated) {
  const BranchNet open(
      [](Net& n) { return n.graph().add_input("condition", ir::Type::tensor(DataType::kBool, ir::Dims{})); });
  EXPECT_EQ(optimize(open.c.net.model()).count("If"), 1);

  ConvNet c;
  ir::Graph body = conv_branch(1, "small");
  body.pin("small_c");
  const ir::Subgraph branch{std::make_shared<const ir::Graph>(std::move(body)), {c.conv}};
  c.net.output(c.net.node("If", {c.net.constant("condition", boolean(true))},
                          {{"then_branch", branch, {}}, {"else_branch", branch, {}}}, "y"));
  EXPECT_EQ(optimize(c.net.model()).count("If"), 1);
}

TEST(InlineIf, InABranchOfAnotherOne) {
  ConvNet c;
  const auto outer = [&] {
    Net middle;
    const ValueId captured = middle.graph().add_capture("c", {});
    const auto inner = [&] {
      return ir::Subgraph{std::make_shared<const ir::Graph>(conv_branch(1, "small")), {captured}};
    };
    const ValueId yes = middle.constant("inner_condition", boolean(true));
    middle.output(middle.node("If", {yes}, {{"then_branch", inner(), {}}, {"else_branch", inner(), {}}}, "inner"));
    return ir::Subgraph{std::make_shared<const ir::Graph>(middle.graph()), {c.conv}};
  };
  c.net.output(c.net.node("If", {c.net.constant("condition", boolean(true))},
                          {{"then_branch", outer(), {}}, {"else_branch", outer(), {}}}, "y"));
  const Optimized result = optimize(c.net.model());
  EXPECT_EQ(result.count("If"), 0);
  ASSERT_EQ(result.report.batch_norms.size(), 4u);
  const Fold& first = result.report.batch_norms[0];
  EXPECT_EQ(first.graph, "n_y/then_branch/n_inner/then_branch");
  EXPECT_TRUE(first.folded);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(result.report.batch_norms[i].code, "dead") << i;
}

TEST(InlineIf, OfTwoNodesOneOfWhichIsNamedAsIfItWereInTheOther) {
  ConvNet c;
  const auto branches = [&](const std::string& name) {
    const auto branch = [&](int64_t kernel, const std::string& which) {
      return ir::Subgraph{std::make_shared<const ir::Graph>(conv_branch(kernel, name + which)), {c.conv}};
    };
    return std::vector<ir::Attribute>{{"then_branch", branch(1, "1"), {}}, {"else_branch", branch(2, "2"), {}}};
  };
  const ValueId open = c.net.graph().add_input("open", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  c.net.output(c.net.node("If", {c.net.constant("condition", boolean(true))}, branches("a"), "y"));
  c.net.output(c.net.node("If", {open}, branches("b"), "y/else_branch/z"));
  const Optimized result = optimize(c.net.model());
  EXPECT_TRUE(result.fold("a1").folded);
  EXPECT_EQ(result.fold("a2").code, "dead");
  EXPECT_EQ(result.fold("b1").graph, "n_y/else_branch/z/then_branch");
  EXPECT_EQ(result.fold("b2").graph, "n_y/else_branch/z/else_branch");
}

TEST(InlineIf, TheDeclaredShapeOfOneBranchIsNotThatOfTheResult) {
  BranchNet net([](Net& n) { return n.graph().add_input("condition", ir::Type::tensor(DataType::kBool, ir::Dims{})); });
  net.c.net.graph().set_type(net.result, ir::Type::tensor(DataType::kFloat32, ir::Dims{1, 4, 8, 9}));
  net.c.net.output(net.c.net.node("Shape", {net.result}, {}, "shape"));
  EXPECT_EQ(optimize(net.c.net.model()).count("Shape"), 1);
}

}  // namespace
}  // namespace pli::test
