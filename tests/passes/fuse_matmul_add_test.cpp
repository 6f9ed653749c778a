#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

struct AddCase {
  const char* name;
  Shape a, b, c;
  bool fuses;
  bool first = false;  // what is added stands first
  int64_t opset = 17;
};

std::ostream& operator<<(std::ostream& out, const AddCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<AddCase>& info) { return info.param.name; }

class FuseMatMulAdd : public testing::TestWithParam<AddCase> {};

TEST_P(FuseMatMulAdd, ComputesTheSame) {
  const AddCase& c = GetParam();
  Net net(c.opset);
  const ValueId product = net.node("MatMul", {net.input("x", c.a), net.weight("w", c.b)});
  std::vector<ValueId> operands{product, net.input("c", c.c)};
  if (c.first) std::swap(operands[0], operands[1]);
  net.output(net.node("Add", operands), "y");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Gemm"), c.fuses ? 1 : 0) << ir::dump(result.model.graph);
  EXPECT_EQ(result.model.graph.node_count(), c.fuses ? 1u : 2u);
  expect_equal_results(net.model(), result.model, 1e-12);
}

const std::vector<AddCase> kCases{
    {"Row", {3, 5}, {5, 7}, {7}, true},
    {"RowFirst", {3, 5}, {5, 7}, {1, 7}, true, true},
    {"Column", {3, 5}, {5, 7}, {3, 1}, true},
    {"Matrix", {3, 5}, {5, 7}, {3, 7}, true},
    {"Number", {3, 5}, {5, 7}, {}, true},
    {"OpenBatch", {-1, 5}, {5, 7}, {7}, true},
    {"OpenMatrix", {-1, 5}, {5, 7}, {-1, 7}, true},
    {"OldOperatorSet", {3, 5}, {5, 7}, {7}, true, false, 9},
    {"MakesItLarger", {1, 5}, {5, 7}, {4, 7}, false},
    {"MoreDimensions", {3, 5}, {5, 7}, {2, 1, 7}, false},
    {"Batches", {2, 3, 5}, {5, 7}, {7}, false},
};
INSTANTIATE_TEST_SUITE_P(All, FuseMatMulAdd, testing::ValuesIn(kCases), case_name);

TEST(FuseMatMulAddOnce, WhatSomebodyElseReadsStays) {
  Net net;
  const ValueId product = net.node("MatMul", {net.input("x", {3, 5}), net.weight("w", {5, 7})});
  net.output(net.node("Add", {product, net.weight("c", {7})}), "y");
  net.output(net.node("Relu", {product}), "z");
  EXPECT_EQ(optimize(net.model()).count("Gemm"), 0);
}

TEST(FuseMatMulAddOnce, TakesUpWhatFollows) {
  Net net;
  const ValueId product = net.node("MatMul", {net.input("x", {3, 5}), net.weight("w", {5, 7})});
  const ValueId sum = net.node("Add", {product, net.weight("c", {7})});
  net.output(net.batch_norm(sum, 7, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
}

}  // namespace
}  // namespace pli::test
