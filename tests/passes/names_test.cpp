#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

/// Conv without a bias, whose weight is "w" -> BatchNormalization "y", whose fold makes a bias: "w_bias" if it can.
Net without_bias() {
  Net net;
  const ir::ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  net.output(net.batch_norm(conv, 5, "y"));
  return net;
}

TEST(Names, ANewBiasIsCalledAfterItsWeight) {
  const Optimized result = expect_folded(without_bias(), 1);
  EXPECT_TRUE(result.model.graph.find("w_bias"));
}

TEST(Names, ANewBiasLeavesTheNamesOfNestedGraphsAlone) {
  Net net = without_bias();
  net.graph().reserve_name("w_bias");
  const Optimized result = expect_folded(net, 1);
  EXPECT_FALSE(result.model.graph.find("w_bias"));
  EXPECT_TRUE(result.model.graph.find("w_bias_1")) << ir::dump(result.model.graph);
}

TEST(Names, ANewBiasTakesANameThatItsFoldFrees) {
  Net net;
  const ir::ValueId conv = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  net.output(net.node(
      "BatchNormalization",
      {conv, net.weight("s", {5}), net.weight("w_bias", {5}), net.weight("m", {5}), net.weight("v", {5}, 0.5, 1)}, {},
      "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.graph.initializers().size(), 2u);
  EXPECT_TRUE(result.model.graph.find("w_bias")) << ir::dump(result.model.graph);
}

}  // namespace
}  // namespace pli::test
