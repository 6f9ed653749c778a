#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

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
  const ValueId half = net.weight("h", {1, 3, 2}, -1, 1, DataType::kFloat16);  // no arithmetic in float16
  net.output(net.batch_norm(half, 3, "y", {}, DataType::kFloat16));
  net.output(unknown);
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 2u);
  EXPECT_EQ(result.fold("y").code, "no_linear_neighbour");
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

}  // namespace
}  // namespace pli::test
