#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

namespace pli::test {
namespace {

using ir::ValueId;

TEST(KeepBatchNorm, ConvUsedElsewhere) {
  ConvNet c;
  c.net.output(c.net.batch_norm(c.conv, 5, "y"));
  c.net.output(c.net.node("Relu", {c.conv}, {}, "z"));
  const Optimized result = expect_kept(c.net, "y", "other_consumer", "\"n_z\"");
  expect_equal_results(c.net.model(), result.model, 0);
}

TEST(KeepBatchNorm, ConvIsAnOutput) {
  ConvNet c;
  c.net.output(c.net.batch_norm(c.conv, 5, "y"));
  c.net.output(c.conv);
  const Optimized result = expect_kept(c.net, "y", "graph_output", "\"c\"");
  expect_equal_results(c.net.model(), result.model, 0);
}

TEST(KeepBatchNorm, ConvCapturedByABody) {
  ConvNet c;
  auto body = std::make_shared<ir::Graph>(c.net.graph().opsets());
  const ValueId captured = body->add_capture("c", {});
  const ir::NodeId relu = body->add_node({.op_type = "Relu", .inputs = {captured}, .outputs = {{"r", {}, {}}}});
  body->add_output({"r", body->node(relu).outputs[0], {}, {}});
  const ir::Subgraph branch{body, {c.conv}};
  const ValueId condition = c.net.graph().add_input("condition", ir::Type::tensor(DataType::kBool, ir::Dims{}));
  c.net.output(c.net.node("If", {condition}, {{"then_branch", branch, {}}, {"else_branch", branch, {}}}, "z"));
  c.net.output(c.net.batch_norm(c.conv, 5, "y"));
  expect_kept(c.net, "y", "other_consumer", "\"n_z\"");
}

TEST(KeepBatchNorm, WhatWouldChangeIsAnnotated) {
  for (const char* name : {"w", "b", "c"}) {
    ConvNet c;
    c.net.output(c.net.batch_norm(c.conv, 5, "y"));
    c.net.graph().pin(name);
    expect_kept(c.net, "y", "pinned", fmt::format("refers to \"{}\"", name));
  }
  ConvNet c;
  c.net.output(c.net.node("Mul", {c.net.batch_norm(c.conv, 5, "y"), c.net.weight("k", {5, 1, 1})}, {}, "z"));
  for (const char* name : {"y", "y_scale", "x"}) c.net.graph().pin(name);
  const Optimized result = expect_folded(c.net, 1);  // what is called y is as before, so nothing more may be folded
  EXPECT_EQ(result.count("Mul"), 1);
}

TEST(KeepBatchNorm, InAGraphThatAnUnknownNodeHolds) {
  ConvNet c;
  Net inner;
  const ValueId x = inner.graph().add_capture("c", {});
  inner.output(inner.batch_norm(inner.node("Conv", {x, inner.weight("iw", {4, 5, 1, 1})}), 4, "iy"));
  const ir::Subgraph body{std::make_shared<ir::Graph>(inner.graph()), {c.conv}};
  ir::NodeSpec spec{.op_type = "Sometimes", .domain = "own", .name = "n_z", .attributes = {{"body", body, {}}}};
  spec.outputs = {{"z", {}, {}}};
  c.net.output(c.net.graph().node(c.net.graph().add_node(std::move(spec))).outputs[0]);
  const Optimized result = optimize(c.net.model());
  ASSERT_EQ(result.report.batch_norms.size(), 1u);
  EXPECT_EQ(result.report.batch_norms[0].graph, "n_z/body");
  EXPECT_EQ(result.report.batch_norms[0].code, "nested_graph");
}

TEST(KeepBatchNorm, NothingBeforeIt) {
  Net net;
  net.output(net.batch_norm(net.input("x", {-1, 3, 8, 9}), 3, "y"));
  expect_kept(net, "y", "no_linear_neighbour", "\"x\" is an input of the model");
}

TEST(KeepBatchNorm, BeforeAConvolutionThatPads) {
  Net net;
  const ValueId norm = net.batch_norm(net.input("x", {-1, 3, 8, 9}), 3, "norm");
  net.output(net.node("Conv", {norm, net.weight("w", {5, 3, 3, 2})}, {ints("pads", {0, 1, 0, 0})}, "y"));
  const Optimized result = expect_kept(net, "norm", "padding", "Conv \"n_y\" pads with zeros");
  EXPECT_NE(result.fold("norm").reason.find("\"x\" is an input of the model"), std::string::npos);
}

TEST(KeepBatchNorm, BehindAReshape) {  // of a type that the oracle does not know: only the report is looked at
  ConvNet c;
  const ValueId shape = c.net.constant("shape", int64_tensor(std::vector<int64_t>{-1, 10, 24}));
  c.net.output(c.net.batch_norm(c.net.node("Reshape", {c.conv, shape}, {}, "r"), 10, "y"));
  const Fold fold = optimize(c.net.model()).fold("y");
  EXPECT_EQ(fold.code, "axis_unproven");  // two of its channels are one of the convolution's
  EXPECT_NE(fold.reason.find("it works along axis 2 of the result of Conv \"n_c\""), std::string::npos) << fold.reason;
}

TEST(KeepBatchNorm, BehindAReshapeOfSomethingNonlinear) {
  ConvNet c;
  const ValueId shape = c.net.constant("shape", int64_tensor(std::vector<int64_t>{-1, 10, 24}));
  const ValueId relu = c.net.node("Relu", {c.conv});
  c.net.output(c.net.batch_norm(c.net.node("Reshape", {relu, shape}, {}, "r"), 10, "y"));
  EXPECT_EQ(optimize(c.net.model()).fold("y").code, "nonlinear_between");
}

TEST(KeepBatchNorm, BehindSomethingWithoutWeights) {
  ConvNet c;
  const ValueId sum = c.net.node("Add", {c.conv, c.net.input("residual", {-1, 5, 6, 8})}, {}, "sum");
  c.net.output(c.net.batch_norm(sum, 5, "y"));
  expect_kept(c.net, "y", "no_linear_neighbour", "Add \"n_sum\"");
}

TEST(KeepBatchNorm, BehindAnActivation) {
  ConvNet c;
  c.net.output(c.net.batch_norm(c.net.node("Relu", {c.conv}, {}, "r"), 5, "y"));
  expect_kept(c.net, "y", "nonlinear_between", "Relu \"n_r\" stands between Conv \"n_c\" and it");
}

TEST(KeepBatchNorm, OperandsThatAreNotConstant) {
  const char* const words[] = {"", "scale \"given\"", "bias \"given\"", "mean \"given\"", "variance \"given\""};
  for (size_t i = 1; i < 5; ++i) {
    ConvNet c;
    c.batch_norm_with(i, c.net.input("given", {5}));
    expect_kept(c.net, "y", "not_constant", words[i]);
  }
  for (const bool weight : {true, false}) {
    Net net;
    const ValueId x = net.input("x", {-1, 3, 8, 9});
    const ValueId given = weight ? net.input("given", {5, 3, 3, 2}) : net.input("given", {5});
    const ValueId conv = net.node(
        "Conv", {x, weight ? given : net.weight("w", {5, 3, 3, 2}), weight ? net.weight("b", {5}) : given}, {}, "c");
    net.output(net.batch_norm(conv, 5, "y"));
    expect_kept(net, "y", "not_constant",
                weight ? "weight \"given\" of Conv \"n_c\" is an input" : "bias \"given\" of Conv \"n_c\"");
  }
}

TEST(KeepBatchNorm, WeightThatIsComputed) {
  Net net;
  const ValueId w = net.node("Relu", {net.input("v", {5, 3, 3, 2})}, {}, "computed");
  net.output(net.batch_norm(net.node("Conv", {net.input("x", {-1, 3, 8, 9}), w}), 5, "y"));
  expect_kept(net, "y", "not_constant", "is computed by Relu \"n_computed\"");
}

TEST(KeepBatchNorm, WhatWasQuantizedTooEarly) {
  ConvNet weight;
  const ValueId bytes = weight.net.graph().add_input("q", ir::Type::tensor(DataType::kInt8, ir::Dims{5, 3, 3, 3}));
  const ValueId numbers = weight.net.node("DequantizeLinear", {bytes, weight.net.weight("scale", {})}, {}, "numbers");
  const ValueId conv = weight.net.node("Conv", {weight.x, numbers}, {}, "quantized_conv");
  weight.net.output(weight.net.batch_norm(conv, 5, "y"));
  expect_kept(weight.net, "y", "not_constant", "is computed by DequantizeLinear \"n_numbers\"; fold before quantizing");

  ConvNet between;
  const ValueId scale = between.net.weight("scale", {});
  const ValueId quantized = between.net.node("QuantizeLinear", {between.conv, scale}, {}, "quantized");
  between.net.output(
      between.net.batch_norm(between.net.node("DequantizeLinear", {quantized, scale}, {}, "again"), 5, "y"));
  expect_kept(between.net, "y", "no_linear_neighbour", "; fold before quantizing");
}

TEST(KeepBatchNorm, TrainingMode) {
  ConvNet newer(15);
  newer.net.output(newer.net.batch_norm(newer.conv, 5, "y", {attribute("training_mode", 1)}));
  expect_kept(newer.net, "y", "training_mode", "export the model in inference mode, as after eval() in PyTorch");

  ConvNet older(9);  // opset 7 to 13: more than one output
  const std::vector<ValueId> inputs{older.conv, older.net.weight("s", {5}), older.net.weight("bias", {5}),
                                    older.net.weight("m", {5}), older.net.weight("v", {5}, 0.5, 1)};
  older.net.output(older.net.node("BatchNormalization", inputs, {}, "y", 5));
  Net read = older.net;
  read.output(read.graph().node(read.graph().producer(read.graph().find("y"))).outputs[3]);
  expect_kept(read, "y", "training_mode", "statistics away");
  const Optimized strict = expect_kept(older.net, "y", "training_mode", "before opset 14", {.strict = true});
  ASSERT_EQ(strict.report.notes.size(), 1u);
  EXPECT_NE(strict.report.notes[0].find("nobody reads"), std::string::npos) << strict.report.notes[0];

  ConvNet oldest(6);  // is_test is 0 when it is not given
  oldest.batch_norm_with(0, oldest.conv);
  expect_kept(oldest.net, "y", "training_mode", "training mode");
}

TEST(KeepBatchNorm, NumbersThatAreNotFinite) {
  const auto with = [](float value) { return Tensor::copy<float>({5}, std::vector<float>{1, 1, value, 1, 1}); };
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {infinity, nan})
    for (size_t i = 1; i < 5; ++i) {
      if (i == 4 && bad == infinity) continue;  // an infinite variance makes a scale of 0
      ConvNet c;
      c.batch_norm_with(i, c.net.constant("bad", with(bad)));
      expect_kept(c.net, "y", "non_finite", "");
    }
  for (const float variance : {-1.0f, 0.0f, -1e-5f}) {
    ConvNet c;
    c.batch_norm_with(4, c.net.constant("bad", with(variance)), {attribute("epsilon", variance == 0 ? 0.0f : 1e-5f)});
    expect_kept(c.net, "y", "non_finite", "not above zero");
  }
  ConvNet scale;  // 1e38 / sqrt(1e-5) is no float any more
  scale.batch_norm_with(4, scale.net.constant("v0", with(0)));
  scale.net.graph().set_constant(scale.net.graph().find("s"), with(1e38f));
  expect_kept(scale.net, "y", "non_finite", "weight of Conv \"n_c\"");
  ConvNet shift;
  shift.batch_norm_with(3, shift.net.constant("m0", with(-3e38f)), {attribute("epsilon", 0.0f)});
  shift.net.graph().set_constant(shift.net.graph().find("s"), with(1.9f));
  expect_kept(shift.net, "y", "non_finite", "bias of Conv \"n_c\"");
}

TEST(KeepBatchNorm, HalfThatWouldOverflow) {
  Net net;
  const ValueId w = net.constant("w", from_doubles(DataType::kFloat16, {2, 1, 1, 1}, std::vector<double>{60000, 1}));
  const ValueId conv = net.node("Conv", {net.input("x", {1, 1, 3, 4}, DataType::kFloat16), w});
  std::vector<ValueId> inputs{conv};
  for (const double value : {2.0, 0.0, 0.0, 1.0})
    inputs.push_back(net.constant("s" + std::to_string(inputs.size()),
                                  from_doubles(DataType::kFloat16, {2}, std::vector<double>(2, value))));
  net.output(net.node("BatchNormalization", inputs, {attribute("epsilon", 0.0f)}, "y"));
  expect_kept(net, "y", "non_finite", "weight");
}

TEST(KeepBatchNorm, NearOverflowStillFolds) {
  ConvNet c;
  c.batch_norm_with(1, c.net.constant("big", Tensor::copy<float>({5}, std::vector<float>(5, 1e37f))));
  expect_folded(c.net, 1);
}

TEST(KeepBatchNorm, AskedFor) {
  ConvNet c;
  c.net.output(c.net.batch_norm(c.conv, 5, "y"));
  expect_kept(c.net, "y", "disabled", "options", {.keep = {"y"}});
  expect_kept(c.net, "y", "disabled", "was not asked for", {.disable = {"fold_batch_norm"}});
  EXPECT_THROW(optimize(c.net.model(), {.keep = {"nothing"}}), Error);
}

TEST(KeepBatchNorm, OfAnOperatorSetToCome) {
  ConvNet c(1000);
  c.net.output(c.net.batch_norm(c.conv, 5, "y"));
  const Optimized result = expect_kept(c.net, "y", "unknown_opset", "operator set 1000");
  EXPECT_EQ(result.report.notes.size(), 1u);
}

TEST(KeepBatchNorm, SharedWeightIsNotCopiedWithoutBounds) {
  Net net;
  const ValueId w = net.weight("w", {128, 64, 3, 3});  // 288 kB
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    const ValueId x = net.input("x" + n, {-1, 64, 3, 3});
    net.output(net.batch_norm(net.node("Conv", {x, w}, {}, "c" + n), 128, "y" + n));
  }
  OptimizeOptions options;
  options.limits.folded_bytes = 1024;
  Optimized result{net.model(), {}};
  result.report = passes::run(result.model, options);
  EXPECT_TRUE(result.fold("y0").folded);
  EXPECT_EQ(result.fold("y20").code, "too_large");
  EXPECT_LT(result.model.graph.initializers().size(), 220u);
}

TEST(KeepBatchNorm, DeadCode) {
  ConvNet c;
  c.net.output(c.conv);
  (void)c.net.batch_norm(c.conv, 5, "unused");
  const Optimized result = optimize(c.net.model());
  EXPECT_EQ(result.fold("unused").code, "dead");
  EXPECT_EQ(result.count("BatchNormalization"), 0);
}

TEST(KeepBatchNorm, ComputedFromConstants) {
  Net net;
  const ValueId fixed = net.batch_norm(net.weight("k", {1, 5, 2, 1}), 5, "fixed");
  net.output(net.node("Add", {net.input("x", {1, 5, 2, 1}), fixed}, {}, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.fold("fixed").how, "computed_from_constants");
}

TEST(KeepBatchNorm, NotSpatial) {  // before opset 9: statistics for each element of a sample
  Net net(7);
  const ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  std::vector<ValueId> inputs{conv};
  for (const char* name : {"s", "b", "m", "v"}) inputs.push_back(net.weight(name, {5, 6, 8}, 0.5, 1));
  net.output(net.node("BatchNormalization", inputs, {attribute("spatial", 0)}, "y"));
  expect_kept(net, "y", "axis_unproven", "it works along axis 2 of the result of Conv \"n_c\"");
}

TEST(KeepBatchNorm, StatisticsOfTheWrongLength) {
  ConvNet c;
  c.batch_norm_with(1, c.net.weight("four", {4}));
  const Optimized result = optimize(c.net.model());
  EXPECT_EQ(result.fold("y").code, "broken_node");
  ASSERT_EQ(result.report.broken_nodes.size(), 1u);
  EXPECT_EQ(result.report.broken_nodes[0].node, "BatchNormalization \"n_y\"");
  EXPECT_EQ(result.report.broken_nodes[0].reason, "scale has 4 elements, where the input has 5 channels");
}

TEST(KeepBatchNorm, BehindAnAttributeThatBreaksTheStandard) {
  Net net;
  const ValueId weight = net.weight("w", {3, 5, 2, 2});
  const ValueId conv = net.node("ConvTranspose", {net.input("x", {1, 3, 8, 8}), weight},
                                {ints("strides", {2, 2}), ints("output_shape", {1, 5, 16, 16})}, "c");
  net.output(net.batch_norm(conv, 5, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.fold("y").code, "broken_node");
  ASSERT_EQ(result.report.broken_nodes.size(), 1u);
  EXPECT_EQ(result.report.broken_nodes[0].reason,
            "output_shape [1, 5, 16, 16] has 4 elements for 2 spatial dimensions");
}

TEST(KeepBatchNorm, NotBeforeASlopeThatDoesNotFit) {
  ConvNet c;
  const ValueId normalized = c.net.batch_norm(c.conv, 5, "n");
  c.net.output(c.net.node("PRelu", {normalized, c.net.weight("slope", {4, 1, 1})}, {}, "y"));
  const Optimized result = optimize(c.net.model());
  EXPECT_TRUE(result.fold("n").folded);
  ASSERT_EQ(result.report.broken_nodes.size(), 1u);
  EXPECT_EQ(result.report.broken_nodes[0].node, "PRelu \"n_y\"");
}

}  // namespace
}  // namespace pli::test
