#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

TEST(EliminateCommonSubexpression, EqualNodesBecomeOne) {
  ConvNet c;
  c.net.output(c.net.node("Add", {c.net.node("Relu", {c.conv}), c.net.node("Relu", {c.conv})}), "y");
  const Optimized result = optimize(c.net.model());
  EXPECT_EQ(result.count("Relu"), 1);
  expect_equal_results(c.net.model(), result.model, 0);
}

/// Exporters note the line of the program that a node is from.
TEST(EliminateCommonSubexpression, NotesOfTheExporterDoNotCount) {
  ConvNet c;
  std::vector<ValueId> results;
  for (const char* note : {"\x32\x01"
                           "a",
                           "\x32\x01"
                           "b"}) {  // doc_string
    const ir::NodeId id = c.net.graph().add_node({.op_type = "LeakyRelu",
                                                  .inputs = {c.conv},
                                                  .outputs = {{std::string("result ") + (note + 2), {}, {}}},
                                                  .attributes = {{"alpha", 0.5f, note}},
                                                  .extra = note});
    results.push_back(c.net.graph().node(id).outputs[0]);
  }
  c.net.output(c.net.node("Add", results), "y");
  EXPECT_EQ(optimize(c.net.model()).count("LeakyRelu"), 1);
}

TEST(EliminateCommonSubexpression, OtherAttributesAndOtherInputsStay) {
  Net net;
  const ValueId x = net.input("x", {2, 3, 4}), z = net.input("z", {2, 3, 4});
  net.output(net.node("Transpose", {x}, {ints("perm", {0, 2, 1})}), "y1");
  net.output(net.node("Transpose", {x}, {ints("perm", {2, 0, 1})}), "y2");
  net.output(net.node("Transpose", {z}, {ints("perm", {0, 2, 1})}), "y3");
  EXPECT_EQ(optimize(net.model()).count("Transpose"), 3);
}

TEST(EliminateCommonSubexpression, TwoOutputsOfTheModelStayTwo) {
  ConvNet c;
  c.net.output(c.net.node("Relu", {c.conv}), "y1");
  c.net.output(c.net.node("Relu", {c.conv}), "y2");
  EXPECT_EQ(optimize(c.net.model()).count("Relu"), 2);
}

TEST(EliminateCommonSubexpression, RandomNumbersAreNotTheSame) {
  Net net;
  const auto random = [&] { return net.node("RandomNormal", {}, {ints("shape", {2, 3})}); };
  net.output(net.node("Add", {random(), random()}), "y");
  EXPECT_EQ(optimize(net.model()).count("RandomNormal"), 2);
}

/// Several readers that all apply the same scale and shift, of equal statistics stored twice: one of them goes, and the
/// convolution takes up the other.
TEST(EliminateCommonSubexpression, EqualBatchNormalizationsFold) {
  ConvNet c;
  std::vector<Tensor> statistics;
  for (const double low : {-1.0, -1.0, -1.0, 0.5}) statistics.push_back(c.net.random({5}, low, 1));
  const auto norm = [&](const std::string& name) {
    std::vector<ValueId> inputs{c.conv};
    for (size_t i = 0; i < 4; ++i) inputs.push_back(c.net.constant(name + std::to_string(i), statistics[i]));
    return c.net.node("BatchNormalization", inputs, {}, name);
  };
  c.net.output(c.net.node("Relu", {norm("n1")}), "y1");
  c.net.output(c.net.node("Sigmoid", {norm("n2")}), "y2");
  const Optimized result = expect_folded(c.net, 2);
  EXPECT_EQ(result.fold("n1").into, "n_c");
  EXPECT_EQ(result.fold("n2").how, "same_as_another");
}

TEST(EliminateCommonSubexpression, EqualInitializersAreStoredOnce) {
  Net net;
  const Tensor tensor = net.random({6, 5});
  const ValueId x = net.input("x", {4, 6});
  net.output(net.node("MatMul", {x, net.constant("a", tensor)}), "y1");
  net.output(net.node("MatMul", {net.node("Relu", {x}), net.constant("b", tensor)}), "y2");
  net.output(net.node("MatMul", {net.node("Tanh", {x}), net.weight("c", {6, 5})}), "y3");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.initializers().size(), 2u);
  EXPECT_TRUE(result.model.graph.find("a"));
  expect_equal_results(net.model(), result.model, 0);
}

TEST(EliminateCommonSubexpression, WhatIsReferredToStays) {
  Net net;
  const Tensor tensor = net.random({6, 5});
  const ValueId x = net.input("x", {4, 6});
  net.output(net.node("MatMul", {x, net.constant("a", tensor)}), "y1");
  net.output(net.node("MatMul", {net.node("Relu", {x}), net.constant("b", tensor)}), "y2");
  net.graph().pin("b");
  EXPECT_EQ(optimize(net.model()).model.graph.initializers().size(), 2u);
}

}  // namespace
}  // namespace pli::test
