#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

OptimizeOptions allowed() {
  OptimizeOptions options;
  options.allow_duplication = true;
  return options;
}

/// A convolution that two BatchNormalizations and a Relu read.
Net read_thrice() {
  Net net;
  const ValueId x = net.input("x", {2, 3, 8, 9});
  const ValueId conv = net.node("Conv", {x, net.weight("w", {5, 3, 3, 2}), net.weight("b", {5})}, {}, "conv");
  net.output(net.node("Relu", {net.batch_norm(conv, 5, "first")}), "y1");
  net.output(net.batch_norm(conv, 5, "second"), "y2");
  net.output(net.node("Relu", {conv}), "y3");
  return net;
}

TEST(DuplicateLinear, IsNotDoneUnasked) {
  const Optimized result = optimize(read_thrice().model());
  EXPECT_EQ(result.count("Conv"), 1);
  EXPECT_EQ(result.fold("first").code, "other_consumer");
  EXPECT_EQ(result.fold("second").code, "other_consumer");
}

TEST(DuplicateLinear, EachGetsACopy) {
  const Net net = read_thrice();
  const Optimized result = optimize(net.model(), allowed());
  EXPECT_EQ(result.count("Conv"), 3);
  EXPECT_EQ(result.count("BatchNormalization"), 0);
  EXPECT_TRUE(result.fold("first").folded);
  EXPECT_TRUE(result.fold("second").folded);
  expect_equal_results(net.model(), result.model, 2e-6);
  const Optimized again = optimize(result.model, allowed());
  EXPECT_EQ(again.count("Conv"), 3);
}

/// The last one needs no copy.
TEST(DuplicateLinear, TheOriginalServesOne) {
  Net net;
  const ValueId x = net.input("x", {4, 3});
  const ValueId product = net.node("Gemm", {x, net.weight("w", {3, 7})}, {}, "product");
  net.output(net.node("Relu", {net.batch_norm(product, 7, "first")}), "y1");
  net.output(net.node("Relu", {net.batch_norm(product, 7, "second")}), "y2");
  const Optimized result = optimize(net.model(), allowed());
  EXPECT_EQ(result.count("Gemm"), 2) << ir::dump(result.model.graph);
  EXPECT_EQ(result.count("BatchNormalization"), 0);
  expect_equal_results(net.model(), result.model, 2e-6);
}

TEST(DuplicateLinear, AnOutputStaysWhatItIs) {
  Net net;
  const ValueId x = net.input("x", {2, 3, 8, 9});
  const ValueId conv = net.node("ConvTranspose", {x, net.weight("w", {3, 5, 3, 2})}, {}, "conv");
  net.output(conv);
  net.output(net.batch_norm(conv, 5, "norm"), "y");
  const Optimized result = optimize(net.model(), allowed());
  EXPECT_EQ(result.count("ConvTranspose"), 2);
  EXPECT_EQ(result.count("BatchNormalization"), 0);
  expect_equal_results(net.model(), result.model, 2e-6);
}

/// The copy of a product without a bias is added to.
TEST(DuplicateLinear, OfAProduct) {
  Net net;
  const ValueId product = net.node("MatMul", {net.input("z", {4, 3}), net.weight("v", {3, 7})}, {}, "product");
  net.output(net.batch_norm(product, 7, "norm"), "y");
  net.output(net.node("Relu", {product}), "z1");
  const Optimized result = optimize(net.model(), allowed());
  EXPECT_EQ(result.count("BatchNormalization"), 0) << ir::dump(result.model.graph);
  EXPECT_EQ(result.count("MatMul") + result.count("Gemm"), 2);
  expect_equal_results(net.model(), result.model, 2e-6);
}

/// What is asked to stay, and what is no product.
TEST(DuplicateLinear, NothingIsComputedTwiceForNothing) {
  Net net;
  const ValueId x = net.input("x", {2, 5, 8, 9});
  const ValueId conv = net.node("Conv", {x, net.weight("w", {5, 5, 3, 3})}, {}, "conv");
  net.output(net.batch_norm(conv, 5, "kept"), "y1");
  net.output(net.node("Relu", {conv}), "y2");
  const ValueId joined = net.node("Concat", {conv, conv}, {attribute("axis", 1)}, "joined");
  net.output(net.batch_norm(joined, 10, "of_concat"), "y3");
  net.output(joined);
  OptimizeOptions options = allowed();
  options.keep = {"kept"};
  const Optimized result = optimize(net.model(), options);
  EXPECT_EQ(result.count("Conv"), 1);
  EXPECT_EQ(result.count("BatchNormalization"), 2);
  EXPECT_EQ(result.fold("kept").code, "other_consumer");
  EXPECT_EQ(result.fold("of_concat").code, "graph_output");
  expect_equal_results(net.model(), result.model, 2e-6);
}

}  // namespace
}  // namespace pli::test
