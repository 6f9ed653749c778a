#include "runtime/exec/executor.h"

#include "tests/exec/expect.h"
#include "tests/exec/network.h"

#include <numeric>

namespace pli::exec {
namespace {

using ir::Attribute;
using ir::ValueId;
using test::code_of;
using test::expect_equal;
using test::Network;
using test::options;

/// Fused and unfused against the nodes run one by one.
void expect_as_each_node(Network& net, const NamedValues& inputs) {
  net.graph.verify();
  const NamedValues expected = test::run_each_node(net.graph, inputs);
  for (const bool fuse : {false, true}) expect_equal(Executor(net.graph, options(fuse)).run(inputs), expected);
}

Attribute ints(std::string name, std::vector<int64_t> values) { return {std::move(name), std::move(values), {}}; }
Attribute number(std::string name, int64_t value) { return {std::move(name), value, {}}; }

/// Ways in which a [3, 8, 6, 5] tensor becomes a [3, 4, 6, 5] one that lies in it with gaps or in another order.
using Seen = ValueId (*)(Network&, ValueId);
ValueId channels(Network& net, ValueId x) {
  return net.node("Slice", {x, net.ints({3}), net.ints({7}), net.ints({1})});
}
ValueId every_other(Network& net, ValueId x) {
  return net.node("Slice", {x, net.ints({1}), net.ints({8}), net.ints({1}), net.ints({2})});
}
ValueId half(Network& net, ValueId x) {
  const ir::NodeId split = net.graph.add_node(
      {"Split", "", "", {x, net.ints({4, 4})}, {{"left", {}, {}}, {"right", {}, {}}}, {number("axis", 1)}, {}});
  net.output("left", net.graph.node(split).outputs[0]);
  return net.graph.node(split).outputs[1];
}
ValueId convolved(Network& net, ValueId x) { return channels(net, net.conv(x, 8, 8, 3)); }
ValueId transposed(Network& net, ValueId x) {
  const ValueId turned = net.node("Transpose", {channels(net, x)}, {ints("perm", {0, 1, 3, 2})});
  return net.node("Transpose", {net.node("Relu", {turned})}, {ints("perm", {0, 1, 3, 2})});
}
ValueId repeated(Network& net, ValueId x) {
  const ValueId one = net.node("Slice", {x, net.ints({2}), net.ints({3}), net.ints({1})});
  return net.node("Expand", {one, net.ints({3, 4, 6, 5})});
}

/// Operators that read what they are given as it lies.
ValueId reader(Network& net, const std::string& type, ValueId x) {
  if (type == "BatchNormalization") {
    Tensor variance = net.tensor({4});
    for (float& value : variance.mutable_data<float>()) value = value * value + 0.5f;
    const ValueId sigma = net.graph.add_constant(std::move(variance), "variance");
    return net.node("Relu", {net.node(type, {x, net.weight({4}), net.weight({4}), net.weight({4}), sigma})});
  }
  if (type == "InstanceNormalization") return net.node(type, {x, net.weight({4}), net.weight({4})});
  if (type == "GroupNormalization")
    return net.node(type, {x, net.weight({2}), net.weight({2})}, {number("num_groups", 2)});
  if (type == "LayerNormalization") return net.node(type, {x, net.weight({6, 5})}, {number("axis", 2)});
  if (type == "MeanVarianceNormalization" || type == "Relu" || type == "GlobalAveragePool") return net.node(type, {x});
  if (type == "LRN") return net.node(type, {x}, {number("size", 3)});
  if (type == "MaxPool") return net.node(type, {x}, {ints("kernel_shape", {2, 3})});
  if (type == "Conv") return net.conv(x, 4, 5, 3);
  if (type == "ReduceMean") return net.node(type, {x, net.ints({1, 3})});
  if (type == "Add") return net.node(type, {x, net.weight({4, 1, 1})});
  if (type == "PRelu") return net.node(type, {x, net.weight({4, 1, 1})});
  if (type == "Concat") return net.node(type, {x, net.node("Relu", {x})}, {number("axis", 1)});
  if (type == "MatMul") return net.node(type, {x, net.weight({5, 7})});
  return net.node(type, {x}, {number("axis", 1)});
}

class Views : public ::testing::TestWithParam<std::string> {};

TEST_P(Views, AreReadAsTheyLie) {
  for (const Seen seen : {channels, every_other, half, convolved, transposed, repeated}) {
    Network net(18);
    const ValueId x = net.input("x", {3, 8, 6, 5});
    net.output("y", reader(net, GetParam(), seen(net, x)));
    expect_as_each_node(net, {{"x", net.tensor({3, 8, 6, 5})}});
  }
}

INSTANTIATE_TEST_SUITE_P(All, Views,
                         ::testing::Values("Softmax", "LogSoftmax", "Hardmax", "LpNormalization", "BatchNormalization",
                                           "InstanceNormalization", "GroupNormalization", "LayerNormalization",
                                           "MeanVarianceNormalization", "LRN", "Relu", "PRelu", "Add", "MaxPool",
                                           "GlobalAveragePool", "Conv", "ReduceMean", "Concat", "MatMul"),
                         [](const auto& tested) { return tested.param; });

/// Statistics that are only known while running, read with gaps.
TEST(Views, OfStatistics) {
  Network net;
  const ValueId x = net.input("x", {2, 3, 4});
  const ValueId numbers = net.node("Abs", {net.input("numbers", {4, 6})});
  const auto statistic = [&](int64_t row) {
    const ValueId line =
        net.node("Slice", {numbers, net.ints({row, 0}), net.ints({row + 1, 6}), net.ints({0, 1}), net.ints({1, 2})});
    return net.node("Reshape", {line, net.ints({3})});
  };
  net.output("y", net.node("BatchNormalization", {x, statistic(0), statistic(1), statistic(2), statistic(3)}));
  expect_as_each_node(net, {{"x", net.tensor({2, 3, 4})}, {"numbers", net.tensor({4, 6})}});
}

TEST(Rows, AreAddedAlongTheLastDimension) {
  for (const Shape& row : {Shape{5}, Shape{1, 5}, Shape{1, 1, 5}}) {
    Network net;
    const ValueId x = net.input("x", {2, 3, 4});
    net.output("y",
               net.node("Relu", {net.node("Add", {net.node("MatMul", {x, net.weight({4, 5})}), net.weight(row)})}));
    const NamedValues inputs{{"x", net.tensor({2, 3, 4})}};
    expect_as_each_node(net, inputs);
    EXPECT_EQ(Executor(net.graph, options(true)).plan(inputs)->steps.size(), 1u);
  }
}

TEST(Rows, OfAProductWithAVectorAreItsElements) {
  for (const Shape& shape : {Shape{7, 4}, Shape{2, 3, 4}}) {
    Network net;
    const ValueId x = net.input("x", ir::Dims(shape.begin(), shape.end()));
    const ValueId product = net.node("MatMul", {x, net.weight({4})});
    net.output("y", net.node("Add", {product, net.weight({shape[shape.size() - 2]})}));
    expect_as_each_node(net, {{"x", net.tensor(shape)}});
  }
}

TEST(EmptySums, CarryBiasAndActivation) {
  Network net;
  const ValueId x = net.input("x", {2, 0});
  const ValueId empty = net.weight({0, 3});
  net.output("relu", net.node("Relu", {net.node("Add", {net.node("MatMul", {x, empty}), net.weight({3})})}));
  net.output("gemm", net.node("Gemm", {x, empty, net.weight({2, 1})}));
  net.output("zero", net.node("MatMul", {x, empty}));
  expect_as_each_node(net, {{"x", net.tensor({2, 0})}});
}

TEST(Plans, AreOfOneElementType) {
  Network net;
  const ValueId x = net.graph.add_input("x", ir::Type{});
  net.output("y", net.node("Neg", {x}));
  const Executor executor(net.graph, options(true));
  const std::vector<double> doubles{1, 2, 3};
  const std::vector<float> floats{4, 5, 6};
  const Tensor of_doubles = executor.run({{"x", Tensor::copy<double>({3}, doubles)}}).at("y").tensor();
  EXPECT_EQ(of_doubles.data<double>()[2], -3);
  const Tensor of_floats = executor.run({{"x", Tensor::copy<float>({3}, floats)}}).at("y").tensor();
  EXPECT_EQ(of_floats.data<float>()[2], -6);
}

TEST(Sizes, ThatDoNotFitAreRefused) {
  const auto refused = [](const std::function<void(Network&)>& build) {
    Network net;
    build(net);
    return code_of([&] { Executor(net.graph, options(true)).run({}); });
  };
  EXPECT_EQ(refused([](Network& net) {
              const ValueId tall = net.graph.add_constant(Tensor(DataType::kFloat32, {int64_t{1} << 32, 0}), "tall");
              const ValueId wide = net.graph.add_constant(Tensor(DataType::kFloat32, {0, int64_t{1} << 32}), "wide");
              net.output("y", net.node("ReduceMax", {net.node("MatMul", {tall, wide})}));
            }),
            ErrorCode::kResourceLimit);
  EXPECT_EQ(refused([](Network& net) {
              std::vector<ValueId> operands;
              for (size_t axis = 0; axis < 4; ++axis) {
                Shape shape(4, 1);
                shape[axis] = 65536;
                operands.push_back(net.weight(shape));
              }
              net.output("y", net.node("Max", operands));
            }),
            ErrorCode::kResourceLimit);
  EXPECT_EQ(refused([](Network& net) {
              const int64_t most = INT32_MAX;
              net.output("y", net.node("AveragePool", {net.weight({1, 1, 1, 1, 1})},
                                       {ints("kernel_shape", {most, most, most}),
                                        ints("pads", std::vector<int64_t>(6, most - 1))}));
            }),
            ErrorCode::kResourceLimit);
}

TEST(Sizes, OfStringsAreNotMadeUp) {
  Network net;
  const ValueId x = net.input("x", {3});
  net.output("y", net.node("Cast", {x}, {number("to", static_cast<int64_t>(DataType::kString))}));
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)); }), ErrorCode::kUnsupported);
}

TEST(Budget, FoldingManySmallConstantsStops) {
  Network net;
  ValueId value = net.node("Expand", {net.weight({1}), net.ints({1 << 18})});
  for (int i = 0; i < 300; ++i) value = net.node("Neg", {value});  // each of 1 MiB
  net.output("y", value);
  const Executor executor(net.graph, options(true));
  EXPECT_GT(executor.plan({})->steps.size(), 100u);
}

TEST(InternalOperators, OfAFileAreRefused) {
  Network net;
  const ValueId x = net.input("x", {2});
  const ir::NodeId id =
      net.graph.add_node({"Swish", std::string(ops::kInternalDomain), "", {x}, {{"y", {}, {}}}, {}, {}});
  net.output("y", net.graph.node(id).outputs[0]);
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)); }), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::exec
