// Steps whose kernels are made together, line by line.

#include "runtime/exec/executor.h"

#include "tests/exec/expect.h"
#include "tests/exec/network.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pli::exec {
namespace {

using test::expect_equal;
using test::Network;
using test::options;

constexpr int64_t kSide = 72, kWide = 48;

ir::ValueId relu6(Network& net, ir::ValueId x) { return net.node("Clip", {x, net.scalar(0), net.scalar(6)}); }

struct Blocks {
  ir::ValueId wide, deep, result;
};

/// 1x1, depthwise, 1x1.
Blocks block(Network& net, ir::ValueId x, int64_t channels, int64_t filters, int64_t stride = 1) {
  Blocks made;
  made.wide = relu6(net, net.conv(x, channels, kWide, 1));
  made.deep = relu6(net, net.conv(made.wide, kWide, kWide, 3, stride, kWide));
  made.result = net.conv(made.deep, kWide, filters, 1);
  return made;
}

std::string plan_of(const Executor& executor, const NamedValues& inputs) { return describe(*executor.plan(inputs), 0); }

void expect_same_as_alone(const Network& net, const NamedValues& inputs) {
  const NamedValues expected = Executor(net.graph, options(false)).run(inputs);
  for (const int threads : {1, 2}) expect_equal(Executor(net.graph, options(true, threads)).run(inputs), expected);
}

TEST(JoinedSteps, AreOneStepWithoutTheValuesBetween) {
  Network net;
  const auto x = net.input("x", {ir::Dim("batch"), 8, kSide, kSide});
  net.output("y", block(net, x, 8, 12).result);
  const NamedValues inputs{{"x", net.tensor({2, 8, kSide, kSide})}};
  const Executor executor(net.graph, options(true));
  const auto plan = executor.plan(inputs);
  EXPECT_NE(describe(*plan, 0).find("Conv + Clip, Conv + Clip, Conv"), std::string::npos) << describe(*plan, 0);
  EXPECT_LT(plan->arena_bytes, 2 * kSide * kSide * 30 * static_cast<int64_t>(sizeof(float)));  // not 48 channels
  expect_same_as_alone(net, inputs);
}

/// What the chain adds to its result is what it has read: that must not be written over line by line.
TEST(JoinedSteps, KeepWhatTheyReadUntilTheEnd) {
  Network net;
  const auto x = net.input("x", {1, 8, kSide, kSide});
  const auto first = net.conv(x, 8, 24, 1);
  const auto second = net.node("Add", {block(net, first, 24, 24).result, first});
  const auto third = net.node("Add", {second, block(net, second, 24, 24).result});
  net.output("y", net.node("Relu", {third}));
  const NamedValues inputs{{"x", net.tensor({1, 8, kSide, kSide})}};
  const std::string plan = plan_of(Executor(net.graph, options(true)), inputs);
  EXPECT_NE(plan.find("Conv + Clip, Conv + Clip, Conv + Add"), std::string::npos) << plan;
  expect_same_as_alone(net, inputs);
}

/// The second convolution's weights are too many for strips: it adds in place, as if nothing could have been joined.
TEST(JoinedSteps, AddInPlaceWhereTheyAreNotJoined) {
  Network net;
  const auto x = net.input("x", {1, 8, 30, 30});
  const auto first = net.node("Relu", {net.conv(x, 8, 160, 1)});
  const auto wide = net.node("Relu", {net.conv(first, 160, 160, 1)});
  net.output("y", net.node("GlobalAveragePool", {net.node("Add", {net.conv(wide, 160, 160, 1), first})}));
  const NamedValues inputs{{"x", net.tensor({1, 8, 30, 30})}};
  const Executor executor(net.graph, options(true));
  const auto plan = executor.plan(inputs);
  EXPECT_EQ(describe(*plan, 0).find("product, product"), std::string::npos) << describe(*plan, 0);
  EXPECT_LT(plan->arena_bytes, 5 * 160 * 30 * 30 / 2 * static_cast<int64_t>(sizeof(float))) << describe(*plan, 0);
  expect_same_as_alone(net, inputs);
}

TEST(JoinedSteps, LeaveWhatOthersRead) {
  for (const bool is_output : {false, true}) {
    Network net;
    const auto x = net.input("x", {1, 8, kSide, kSide});
    const Blocks made = block(net, x, 8, kWide);
    net.output("y", is_output ? made.result : net.node("Add", {net.node("Sigmoid", {made.wide}), made.result}));
    if (is_output) net.output("wide", made.wide);
    const NamedValues inputs{{"x", net.tensor({1, 8, kSide, kSide})}};
    const std::string plan = plan_of(Executor(net.graph, options(true)), inputs);
    EXPECT_EQ(plan.find("Conv + Clip, Conv + Clip"), std::string::npos) << plan;
    EXPECT_EQ(plan.find("depthwise, product") != std::string::npos, is_output) << plan;
    expect_same_as_alone(net, inputs);
  }
}

TEST(JoinedSteps, AreApartWhereNothingIsFused) {
  Network net;
  const auto x = net.input("x", {1, 8, kSide, kSide});
  net.output("y", block(net, x, 8, 12).result);
  const NamedValues inputs{{"x", net.tensor({1, 8, kSide, kSide})}};
  const std::string apart = plan_of(Executor(net.graph, options(false)), inputs);
  EXPECT_EQ(apart.find(", Conv"), std::string::npos) << apart;
}

/// What depthwise convolutions alone read lies with its pixels apart where they would crowd a few sets of the cache.
TEST(SpacedPixels, AreGivenToWhoWantsThem) {
  for (const bool is_read_otherwise : {false, true}) {
    Network net;
    const auto x = net.input("x", {ir::Dim("batch"), 8, 9, 11});
    const auto wide = net.node("HardSwish", {net.conv(x, 8, 128, 1)});
    const auto deep = net.node("Relu", {net.conv(wide, 128, 128, 5, 1, 128)});
    const auto deeper = net.conv(wide, 128, 128, 3, 1, 128);
    const auto sum = net.node("Add", {net.conv(deep, 128, 12, 1), net.conv(deeper, 128, 12, 1)});
    net.output("y", is_read_otherwise ? net.node("Add", {sum, net.conv(wide, 128, 12, 1)}) : sum);
    const NamedValues inputs{{"x", net.tensor({2, 8, 9, 11})}};
    const std::string plan = plan_of(Executor(net.graph, options(true)), inputs);
    EXPECT_EQ(plan.find("-> float32[2, 128, 9, 11] strided") != std::string::npos, !is_read_otherwise) << plan;
    expect_same_as_alone(net, inputs);
  }
}

TEST(SpacedPixels, LieInStripsToo) {
  Network net;
  const auto x = net.input("x", {1, 8, 40, 40});
  const auto deep = net.conv(relu6(net, net.conv(x, 8, 128, 1)), 128, 128, 5, 2, 128);
  net.output("y", net.conv(deep, 128, 12, 1));
  const NamedValues inputs{{"x", net.tensor({1, 8, 40, 40})}};
  const std::string plan = plan_of(Executor(net.graph, options(true)), inputs);
  EXPECT_NE(plan.find("[product, depthwise]"), std::string::npos) << plan;
  expect_same_as_alone(net, inputs);
}

TEST(SpacedPixels, AreNoOutputs) {
  Network net;
  const auto x = net.input("x", {1, 8, 9, 11});
  const auto wide = net.conv(x, 8, 128, 1);
  net.output("y", net.conv(wide, 128, 128, 5, 2, 128));
  net.output("wide", wide);
  const NamedValues inputs{{"x", net.tensor({1, 8, 9, 11})}};
  const std::string plan = plan_of(Executor(net.graph, options(true)), inputs);
  EXPECT_EQ(plan.find("strided"), std::string::npos) << plan;
  expect_same_as_alone(net, inputs);
}

}  // namespace
}  // namespace pli::exec
