#include "tests/passes/reference.h"

#include "runtime/core/tensor.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

struct Shuffled {
  int64_t opset = 17, axis = 1, parts = 2;
  std::vector<int64_t> split, permutation, merged;
  Shape part;
};

/// Parts are joined, split, permuted and merged again.
Net shuffle(const Shuffled& c) {
  Net net(c.opset);
  std::vector<ValueId> parts;
  for (int64_t i = 0; i < c.parts; ++i) parts.push_back(net.node("Relu", {net.input("x" + std::to_string(i), c.part)}));
  const ValueId joined = net.node("Concat", parts, {attribute("axis", c.axis)});
  const ValueId split = net.node("Reshape", {joined, net.constant("split", int64_tensor(c.split))});
  const ValueId turned = net.node("Transpose", {split}, {ints("perm", c.permutation)});
  net.output(net.node("Reshape", {turned, net.constant("merged", int64_tensor(c.merged))}, {}, "y"));
  return net;
}

TEST(FuseChannelShuffle, JoinsPartsAsNeighbours) {
  for (const Shuffled& c : {Shuffled{17, 1, 2, {-1, 2, 5, 3, 4}, {0, 2, 1, 3, 4}, {-1, 10, 3, 4}, {-1, 5, 3, 4}},
                            Shuffled{11, 1, 3, {-1, 3, 5, 3, 4}, {0, 2, 1, 3, 4}, {-1, 15, 3, 4}, {-1, 5, 3, 4}},
                            Shuffled{13, -1, 2, {2, 3, 2, 7}, {0, 1, 3, 2}, {2, 3, 14}, {2, 3, 7}},
                            Shuffled{17, 0, 4, {4, 3, 5}, {1, 0, 2}, {12, 5}, {3, 5}}}) {
    const Net net = shuffle(c);
    const Optimized result = optimize(net.model());
    EXPECT_EQ(result.count("Transpose"), 0) << c.opset;
    EXPECT_EQ(result.count("Concat"), 1);
    EXPECT_EQ(result.count("Unsqueeze"), c.parts);
    expect_equal_results(net.model(), result.model);
  }
}

TEST(FuseChannelShuffle, LeavesOtherOrders) {
  for (const Shuffled& c :
       {Shuffled{17, 1, 2, {-1, 5, 2, 3, 4}, {0, 2, 1, 3, 4}, {-1, 10, 3, 4}, {-1, 5, 3, 4}},  // not the parts
        Shuffled{17, 1, 2, {-1, 2, 5, 3, 4}, {0, 2, 1, 4, 3}, {-1, 10, 4, 3}, {-1, 5, 3, 4}},  // more is turned
        Shuffled{17, 1, 2, {-1, 2, 3, 5, 4}, {0, 2, 1, 3, 4}, {-1, 6, 5, 4}, {-1, 5, 3, 4}},   // another axis is split
        Shuffled{
            17, 2, 2, {-1, 2, 5, 3, 4}, {0, 2, 1, 3, 4}, {-1, 10, 3, 4}, {-1, 10, 3, 2}},  // another axis is joined
        Shuffled{17, 1, 4, {-1, 2, 10, 3, 4}, {0, 2, 1, 3, 4}, {-1, 20, 3, 4}, {-1, 5, 3, 4}},
        Shuffled{17, 1, 5, {-1, 5, 2, 3}, {0, 2, 1, 3}, {-1, 10, 3}, {-1, 2, 3}}}) {
    const Net net = shuffle(c);
    const Optimized result = optimize(net.model());
    EXPECT_EQ(result.count("Unsqueeze"), 0);
    expect_equal_results(net.model(), result.model);
  }
}

/// One that is read elsewhere would be computed twice.
TEST(FuseChannelShuffle, LeavesWhatOthersRead) {
  for (const bool is_joined : {true, false}) {
    Net net;
    const ValueId joined =
        net.node("Concat", {net.input("a", {2, 5, 3}), net.input("b", {2, 5, 3})}, {attribute("axis", 1)}, "joined");
    const ValueId split = net.node(
        "Reshape", {joined, net.constant("split", int64_tensor(std::vector<int64_t>{2, 2, 5, 3}))}, {}, "parts");
    net.output(net.node("Transpose", {split}, {ints("perm", {0, 2, 1, 3})}, "y"));
    net.output(net.node("Relu", {is_joined ? joined : split}, {}, "z"));
    const Optimized result = optimize(net.model());
    EXPECT_EQ(result.count("Transpose"), 1);
    expect_equal_results(net.model(), result.model);
  }
}

/// Parts of unequal sizes are not what the Reshape splits.
TEST(FuseChannelShuffle, LeavesUnequalParts) {
  Net net;
  const ValueId joined =
      net.node("Concat", {net.input("a", {2, 4, 3}), net.input("b", {2, 6, 3})}, {attribute("axis", 1)});
  const ValueId split =
      net.node("Reshape", {joined, net.constant("split", int64_tensor(std::vector<int64_t>{2, 2, 5, 3}))});
  net.output(net.node("Transpose", {split}, {ints("perm", {0, 2, 1, 3})}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Transpose"), 1);
  expect_equal_results(net.model(), result.model);
}

}  // namespace
}  // namespace pli::test
