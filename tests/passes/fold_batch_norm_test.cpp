#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

TEST(FoldBatchNorm, ConvWithBias) {
  Net net;
  const auto x = net.input("x", {-1, 3, 8, 9});
  const auto conv = net.node("Conv", {x, net.weight("conv.weight", {9, 3, 3, 2}), net.weight("conv.bias", {9})},
                             {ints("pads", {1, 0, 1, 1}), ints("strides", {2, 1})}, "c");
  net.output(net.batch_norm(conv, 9, "y", {attribute("epsilon", 0.01f)}));
  const Optimized result = expect_folded(net, 1);
  const Fold& fold = result.fold("y");
  EXPECT_EQ(fold.into, "n_c");
  EXPECT_EQ(fold.how, "conv_absorbs_following");
  EXPECT_EQ(ir::dump(result.model.graph),
            "input x: float32[batch, 3, 8, 9]\n"
            "initializer conv.weight: float32[9, 3, 3, 2]\n"
            "initializer conv.bias: float32[9]\n"
            "y = Conv(x, conv.weight, conv.bias) pads=[1, 0, 1, 1] strides=[2, 1]  # n_c\n"
            "output y = y\n");
}

}  // namespace
}  // namespace pli::test
