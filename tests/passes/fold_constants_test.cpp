#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace pli::test {
namespace {

using ir::ValueId;

TEST(FoldConstants, ComputesWhatDependsOnConstantsOnly) {
  Net net;
  const ValueId k = net.batch_norm(net.weight("k", {1, 3, 2}), 3, "inner");
  const ValueId sum = net.batch_norm(k, 3, "outer");
  net.output(net.node("Mul", {net.input("x", {1, 3, 2}), sum}, {}, "y"));
  const Optimized result = optimize(net.model(), {.only = {"fold_constants"}});
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_EQ(result.constant("outer").size(), 6u);
  EXPECT_EQ(result.report.passes.at(0).changes, 2);
  expect_equal_results(net.model(), result.model);
}

TEST(FoldConstants, LeavesConstantNodesAndOutputsAlone) {
  Net net;
  net.output(net.node("Mul", {net.input("x", {2}), net.constant_node("k", net.random({2}))}, {}, "y"));
  EXPECT_EQ(optimize(net.model(), {.only = {"fold_constants"}}).model.graph.node_count(), 2u);
}

TEST(FoldConstants, OutputThatIsConstant) {
  Net net;
  net.output(net.batch_norm(net.weight("k", {1, 3, 2}), 3, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 0u);
  expect_equal_results(net.model(), result.model);
}

TEST(FoldConstants, NeverRandomNumbers) {
  Net net;
  net.output(net.node("RandomNormalLike", {net.weight("k", {2, 3})}, {}, "y"));
  EXPECT_EQ(optimize(net.model()).count("RandomNormalLike"), 1);
}

TEST(FoldConstants, LeavesWhatPliCannotRun) {
  Net net;
  const ValueId unknown = net.node("NoSuchOperator", {net.weight("k", {2, 3})}, {}, "u");
  net.output(net.node("Cast", {net.weight("f", {2})}, {attribute("to", 17)}, "y"));  // float8: none of its types
  net.output(unknown);
  EXPECT_EQ(optimize(net.model()).model.graph.node_count(), 2u);
}

TEST(FoldConstants, ComputesInHalves) {
  Net net;
  const ValueId half = net.weight("h", {1, 3, 2}, -1, 1, DataType::kFloat16);
  net.output(net.batch_norm(half, 3, "y", {}, DataType::kFloat16));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 0u);
  EXPECT_EQ(result.constant("y").dtype(), DataType::kFloat16);
  EXPECT_TRUE(result.fold("y").folded);
}

TEST(FoldConstants, NothingLargerThanItsOperandsBeyondTheLimit) {
  Net net;  // [400, 1] x [1, 300]: 480 kB out of 2.8 kB
  net.output(net.node("MatMul", {net.weight("a", {400, 1}), net.weight("b", {1, 300})}, {}, "y"));
  OptimizeOptions options;
  options.limits.folded_bytes = 479999;
  EXPECT_EQ(optimize(net.model(), options).count("MatMul"), 1);
  options.limits.folded_bytes = 480000;
  EXPECT_EQ(optimize(net.model(), options).count("MatMul"), 0);
}

TEST(FoldConstants, ManySmallResultsDoNotMakeALargeModel) {
  Net net;  // each [300, 300] sum is 360 kB out of 2.4 kB
  const ValueId column = net.weight("column", {300, 1});
  const ValueId row = net.weight("row", {1, 300});
  for (int i = 0; i < 300; ++i) net.output(net.node("Add", {column, row}, {}, "y" + std::to_string(i)));
  Optimized result{net.model(), {}};
  result.report = passes::run(result.model, {});
  EXPECT_GT(result.count("Add"), 50);
  EXPECT_LT(result.count("Add"), 250);
}

TEST(FoldConstants, NotWhatTakesLong) {
  Net net;  // 1025 x 1025 x 512 x 512 multiply-adds
  const ValueId image = net.weight("image", {1, 1, 512, 512});
  net.output(net.node("Conv", {image, net.weight("w", {1, 1, 512, 512})}, {ints("pads", {512, 512, 512, 512})}, "y"));
  EXPECT_EQ(optimize(net.model()).count("Conv"), 1);
}

TEST(FoldConstants, WhatTypesAndShapesAloneDecide) {
  Net net(20);
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId w = net.weight("w", {5, 3, 3, 2});
  const ValueId zero = net.constant("zero", Tensor(DataType::kFloat64, {}));
  const ValueId length = net.node("Shape", {w}, {attribute("start", 0), attribute("end", 1)});
  const ValueId bias = net.node("Expand", {net.node("CastLike", {zero, x}), length}, {}, "bias");
  const ValueId conv = net.node("Conv", {x, w, bias}, {}, "c");
  const ValueId channels = net.node("Shape", {conv}, {attribute("start", 1), attribute("end", 2)});
  std::vector<ValueId> inputs{conv, net.node("Expand", {net.node("CastLike", {zero, conv}), channels}, {}, "ones")};
  for (const char* name : {"b", "m", "v"}) inputs.push_back(net.weight(name, {5}, 0.5, 1));
  net.output(net.node("BatchNormalization", inputs, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.fold("y").folded);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
}

TEST(FoldConstants, PartsOfAShapeThatAreKnown) {
  Net net(13);
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const auto numbers = [&](const std::string& name, std::vector<int64_t> values) {
    return net.constant(name, int64_tensor(values));
  };
  const ValueId shape = net.node("Shape", {x});
  const ValueId last = net.node("Gather", {shape, numbers("last", {-1, 1})});
  const ValueId image = net.node("Slice", {shape, numbers("two", {2}), numbers("end", {INT64_MAX})});
  const ValueId batch = net.node("Gather", {shape, numbers("zero", {0})}, {}, "batch");
  net.output(net.node("Concat", {last, image}, {attribute("axis", 0)}, "known"));
  net.output(batch);
  const Optimized result = optimize(net.model());
  EXPECT_EQ(to_int64s(result.constant("known")), (std::vector<int64_t>{9, 3, 8, 9}));
  EXPECT_EQ(result.count("Gather"), 1);
}

TEST(FoldConstants, ChainsAsLongAsTheirOperandsGo) {
  // Weight standardization: six results as large as the weight on the way to the one that stays.
  Net net;
  ValueId x = net.input("x", {-1, 64, 9, 9});
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    ValueId w = net.weight("w" + n, {64, 64, 3, 3});
    const std::vector<ir::Attribute> axes{ints("axes", {1, 2, 3})};
    for (int step = 0; step < 2; ++step) {
      w = net.node("Sub", {w, net.node("ReduceMean", {w}, axes)});
      const ValueId variance = net.node("ReduceMean", {net.node("Mul", {w, w})}, axes);
      w = net.node("Div", {w, net.node("Sqrt", {variance})});
    }
    x = net.batch_norm(net.node("Conv", {x, w}, {}, "c" + n), 64, "y" + n);
  }
  net.output(x);
  OptimizeOptions options;
  options.limits.folded_bytes = 1024;  // beside twice the weights there is next to nothing
  const Optimized result = optimize(net.model(), options);
  for (const Fold& fold : result.report.batch_norms) EXPECT_TRUE(fold.folded) << fold.output << ": " << fold.reason;
  EXPECT_EQ(result.model.graph.node_count(), 4u);
  EXPECT_TRUE(result.report.notes.empty());
}

TEST(FoldConstants, NormalizingAWeightByItsOwnStatistics) {
  // Weight standardization as some write it: BatchNormalization in training mode of a constant.
  Net net(14);
  const ValueId x = net.input("x", {-1, 3, 8, 9});
  const ValueId rows = net.weight("rows", {1, 5, 18});
  const ValueId scale = net.weight("scale", {5}), bias = net.weight("bias", {5});
  const ValueId normal =
      net.node("BatchNormalization", {rows, scale, bias, net.weight("m", {5}), net.weight("v", {5}, 0.5, 1)},
               {attribute("training_mode", 1)}, "normal");
  const ValueId shape = net.constant("shape", int64_tensor(std::vector<int64_t>{5, 3, 3, 2}));
  net.output(net.node("Conv", {x, net.node("Reshape", {normal, shape}, {}, "weight")}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_EQ(result.fold("normal").how, "computed_from_constants");
  const auto numbers = [&](ValueId id) { return to_doubles(*net.graph().constant_of(id)); };
  const std::vector<double> before = numbers(rows), gamma = numbers(scale), beta = numbers(bias);
  const std::vector<double> after = to_doubles(result.constant("weight"));
  for (size_t row = 0; row < 5; ++row) {
    const std::span<const double> own(before.data() + row * 18, 18);
    const double mean = std::accumulate(own.begin(), own.end(), 0.0) / 18;
    double variance = 0;
    for (const double value : own) variance += (value - mean) * (value - mean) / 18;
    for (size_t i = 0; i < 18; ++i)
      EXPECT_NEAR(after[row * 18 + i], gamma[row] * (own[i] - mean) / std::sqrt(variance + 1e-5) + beta[row], 1e-5);
  }
}

TEST(FoldConstants, SaysWhatTheLimitsLeave) {
  ConvNet c;
  const ValueId row = c.net.weight("row", {5, 1, 3, 2});
  const ValueId stretched = c.net.node(
      "Expand", {row, c.net.constant("shape", int64_tensor(std::vector<int64_t>{5, 3, 3, 2}))}, {}, "stretched");
  const ValueId weight = c.net.node("Abs", {stretched}, {}, "weight");
  c.net.output(c.net.batch_norm(c.net.node("Conv", {c.x, weight}), 5, "y"));
  OptimizeOptions options;
  options.limits.folded_bytes = 300;
  const Optimized left = optimize(c.net.model(), options);
  EXPECT_EQ(left.fold("y").code, "not_constant");
  EXPECT_NE(
      left.fold("y").reason.find("computed by Abs \"n_weight\" from constants, of which Expand \"n_stretched\" was "
                                 "not folded"),
      std::string::npos)
      << left.fold("y").reason;
  ASSERT_EQ(left.report.notes.size(), 1u);
  EXPECT_NE(left.report.notes[0].find("Expand \"n_stretched\" is computed in every run"), std::string::npos);
  EXPECT_NE(left.report.notes[0].find("its limit of 300 bytes, which --folding-limit raises"), std::string::npos);
  options.limits.folded_bytes = 360;
  const Optimized folded = optimize(c.net.model(), options);
  EXPECT_TRUE(folded.fold("y").folded);
  EXPECT_TRUE(folded.report.notes.empty());
}

TEST(FoldConstants, WhatWidensWeightsHasABudget) {
  Net net;
  const ValueId stored = net.weight("w", {1024}, -1, 1, DataType::kFloat16);
  for (int i = 0; i < 200; ++i) net.output(net.node("Cast", {stored}, {attribute("to", 11)}, "y" + std::to_string(i)));
  OptimizeOptions options;
  options.limits.folded_bytes = 8192;
  ir::Model model = net.model();
  (void)passes::run(model, options);
  int known = 0;
  for (const ir::NodeId id : model.graph.nodes())
    known += model.graph.constant_of(model.graph.node(id).outputs[0]) != nullptr;
  EXPECT_GT(known, 1);
  EXPECT_LE(known, 129) << "twice 64 times the limit of one node, and four times the constants";
}

TEST(FoldConstants, SaysWhichLimitWasPassed) {
  Net many;  // each result is small, all of them together are more than the budget has
  const ValueId count = many.constant("count", int64_tensor(std::vector<int64_t>{20}));
  for (int i = 0; i < 80; ++i)
    many.output(many.node("Expand", {many.weight("w" + std::to_string(i), {1}), count}, {}, "y" + std::to_string(i)));
  OptimizeOptions options;
  options.limits.folded_bytes = 80;
  ir::Model left = many.model();
  const Report report = passes::run(left, options);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("all nodes together"), std::string::npos) << report.notes[0];

  Net slow;
  slow.output(slow.node("MatMul", {slow.weight("a", {200, 200}), slow.weight("b", {200, 200})}, {}, "y"));
  options.limits.folded_bytes = 1;
  const Optimized late = optimize(slow.model(), options);
  ASSERT_EQ(late.report.notes.size(), 1u);
  EXPECT_NE(late.report.notes[0].find("the work"), std::string::npos) << late.report.notes[0];
}

}  // namespace
}  // namespace pli::test
