#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

/// A linear node with 5 output channels -> an arithmetic node with a constant of this shape -> "y".
struct AffineCase {
  std::string name;
  std::string linear;
  std::string op_type;
  Shape constant;
  bool constant_first = false;
  bool bias = true;
  int64_t opset = 17;
  std::vector<ir::Attribute> attributes = {};
};

std::ostream& operator<<(std::ostream& out, const AffineCase& c) { return out << c.name; }

ValueId linear_node(Net& net, const std::string& op_type, bool bias) {
  std::vector<ValueId> inputs;
  if (op_type == "Conv")
    inputs = {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})};
  else if (op_type == "ConvTranspose")
    inputs = {net.input("x", {-1, 3, 4, 6}), net.weight("w", {3, 5, 3, 2})};
  else if (op_type == "Gemm")
    inputs = {net.input("x", {4, 6}), net.weight("w", {6, 5})};
  else
    inputs = {net.input("x", {2, 4, 6}), net.weight("w", {6, 5})};
  if (bias && op_type != "MatMul") inputs.push_back(net.weight("b", {5}));
  const ValueId linear = net.node(op_type, inputs, {}, "linear");
  if (!bias || op_type != "MatMul") return linear;
  std::vector<ir::Attribute> attributes;
  if (net.graph().opset("") < 7) attributes.push_back(attribute("broadcast", 1));
  return net.node("Add", {linear, net.weight("b", {5})}, attributes, "sum");
}

Net net_of(const AffineCase& c) {
  Net net(c.opset);
  const ValueId linear = linear_node(net, c.linear, c.bias);
  const ValueId constant = net.weight("k", c.constant, 0.5, 2);
  net.output(net.node(c.op_type, c.constant_first ? std::vector{constant, linear} : std::vector{linear, constant},
                      c.attributes, "y"));
  return net;
}

std::vector<AffineCase> folding_cases() {
  const std::map<std::string, std::vector<Shape>> shapes{
      {"Conv", {{}, {1}, {1, 1, 1, 1}, {5, 1, 1}, {1, 5, 1, 1}}},
      {"ConvTranspose", {{1}, {5, 1, 1}, {1, 5, 1, 1}}},
      {"Gemm", {{}, {1}, {5}, {1, 5}}},
      {"MatMul", {{1}, {5}, {1, 5}, {1, 1, 5}}},
  };
  std::vector<AffineCase> cases;
  for (const auto& [linear, list] : shapes)
    for (const Shape& shape : list)
      for (const char* op_type : {"Add", "Sub", "Mul", "Div"})
        for (const bool constant_first : {false, true})
          for (const bool bias : {false, true}) {
            if (op_type == std::string("Div") && constant_first) continue;
            // What only shifts the result of a MatMul without a bias is its bias; so is what is subtracted from.
            const bool shift = op_type == std::string("Add") || op_type == std::string("Sub");
            if (linear == "MatMul" && !bias && shift) continue;
            std::string name = linear + "_" + op_type + (constant_first ? "First" : "") + (bias ? "Bias" : "");
            for (const int64_t dim : shape) name += "_" + std::to_string(dim);
            cases.push_back({name, linear, op_type, shape, constant_first, bias});
          }
  for (const char* op_type : {"Add", "Mul"}) {  // before opset 7 broadcasting is asked for, from an axis
    const std::vector<ir::Attribute> from_channels{attribute("broadcast", 1), attribute("axis", 1)};
    cases.push_back({std::string("Conv_opset6_") + op_type, "Conv", op_type, {5}, false, true, 6, from_channels});
    cases.push_back(
        {std::string("MatMul_opset6_") + op_type, "MatMul", op_type, {5}, false, true, 6, {attribute("broadcast", 1)}});
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<AffineCase>& info) { return info.param.name; }

class FoldAffine : public testing::TestWithParam<AffineCase> {};

TEST_P(FoldAffine, ComputesTheSame) {
  const Net net = net_of(GetParam());
  const Optimized result = optimize(net.model());
  ASSERT_EQ(result.report.affines.size(), 1u);
  EXPECT_TRUE(result.report.affines[0].folded) << result.report.affines[0].reason;
  EXPECT_EQ(result.report.affines[0].output, "y");
  EXPECT_EQ(result.report.affines[0].into, "n_linear");
  EXPECT_LE(result.model.graph.node_count(), GetParam().linear == "MatMul" ? 2u : 1u);
  expect_equal_results(net.model(), result.model);
}

INSTANTIATE_TEST_SUITE_P(All, FoldAffine, testing::ValuesIn(folding_cases()), case_name);

/// As above, but the axis is not that of the channels, or not shown to be.
class KeepAffine : public testing::TestWithParam<AffineCase> {};

TEST_P(KeepAffine, ComputesTheSame) {
  const Net net = net_of(GetParam());
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count(GetParam().op_type), 1) << ir::dump(result.model.graph);
  for (const Fold& fold : result.report.affines) {
    EXPECT_FALSE(fold.folded);
    EXPECT_EQ(fold.code, "axis_unproven") << fold.reason;
  }
  expect_equal_results(net.model(), result.model, 0);
}

const std::vector<AffineCase> kKept{
    {"WidthThatEqualsTheChannels", "Conv", "Mul", {8}},  // the result is [batch, 5, 6, 8]
    {"Height", "Conv", "Add", {6, 1}},
    {"ChannelsAndHeight", "Conv", "Mul", {5, 6, 1}},
    {"Rows", "Gemm", "Mul", {4, 1}},
    {"Matrix", "Gemm", "Mul", {4, 5}},
    {"RowsOfMatMul", "MatMul", "Mul", {4, 1}},
    {"MoreDimensions", "Gemm", "Mul", {1, 1, 5}},
    {"DividesAConstant", "Conv", "Div", {5, 1, 1}, true},
};
INSTANTIATE_TEST_SUITE_P(All, KeepAffine, testing::ValuesIn(kKept), case_name);

/// Before opset 7: x [rows, 6] -> MatMul with as many rows as columns or others -> Add of a constant along the rows
/// ("sum") -> Mul by a constant along the columns, or one number, "y". What is added becomes a matrix, or stays along
/// the rows.
class FoldAddAlongRows : public testing::TestWithParam<std::tuple<int64_t, bool>> {};

TEST_P(FoldAddAlongRows, ComputesTheSame) {
  const auto [rows, uniform] = GetParam();
  Net net(6);
  const ValueId product = net.node("MatMul", {net.input("x", {2, rows, 6}), net.weight("w", {6, 5})}, {}, "product");
  const ValueId sum =
      net.node("Add", {product, net.weight("b", {rows})}, {attribute("broadcast", 1), attribute("axis", 1)}, "sum");
  net.output(net.node("Mul", {sum, net.weight("k", {uniform ? 1 : 5})}, {attribute("broadcast", 1)}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 2u) << ir::dump(result.model.graph);
  EXPECT_EQ(result.constant("b").size(), static_cast<size_t>(uniform ? rows : rows * 5));
  expect_equal_results(net.model(), result.model);
}

INSTANTIATE_TEST_SUITE_P(All, FoldAddAlongRows,
                         testing::Combine(testing::Values(4, 5, 64), testing::Values(false, true)));

TEST(FoldChannelAffine, VectorAlongTheWidthOfAsManyElementsAsChannels) {
  Net net;  // the result is [1, 5, 6, 5]
  const ValueId conv = net.node("Conv", {net.input("x", {1, 3, 8, 6}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  net.output(net.node("Mul", {conv, net.weight("k", {5})}, {}, "y"));
  const Optimized result = expect_kept(net, "y", "axis_unproven", "axis 3");
  expect_equal_results(net.model(), result.model, 0);
}

TEST(FoldChannelAffine, DecomposedBatchNormalization) {  // as TensorFlow's exporter writes it: Mul and Add
  Net net;
  const ValueId conv = linear_node(net, "Conv", false);
  const ValueId scaled = net.node("Mul", {net.weight("k", {1, 5, 1, 1}), conv}, {}, "scaled");
  net.output(net.node("Add", {scaled, net.weight("s", {1, 5, 1, 1})}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_EQ(result.report.affines.size(), 2u);
  expect_equal_results(net.model(), result.model);
}

TEST(FoldChannelAffine, ChannelsLastBehindATranspose) {
  Net net;
  const ValueId conv = linear_node(net, "Conv", false);
  const ValueId last = net.node("Transpose", {conv}, {ints("perm", {0, 2, 3, 1})}, "t");
  const ValueId scaled = net.node("Mul", {last, net.weight("k", {5})}, {}, "scaled");
  net.output(net.node("Sub", {net.weight("s", {5}), scaled}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 2u) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model);
}

TEST(FoldChannelAffine, BetweenConvAndBatchNormalization) {
  Net net;
  const ValueId biased = net.node("Add", {linear_node(net, "Conv", false), net.weight("k", {5, 1, 1})}, {}, "a");
  net.output(net.batch_norm(biased, 5, "y"));
  expect_folded(net, 1);
}

TEST(FoldChannelAffine, AdditionKeepsTheWeight) {
  Net net;
  const ValueId conv = linear_node(net, "Conv", true);
  const Tensor old = *net.graph().constant_of(net.graph().find("w"));
  net.output(net.node("Add", {conv, net.weight("k", {5, 1, 1})}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_TRUE(identical(result.constant("w"), old));
}

TEST(FoldChannelAffine, ScaleWithoutBiasMakesNone) {
  Net net;
  net.output(net.node("Mul", {linear_node(net, "Conv", false), net.weight("k", {5, 1, 1})}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.initializers().size(), 1u);
}

TEST(FoldChannelAffine, BiasOfMatMulStays) {
  Net net;
  net.output(linear_node(net, "MatMul", true));
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.report.affines.empty());
  EXPECT_EQ(ir::dump(result.model.graph), ir::dump(net.model().graph));
}

TEST(FoldChannelAffine, GemmWithBetaZeroKeepsTheCThatItNeeds) {
  for (const int64_t opset : {6, 9, 10, 11}) {
    Net net(opset);
    const ValueId gemm = net.node("Gemm", {net.input("x", {4, 6}), net.weight("w", {6, 5}), net.weight("c", {4, 5})},
                                  {attribute("beta", 0.0f)});
    const std::vector<ir::Attribute> broadcast(opset < 7 ? 1 : 0, attribute("broadcast", 1));
    net.output(net.node("Mul", {gemm, net.weight("k", {5})}, broadcast, "y"));
    const Optimized result = optimize(net.model());
    ASSERT_EQ(result.model.graph.node_count(), 1u) << opset;
    const ir::Node& node = result.model.graph.node(result.model.graph.nodes()[0]);
    EXPECT_EQ(node.inputs.size(), opset < 11 ? 3u : 2u);
    EXPECT_EQ(node.float_or("beta", 1), 0) << opset;
    expect_equal_results(net.model(), result.model);
  }
}

TEST(FoldChannelAffine, DivisionByZeroStays) {
  Net net;
  net.output(net.node("Div", {linear_node(net, "Conv", true), net.constant("k", Tensor(DataType::kFloat32, {5, 1, 1}))},
                      {}, "y"));
  expect_kept(net, "y", "non_finite", "\"k\"");
}

TEST(FoldChannelAffine, TwoBranchesOfOneConv) {  // a hand-made HardSwish: the Conv feeds both
  Net net;
  const ValueId conv = linear_node(net, "Conv", true);
  const ValueId shifted =
      net.node("Add", {conv, net.constant("three", Tensor::copy<float>({}, std::vector<float>{3}))}, {}, "shifted");
  net.output(net.node("Mul", {conv, shifted}, {}, "y"));
  const Optimized result = expect_kept(net, "shifted", "other_consumer", "\"n_y\"");
  expect_equal_results(net.model(), result.model, 0);
}

TEST(FoldChannelAffine, IntegersAreNotFolded) {
  Net net;
  const ValueId x = net.input("x", {4, 6}, DataType::kInt32);
  const ValueId product = net.node("MatMul", {x, net.constant("w", Tensor(DataType::kInt32, {6, 5}))}, {}, "m");
  net.output(net.node("Mul", {product, net.constant("k", Tensor(DataType::kInt32, {5}))}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 2u);
}

TEST(FoldChannelAffine, IsCalledAsTheModelCallsIt) {  // though the output of the model takes the place of its own
  Net net;
  const ValueId scaled = net.node("Mul", {linear_node(net, "Conv", true), net.weight("k", {5, 1, 1})}, {}, "scaled");
  net.output(net.node("Identity", {scaled}, {}, "y"));
  EXPECT_TRUE(optimize(net.model()).fold("scaled").folded);
  ir::Model model = net.model();
  const Report report = passes::run(model, {.keep = {"scaled"}});
  ASSERT_EQ(report.affines.size(), 1u);
  EXPECT_EQ(report.affines[0].output, "scaled");
  EXPECT_EQ(report.affines[0].code, "disabled");
}

TEST(FoldChannelAffine, KeptWhenAskedFor) {
  Net net;
  net.output(net.node("Mul", {linear_node(net, "Conv", true), net.weight("k", {5, 1, 1})}, {}, "y"));
  expect_kept(net, "y", "disabled", "options", {.keep = {"y"}});
}

}  // namespace
}  // namespace pli::test
