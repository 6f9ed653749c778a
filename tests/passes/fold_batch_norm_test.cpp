#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pli::test {
namespace {

using ir::ValueId;

// --- what folds ----------------------------------------------------------------------------------

/// x -> a linear node with these weights -> BatchNormalization. Channel counts differ from every other dimension.
struct LinearCase {
  const char* name;
  const char* op_type;
  Shape x, weight;
  int64_t channels;
  std::vector<ir::Attribute> attributes = {};
  std::vector<Shape> bias = {};  // none or one
  int64_t opset = 17;
  DataType dtype = DataType::kFloat32;
  double tolerance = 1e-6;
};

std::ostream& operator<<(std::ostream& out, const LinearCase& c) { return out << c.name; }

std::string case_name(const testing::TestParamInfo<LinearCase>& info) { return info.param.name; }

class FoldLinear : public testing::TestWithParam<LinearCase> {};

TEST_P(FoldLinear, ComputesTheSame) {
  const LinearCase& c = GetParam();
  Net net(c.opset);
  std::vector<ValueId> inputs{net.input("x", c.x, c.dtype), net.weight("w", c.weight, -1, 1, c.dtype)};
  if (!c.bias.empty()) inputs.push_back(net.weight("b", c.bias[0], -2, 2, c.dtype));
  const ValueId linear = net.node(c.op_type, inputs, c.attributes, "linear");
  net.output(net.batch_norm(linear, c.channels, "y", {attribute("epsilon", 0.01f)}, c.dtype));
  const Optimized result = expect_folded(net, 1, c.tolerance);
  EXPECT_EQ(result.fold("y").into, "n_linear");
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  const ir::Node& node = result.model.graph.node(result.model.graph.nodes()[0]);
  EXPECT_EQ(node.name, "n_linear");
  EXPECT_EQ(result.model.graph.name(node.inputs[1]), "w");
  EXPECT_EQ(result.constant("w").dtype(), c.dtype);
  EXPECT_EQ(result.constant(c.bias.empty() ? "w_bias" : "b").dtype(), c.dtype);
  for (const ir::Attribute& attribute : c.attributes) {
    const bool may_go = attribute.name == "beta" || attribute.name == "broadcast";
    EXPECT_TRUE(may_go || node.attribute(attribute.name)) << attribute.name;
  }
}

const std::vector<LinearCase> kConvolutions{
    {"Conv1d", "Conv", {-1, 3, 11}, {7, 3, 4}, 7, {ints("pads", {2, 1}), ints("strides", {2})}, {{7}}},
    {"Conv1dNoBias", "Conv", {-1, 3, 11}, {7, 3, 4}, 7},
    {"Conv2d", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {ints("dilations", {1, 2})}, {{5}}},
    {"Conv2dNoBias", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5},
    {"Conv3d", "Conv", {-1, 3, 4, 5, 6}, {7, 3, 2, 3, 1}, 7, {ints("pads", {1, 0, 1, 0, 1, 0})}, {{7}}},
    {"Conv3dNoBias", "Conv", {-1, 3, 4, 5, 6}, {7, 3, 2, 3, 1}, 7},
    {"ConvGrouped", "Conv", {-1, 6, 5, 7}, {9, 2, 3, 2}, 9, {attribute("group", 3)}, {{9}}},
    {"ConvGrouped1d", "Conv", {-1, 6, 10}, {9, 2, 3}, 9, {attribute("group", 3)}},
    {"ConvDepthwise",
     "Conv",
     {-1, 8, 5, 7},
     {8, 1, 3, 3},
     8,
     {attribute("group", 8), ints("pads", {1, 1, 1, 1})},
     {{8}}},
    {"ConvDepthwiseTwice", "Conv", {-1, 4, 5, 7}, {8, 1, 3, 3}, 8, {attribute("group", 4)}},
    {"ConvSameUpper",
     "Conv",
     {-1, 3, 8, 9},
     {5, 3, 2, 4},
     5,
     {attribute("auto_pad", "SAME_UPPER"), ints("strides", {2, 1})}},
    {"ConvSameLower",
     "Conv",
     {-1, 3, 8, 9},
     {5, 3, 2, 4},
     5,
     {attribute("auto_pad", "SAME_LOWER"), ints("strides", {1, 2})},
     {{5}}},
    {"ConvValid", "Conv", {-1, 3, 8, 9}, {5, 3, 2, 4}, 5, {attribute("auto_pad", "VALID")}, {{5}}},
    {"ConvOneFilter", "Conv", {-1, 3, 8, 9}, {1, 3, 2, 4}, 1, {}, {{1}}},
    {"ConvHalf", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {{5}}, 17, DataType::kFloat16, 2e-3},
    {"ConvBfloat16", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {}, 17, DataType::kBfloat16, 2e-2},
    {"ConvDouble", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {{5}}, 17, DataType::kFloat64, 1e-14},
    {"ConvOpset6", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {{5}}, 6},
    {"ConvOpset7", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {}, 7},
    {"ConvOpset9", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {{5}}, 9},
    {"ConvOpset14", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {{5}}, 14},
    {"ConvOpset15", "Conv", {-1, 3, 8, 9}, {5, 3, 3, 2}, 5, {}, {}, 15},
    {"ConvTranspose1d", "ConvTranspose", {-1, 3, 6}, {3, 5, 4}, 5, {ints("strides", {2}), ints("pads", {1, 0})}, {{5}}},
    {"ConvTranspose2d", "ConvTranspose", {-1, 3, 4, 6}, {3, 5, 3, 2}, 5, {ints("strides", {2, 3})}, {{5}}},
    {"ConvTranspose2dNoBias",
     "ConvTranspose",
     {-1, 3, 4, 6},
     {3, 5, 3, 2},
     5,
     {ints("output_padding", {1, 0}), ints("strides", {2, 1})}},
    {"ConvTranspose3d", "ConvTranspose", {-1, 3, 2, 4, 5}, {3, 7, 2, 1, 3}, 7, {}, {{7}}},
    {"ConvTransposeGrouped", "ConvTranspose", {-1, 6, 4, 5}, {6, 5, 3, 2}, 10, {attribute("group", 2)}, {{10}}},
    {"ConvTransposeGroupedNoBias", "ConvTranspose", {-1, 6, 4, 5}, {6, 5, 3, 2}, 15, {attribute("group", 3)}},
    {"ConvTransposeDepthwise", "ConvTranspose", {-1, 7, 4, 5}, {7, 1, 3, 2}, 7, {attribute("group", 7)}, {{7}}},
    {"ConvTransposeSame",
     "ConvTranspose",
     {-1, 3, 4, 6},
     {3, 5, 3, 4},
     5,
     {attribute("auto_pad", "SAME_UPPER"), ints("strides", {2, 2})}},
};
INSTANTIATE_TEST_SUITE_P(Convolutions, FoldLinear, testing::ValuesIn(kConvolutions), case_name);

const ir::Attribute kAlpha = attribute("alpha", 0.5f);
const ir::Attribute kBeta = attribute("beta", -1.5f);
const ir::Attribute kTransA = attribute("transA", 1);
const ir::Attribute kTransB = attribute("transB", 1);
const std::vector<LinearCase> kGemms{
    {"Gemm", "Gemm", {4, 6}, {6, 5}, 5, {}, {{5}}},
    {"GemmNoC", "Gemm", {4, 6}, {6, 5}, 5},
    {"GemmTransB", "Gemm", {4, 6}, {5, 6}, 5, {kTransB}, {{5}}},
    {"GemmTransA", "Gemm", {6, 4}, {6, 5}, 5, {kTransA}, {{5}}},
    {"GemmTransBoth", "Gemm", {6, 4}, {5, 6}, 5, {kTransA, kTransB}},
    {"GemmAlpha", "Gemm", {4, 6}, {6, 5}, 5, {kAlpha}, {{5}}},
    {"GemmBeta", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{5}}},
    {"GemmAlphaBeta", "Gemm", {4, 6}, {5, 6}, 5, {kTransB, kAlpha, kBeta}, {{5}}},
    {"GemmAlphaNoC", "Gemm", {4, 6}, {6, 5}, 5, {kAlpha, kBeta}},
    {"GemmScalarC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{}}},
    {"GemmOneC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{1}}},
    {"GemmRowC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{1, 5}}},
    {"GemmOneOneC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{1, 1}}},
    {"GemmColumnC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta}, {{4, 1}}},
    {"GemmMatrixC", "Gemm", {4, 6}, {6, 5}, 5, {kBeta, kAlpha}, {{4, 5}}},
    {"GemmOpset6", "Gemm", {4, 6}, {6, 5}, 5, {attribute("broadcast", 1), kBeta}, {{5}}, 6},
    {"GemmOpset6Matrix", "Gemm", {4, 6}, {6, 5}, 5, {}, {{4, 5}}, 6},
    {"GemmOpset7", "Gemm", {4, 6}, {6, 5}, 5, {}, {{1}}, 7},
    {"GemmOpset9", "Gemm", {-1, 6}, {6, 5}, 5, {}, {{1, 5}}, 9},
};
INSTANTIATE_TEST_SUITE_P(Gemms, FoldLinear, testing::ValuesIn(kGemms), case_name);

TEST(FoldBatchNorm, GemmWithBetaZeroForgetsC) {
  Net net;
  const ValueId gemm = net.node("Gemm", {net.input("x", {4, 6}), net.weight("w", {6, 5}), net.input("c", {5})},
                                {attribute("beta", 0.0f)});
  net.output(net.batch_norm(gemm, 5, "y"));
  // The oracle multiplies C by 0.
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, KeepsEveryName) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId conv = net.node("Conv", {x, net.weight("conv.weight", {9, 3, 3, 2}), net.weight("conv.bias", {9})},
                                {ints("pads", {1, 0, 1, 1}), ints("strides", {2, 1})}, "c");
  const ValueId inner = net.batch_norm(conv, 9, "inner", {attribute("epsilon", 0.01f)});
  net.output(net.node("Relu", {inner}, {}, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.fold("inner").how, "conv_absorbs_following");
  EXPECT_TRUE(result.report.origin.empty());
  EXPECT_EQ(ir::dump(result.model.graph),
            "input x: float32[batch, 3, 8, 9]\n"
            "initializer conv.weight: float32[9, 3, 3, 2]\n"
            "initializer conv.bias: float32[9]\n"
            "inner = Conv(x, conv.weight, conv.bias) pads=[1, 0, 1, 1] strides=[2, 1]  # n_c\n"
            "y = Relu(inner)  # n_y\n"
            "output y = y\n");
}

TEST(FoldBatchNorm, NewBiasIsNamedAfterTheWeight) {
  Net net;
  const ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("stem.0.weight", {5, 3, 3, 2})});
  net.output(net.batch_norm(conv, 5, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.constant("stem.0.bias").size(), 5u);
  EXPECT_EQ(result.report.origin, (std::map<std::string, std::string>{{"stem.0.bias", "y.bias"}}));
}

TEST(FoldBatchNorm, RoundsOnce) {
  Net net;
  const ValueId w = net.weight("w", {3, 2, 1, 2}, -0.1, 0.1);
  const Tensor old = *net.graph().constant_of(w);
  const ValueId conv = net.node("Conv", {net.input("x", {1, 2, 4, 5}), w});
  const ValueId y = net.batch_norm(conv, 3, "y");  // epsilon left out: 1e-5
  net.output(y);
  const auto number = [&](const std::string& name, size_t i) {
    return static_cast<double>(net.graph().constant_of(net.graph().find("y." + name))->data<float>()[i]);
  };
  const Optimized result = expect_folded(net, 1);
  const Tensor folded = result.constant("w");
  const Tensor bias = result.constant("w_bias");
  for (size_t i = 0; i < old.size(); ++i) {
    const size_t c = i / 4;
    const double factor = number("scale", c) / std::sqrt(number("var", c) + static_cast<double>(1e-5f));
    EXPECT_EQ(folded.data<float>()[i], static_cast<float>(static_cast<double>(old.data<float>()[i]) * factor));
    EXPECT_EQ(bias.data<float>()[c], static_cast<float>(number("bias", c) - number("mean", c) * factor));
  }
}

TEST(FoldBatchNorm, DefaultEpsilonMatters) {
  Net net;
  const ValueId conv = net.node("Conv", {net.input("x", {1, 2, 4, 5}), net.weight("w", {3, 2, 1, 2})});
  std::vector<ValueId> inputs{conv};
  for (const char* name : {"s", "b", "m"}) inputs.push_back(net.weight(name, {3}));
  inputs.push_back(net.weight("v", {3}, 1e-6, 3e-5));
  net.output(net.node("BatchNormalization", inputs, {}, "y"));
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, StatisticsOfAnotherType) {  // opset 15
  Net net;
  const ValueId x = net.input("x", {1, 3, 8, 9}, DataType::kFloat16);
  const ValueId conv = net.node("Conv", {x, net.weight("w", {5, 3, 3, 2}, -1, 1, DataType::kFloat16)});
  net.output(net.batch_norm(conv, 5, "y"));
  const Optimized result = expect_folded(net, 1, 2e-3);
  EXPECT_EQ(result.constant("w_bias").dtype(), DataType::kFloat16);
}

TEST(FoldBatchNorm, Chain) {
  Net net;
  ValueId v =
      net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2}), net.weight("b", {5})}, {}, "c");
  for (const char* name : {"first", "second", "third"}) v = net.batch_norm(v, 5, name);
  net.output(v);
  const Optimized result = expect_folded(net, 3, 3e-6);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_EQ(result.model.graph.initializers().size(), 2u);
  EXPECT_EQ(result.constant("w").size(), 90u);
  EXPECT_EQ(result.report.batch_norms[0].output, "first");
  EXPECT_EQ(result.report.batch_norms[2].output, "third");
}

TEST(FoldBatchNorm, ManyInOrder) {
  Net net;
  ValueId v = net.input("x", {-1, 3, 12, 11});
  int64_t channels = 3;
  for (int i = 0; i < 5; ++i) {
    const std::string n = std::to_string(i);
    v = net.node("Conv", {v, net.weight("w" + n, {channels + 2, channels, 2, 1})}, {}, "c" + n);
    channels += 2;
    v = net.node("Relu", {net.batch_norm(v, channels, "bn" + n)}, {}, "r" + n);
  }
  net.output(v, "result");
  const Optimized result = expect_folded(net, 5, 3e-6);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(result.report.batch_norms[i].output, "bn" + std::to_string(i));
    EXPECT_EQ(result.report.batch_norms[i].into, "n_c" + std::to_string(i));
  }
}

TEST(FoldBatchNorm, WeightsFromConstantNodesAndIdentities) {
  Net net;
  const ValueId w = net.constant_node("w", net.random({5, 3, 3, 2}));
  const ValueId b = net.node("Identity", {net.node("Identity", {net.weight("shared", {5})}, {}, "once")}, {}, "b");
  const ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), w, b});
  const ValueId scale = net.constant_node("scale", net.random({5}));
  const ValueId mean = net.node("Identity", {scale}, {}, "mean");
  const ValueId variance = net.constant_node("var", net.random({5}, 0.1, 1));
  net.output(net.node("BatchNormalization", {conv, scale, b, mean, variance}, {}, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
}

TEST(FoldBatchNorm, SharedWeightWithTwoBatchNorms) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId w = net.weight("w", {5, 3, 3, 2});
  const ValueId b = net.weight("b", {5});
  net.output(net.batch_norm(net.node("Conv", {x, w, b}, {}, "c1"), 5, "y1"));
  net.output(net.batch_norm(net.node("Conv", {x, w, b}, {ints("strides", {2, 2})}, "c2"), 5, "y2"));
  const Optimized result = expect_folded(net, 2);
  EXPECT_EQ(result.model.graph.initializers().size(), 4u);
  EXPECT_EQ(result.report.origin, (std::map<std::string, std::string>{{"w_2", "w"}, {"b_2", "b"}}));
}

TEST(FoldBatchNorm, SharedWeightNormalizedOnOnePathOnly) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId w = net.weight("w", {5, 3, 3, 2});
  const Tensor old = *net.graph().constant_of(w);
  net.output(net.node("Conv", {x, w}, {ints("strides", {2, 2})}, "plain"));
  net.output(net.batch_norm(net.node("Conv", {x, w}, {}, "c"), 5, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_TRUE(identical(result.constant("w"), old));
  EXPECT_EQ(result.report.origin.at("w_1"), "w");
}

TEST(FoldBatchNorm, WeightThatIsAnOutputToo) {
  Net net;
  const ValueId w = net.weight("w", {5, 3, 3, 2});
  net.output(net.batch_norm(net.node("Conv", {net.input("x", {-1, 3, 8, 9}), w}), 5, "y"));
  net.output(w);
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, OutputUnderAnotherName) {
  Net net;
  const ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})});
  const ValueId y = net.batch_norm(conv, 5, "inner");
  net.output(y, "first");
  net.output(y, "second");
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, NodesWithoutNames) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  for (const char* y : {"y1", "y2"}) {
    ir::NodeSpec conv{.op_type = "Conv", .inputs = {x, net.weight(std::string(y) + ".w", {5, 3, 3, 2})}};
    conv.outputs = {{std::string("c") + y, {}, {}}};
    net.output(net.batch_norm(net.graph().node(net.graph().add_node(std::move(conv))).outputs[0], 5, y));
  }
  const Optimized result = expect_folded(net, 2);
  EXPECT_EQ(result.fold("y1").into, "y1");
  EXPECT_EQ(result.fold("y2").into, "y2");
}

TEST(FoldBatchNorm, GeneratedNamesDoNotClash) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId w = net.weight("w", {5, 3, 3, 2});
  const ValueId taken = net.node("Conv", {x, net.weight("w_1", {5, 3, 3, 2}), net.weight("w_bias", {5})}, {}, "taken");
  net.output(net.batch_norm(net.node("Conv", {x, w}), 5, "y"));
  net.output(net.node("Conv", {x, w}, {}, "y_1"));
  net.output(taken);
  expect_folded(net, 1);
}

// --- MatMul --------------------------------------------------------------------------------------

TEST(FoldBatchNorm, MatMul) {
  Net net;
  net.output(net.batch_norm(net.node("MatMul", {net.input("x", {4, 6}), net.weight("w", {6, 5})}, {}, "m"), 5, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.fold("y").how, "matmul_absorbs_following");
  EXPECT_EQ(result.count("Gemm"), 1) << "MatMul has no bias for the shift";
}

TEST(FoldBatchNorm, MatMulAdd) {
  for (const Shape& shape : std::vector<Shape>{{5}, {1, 5}, {1}, {}, {4, 1}, {4, 5}}) {
    for (const bool bias_first : {false, true}) {
      Net net;
      const ValueId product = net.node("MatMul", {net.input("x", {4, 6}), net.weight("w", {6, 5})}, {}, "m");
      const ValueId b = net.weight("b", shape);
      const ValueId sum = net.node("Add", bias_first ? std::vector{b, product} : std::vector{product, b}, {}, "a");
      net.output(net.batch_norm(sum, 5, "y"));
      const Optimized result = expect_folded(net, 1);
      EXPECT_EQ(result.fold("y").how, "matmul_add_absorbs_following");
      EXPECT_EQ(result.model.graph.node_count(), 1u);
    }
  }
}

TEST(FoldBatchNorm, MatMulAddOpset6) {
  Net net(6);
  const ValueId product = net.node("MatMul", {net.input("x", {4, 6}), net.weight("w", {6, 5})}, {}, "m");
  net.output(net.batch_norm(net.node("Add", {product, net.weight("b", {5})}, {attribute("broadcast", 1)}), 5, "y"));
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, MatMulOfRank3BehindTranspose) {  // Linear -> Transpose -> BatchNorm1d -> Transpose
  Net net;
  const ValueId product = net.node("MatMul", {net.input("x", {2, 4, 6}), net.weight("w", {6, 5})}, {}, "m");
  const ValueId sum = net.node("Add", {product, net.weight("b", {5})}, {}, "a");
  const ValueId channels_first = net.node("Transpose", {sum}, {ints("perm", {0, 2, 1})}, "t");
  const ValueId y = net.batch_norm(channels_first, 5, "bn");
  net.output(net.node("Transpose", {y}, {ints("perm", {0, 2, 1})}, "y"));
  expect_folded(net, 1);
}

TEST(FoldBatchNorm, MatMulOfRank3WithoutTransposeIsAlongAnotherAxis) {
  Net net;  // channels 5 are dimension 1 of x, and the last dimension is 5 as well
  const ValueId product = net.node("MatMul", {net.input("x", {2, 5, 6}), net.weight("w", {6, 5})}, {}, "m");
  net.output(net.batch_norm(product, 5, "y"));
  expect_kept(net, "y", "axis_unproven", "axis 1");
}

TEST(FoldBatchNorm, TransposeToTheWrongAxis) {
  Net net;
  const ValueId conv =
      net.node("Conv", {net.input("x", {-1, 3, 8, 7}), net.weight("w", {5, 3, 4, 3})}, {}, "c");  // [n, 5, 5, 5]
  net.output(net.batch_norm(net.node("Transpose", {conv}, {ints("perm", {0, 2, 1, 3})}, "t"), 5, "y"));
  expect_kept(net, "y", "axis_unproven", "axis 2");
}

TEST(FoldBatchNorm, ConstantOnTheLeftOfMatMul) {
  Net net;
  net.output(net.batch_norm(net.node("MatMul", {net.weight("w", {4, 6}), net.input("x", {2, 6, 5})}), 4, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.graph.node_count(), 2u);
}

TEST(FoldBatchNorm, AlongWhatTheConstantOnTheLeftOfMatMulDoesNotGive) {
  Net net;
  net.output(net.batch_norm(net.node("MatMul", {net.weight("w", {4, 6}), net.input("x", {6, 5})}), 5, "y"));
  expect_kept(net, "y", "axis_unproven", "works along axis 1 of the result of MatMul");
}

// --- subnormals, initializers that are inputs ----------------------------------------------------

TEST(FoldBatchNorm, SubnormalsBecomeZero) {
  ConvNet c;
  c.batch_norm_with(1, c.net.constant("tiny", Tensor::copy<float>({5}, std::vector<float>{1e-39f, 1, 1e-40f, 1, 1})));
  const Optimized result = expect_folded(c.net, 1);
  EXPECT_EQ(result.report.subnormals_cleared, 36);
  const Tensor weight = result.constant("w");
  for (const float value : weight.data<float>()) EXPECT_NE(std::fpclassify(value), FP_SUBNORMAL);
}

TEST(FoldBatchNorm, SubnormalHalvesStay) {
  Net net;
  const ValueId x = net.input("x", {1, 3, 8, 9}, DataType::kFloat16);
  const ValueId conv = net.node("Conv", {x, net.weight("w", {5, 3, 3, 2}, 1e-5, 2e-5, DataType::kFloat16)});
  net.output(net.batch_norm(conv, 5, "y", {}, DataType::kFloat16));
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.fold("y").folded);
  EXPECT_EQ(result.report.subnormals_cleared, 0);
  const Tensor weight = result.constant("w");
  for (const Float16 value : weight.data<Float16>()) EXPECT_NE(value.bits & 0x7fffu, 0u);
}

TEST(FoldBatchNorm, InitializersThatAreInputsOfIrVersion3) {
  Net net(9, 3);
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId conv = net.node("Conv", {x, net.default_input("w", net.random({5, 3, 3, 2}))}, {}, "c");
  std::vector<ValueId> inputs{conv};
  for (const char* name : {"s", "b", "m", "v"}) inputs.push_back(net.default_input(name, net.random({5}, 0.5, 1)));
  net.output(net.node("BatchNormalization", inputs, {}, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.ir_version, 4);
  EXPECT_EQ(result.model.graph.inputs().size(), 1u);
  ASSERT_EQ(result.report.notes.size(), 1u);
  EXPECT_NE(result.report.notes[0].find("IR version 3 became 4"), std::string::npos) << result.report.notes[0];
  EXPECT_EQ(result.constant("w").size(), 90u);
}

TEST(FoldBatchNorm, AWeightThatIsReplacedCountsForNothingHoweverItIsDeclared) {
  OptimizeOptions options;
  options.limits.folded_bytes = 1;
  const auto chain = [](int64_t ir_version, auto&& weight) {
    Net net(9, ir_version);
    ValueId value = net.input("x", {-1, 4, 8, 9});
    for (int i = 0; i < 6; ++i) {
      const std::string number = std::to_string(i);
      value = net.node("Conv", {value, weight(net, "w" + number)}, {}, "c" + number);
      value = net.batch_norm(value, 4, "bn" + number);
    }
    net.output(value);
    return net;
  };
  const Shape shape{4, 4, 1, 1};
  for (const Net& net :
       {chain(8, [&](Net&n, const std::string&name) { return n.weight(name, shape); }),
        chain(8, [&](Net&n, const std::string&name) { return n.constant_node(name, n.random(shape)); }),
        chain(3, [&](Net&n, const std::string&name) { return n.default_input(name, n.random(shape)); })}) {
    const Optimized result = optimize(net.model(), options);
    for (int i = 0; i < 6; ++i) {
      const Fold& fold = result.fold("bn" + std::to_string(i));
      EXPECT_TRUE(fold.folded) << fold.output << ": " << fold.reason;
    }
    expect_equal_results(net.model(), result.model);
  }
}

TEST(FoldBatchNorm, NothingFoldedLeavesIrVersion3) {
  Net net(9, 3);
  net.output(
      net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.default_input("w", net.random({5, 3, 3, 2}))}, {}, "c"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.ir_version, 3);
  EXPECT_EQ(result.model.graph.inputs().size(), 2u);
}

TEST(FoldBatchNorm, StatisticsThatNobodyReads) {
  for (const int64_t opset : {7, 9, 13}) {
    ConvNet c(opset);
    const std::vector<ValueId> inputs{c.conv, c.net.weight("s", {5}), c.net.weight("bias", {5}), c.net.weight("m", {5}),
                                      c.net.weight("v", {5}, 0.5, 1)};
    c.net.output(c.net.node("BatchNormalization", inputs, {}, "y", 5));
    const Optimized result = expect_folded(c.net, 1);
    ASSERT_EQ(result.report.notes.size(), 1u) << opset;
    EXPECT_NE(result.report.notes[0].find("BatchNormalization \"n_y\""), std::string::npos) << result.report.notes[0];
    EXPECT_NE(result.report.notes[0].find("--strict"), std::string::npos) << result.report.notes[0];
  }
}

/// x -> Conv "c" of weights that are stored in a narrow type, behind a Cast -> BatchNormalization "y".
Net net_of_narrow_weights(DataType stored, double scale = 1) {
  Net net;
  const ValueId x = net.input("x", {-1, 12, 8, 9});
  const ValueId weight =
      net.node("Cast", {net.weight("w", {20, 12, 3, 2}, -1, 1, stored)}, {attribute("to", 1)}, "wide");
  const ValueId conv = net.node("Conv", {x, weight, net.weight("b", {20})}, {}, "c");
  const std::vector<ValueId> inputs{conv, net.weight("s", {20}, scale / 2, scale), net.weight("bias", {20}),
                                    net.weight("m", {20}), net.weight("v", {20}, 0.5, 1)};
  net.output(net.node("BatchNormalization", inputs, {}, "y"));
  return net;
}

TEST(FoldBatchNorm, NarrowWeightsStayNarrow) {
  for (const auto& [stored, tolerance] : {std::pair(DataType::kFloat16, 3e-4), std::pair(DataType::kBfloat16, 3e-3)}) {
    const Net net = net_of_narrow_weights(stored);
    const Optimized result = expect_folded(net, 1, tolerance);
    EXPECT_EQ(result.count("Cast"), 1);
    EXPECT_EQ(result.constant("w").dtype(), stored);
    EXPECT_EQ(result.report.rounded_to, stored);
    ASSERT_EQ(result.report.notes.size(), 1u);
    EXPECT_NE(result.report.notes[0].find("--widen-weights"), std::string::npos) << result.report.notes[0];
  }
}

TEST(FoldBatchNorm, NarrowWeightsGrowWhereTheyHaveTo) {
  const Net net = net_of_narrow_weights(DataType::kFloat16);
  const Optimized asked = optimize(net.model(), {.widen_weights = true});
  expect_equal_results(net.model(), asked.model);
  EXPECT_EQ(asked.count("Cast"), 0);
  EXPECT_EQ(asked.report.rounded_to, DataType::kUndefined);
  ASSERT_EQ(asked.report.notes.size(), 1u);
  EXPECT_TRUE(asked.report.notes[0].starts_with("2880 bytes more")) << asked.report.notes[0];  // 20 x 12 x 3 x 2 x 2

  // Scaled so far down that float16 has no precision left.
  const Optimized small = expect_folded(net_of_narrow_weights(DataType::kFloat16, 1e-6), 1);
  EXPECT_EQ(small.count("Cast"), 0);
  ASSERT_EQ(small.report.notes.size(), 1u);
  EXPECT_NE(small.report.notes[0].find("range or precision"), std::string::npos) << small.report.notes[0];
}

/// x -> Conv "c" -> BatchNormalization "y", the weight turned behind what widens it.
Net net_of_turned_weights(const std::string& widening) {
  Net net(15);
  const ValueId x = net.input("x", {-1, 12, 8, 9});
  const ValueId stored = net.weight("w", {12, 20, 3, 2}, -1, 1, DataType::kFloat16);
  const bool cast = widening == "Cast";
  const ValueId wide =
      cast ? net.node("Cast", {stored}, {attribute("to", 1)}) : net.node("CastLike", {stored, net.weight("like", {1})});
  const ValueId turned = net.node("Transpose", {wide}, {ints("perm", {1, 0, 2, 3})});
  net.output(net.batch_norm(net.node("Conv", {x, turned}, {}, "c"), 20, "y"));
  return net;
}

TEST(FoldBatchNorm, NarrowWeightsStayNarrowBehindWhatMovesThem) {
  for (const char* widening : {"Cast", "CastLike"}) {
    const Optimized result = expect_folded(net_of_turned_weights(widening), 1, 3e-4);
    EXPECT_EQ(result.count(widening), 1);
    EXPECT_EQ(result.model.graph.node_count(), 2u) << "the new weight is stored as it is used";
    const Tensor weight = result.constant("w");
    EXPECT_EQ(weight.dtype(), DataType::kFloat16);
    EXPECT_EQ(weight.shape()[0], 20);
    EXPECT_EQ(result.report.rounded_to, DataType::kFloat16);
  }
}

TEST(FoldBatchNorm, ANarrowWeightThatIsComputedWithGrowsNotWithoutAWord) {
  Net net;
  const ValueId x = net.input("x", {-1, 12, 8, 9});
  const ValueId wide =
      net.node("Cast", {net.weight("w", {20, 12, 3, 2}, -1, 1, DataType::kFloat16)}, {attribute("to", 1)});
  const ValueId less = net.node("Sub", {wide, net.weight("mean", {20, 1, 1, 1})});  // weight standardization
  net.output(net.batch_norm(net.node("Conv", {x, less}, {}, "c"), 20, "y"));
  const Optimized result = expect_folded(net, 1);
  ASSERT_EQ(result.report.notes.size(), 1u);
  EXPECT_TRUE(result.report.notes[0].starts_with("2880 bytes more")) << result.report.notes[0];
}

TEST(FoldBatchNorm, ANarrowWeightThatIsSharedIsCopied) {
  Net net = net_of_narrow_weights(DataType::kFloat16);
  ir::Graph& graph = net.graph();
  net.output(net.node("Conv", {graph.find("x"), graph.find("wide")}, {}, "other"));
  const Optimized result = expect_folded(net, 1, 3e-4);
  EXPECT_EQ(result.count("Cast"), 2);
}

TEST(FoldBatchNorm, NothingIsFoldedIntoABrokenNode) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId odd = net.node("Conv", {x, net.weight("w1", {4, 3, 3, 2})}, {attribute("group", 2)}, "odd");
  net.output(net.batch_norm(odd, 4, "y1"));
  net.output(net.batch_norm(net.node("Conv", {x, net.weight("w2", {5, 3, 3, 2})}, {}, "c"), 5, "y2"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.fold("y1").code, "broken_node");
  EXPECT_NE(result.fold("y1").reason.find("Conv \"n_odd\""), std::string::npos) << result.fold("y1").reason;
  EXPECT_NE(result.fold("y1").reason.find("group 2"), std::string::npos) << result.fold("y1").reason;
  EXPECT_TRUE(result.fold("y2").folded);
  EXPECT_EQ(result.count("BatchNormalization"), 1);
  ASSERT_EQ(result.report.broken_nodes.size(), 1u);
  EXPECT_EQ(result.report.broken_nodes[0].node, "Conv \"n_odd\"");
}

TEST(FoldBatchNorm, ABrokenNodeOfConstantsStays) {
  Net net;
  const ValueId x = net.input("x", {1, 3, 8, 9});
  const ValueId shape = net.node("Shape", {x}, {}, "shape", 2);  // gives one output only
  net.output(shape);
  net.output(net.node("Shape", {x, x}, {}, "of_two"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Shape"), 2);
  EXPECT_EQ(result.report.broken_nodes.size(), 2u);
}

TEST(FoldBatchNorm, StatisticsThatAnAnnotationNamesAreRead) {
  Net net(9);
  std::vector<ValueId> inputs{net.weight("k", {1, 5, 2, 1})};
  for (const char* name : {"s", "bias", "m", "v"}) inputs.push_back(net.weight(name, {5}, 0.5, 1));
  const ValueId y = net.node("BatchNormalization", inputs, {}, "y", 5);
  ir::Graph& graph = net.graph();
  graph.pin(graph.name(graph.node(graph.producer(y)).outputs[3]));
  net.output(net.node("Add", {net.input("x", {1, 5, 2, 1}), y}, {}, "z"));
  EXPECT_EQ(optimize(net.model()).count("BatchNormalization"), 1);
}

TEST(FoldBatchNorm, InitializersThatMayBeOverridden) {
  Net net;
  const ValueId conv =
      net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.default_input("w", net.random({5, 3, 3, 2}))}, {}, "c");
  net.output(net.batch_norm(conv, 5, "y"));
  const Optimized kept = expect_kept(net, "y", "not_constant", "may be overridden");
  ASSERT_EQ(kept.report.notes.size(), 1u);
  EXPECT_NE(kept.report.notes[0].find("--freeze-initializers"), std::string::npos) << kept.report.notes[0];
  const Optimized result = optimize(net.model(), {.freeze_initializers = true});
  EXPECT_TRUE(result.fold("y").folded);
  EXPECT_EQ(result.model.graph.inputs().size(), 1u);
  EXPECT_EQ(result.report.notes.size(), 1u);
  expect_equal_results(net.model(), result.model);
  Net old(9, 3);
  old.output(old.node("Conv", {old.input("x", {-1, 3, 8, 9}), old.default_input("w", old.random({5, 3, 3, 2}))}));
  EXPECT_EQ(optimize(old.model(), {.freeze_initializers = true}).model.ir_version, 4);
}

/// A channel that is scaled by 0 becomes its bias, and the report says so.
TEST(FoldBatchNorm, ChannelsThatAreScaledByZeroAreCounted) {
  ConvNet c;
  Tensor scale = c.net.random({5}, 0.5, 1);
  scale.mutable_data<float>()[1] = 0;
  scale.mutable_data<float>()[4] = -0.0f;
  c.batch_norm_with(1, c.net.constant("gamma", std::move(scale)));
  const Optimized result = expect_folded(c.net, 1);
  EXPECT_EQ(std::ranges::count_if(result.report.notes,
                                  [](const std::string& note) {
                                    return note.starts_with("channels that are scaled by 0") && note.ends_with(": 2");
                                  }),
            1);
}

}  // namespace
}  // namespace pli::test
