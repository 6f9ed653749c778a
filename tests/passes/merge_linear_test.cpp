#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <functional>

namespace pli::test {
namespace {

using ir::ValueId;

struct Case {
  const char* name;
  std::function<void(Net&)> build;
  int64_t left;  // Conv, Gemm and MatMul
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

/// One after the other, of `channels` each with kernels of these sizes.
struct Pair {
  int64_t from, between, to;
  Shape first_kernel, second_kernel;
  std::vector<ir::Attribute> first{}, second{};
  bool first_bias = true, second_bias = true;

  void build(Net& net) const {
    const ValueId x = net.input("x", {2, from, 9, 11});
    net.output(conv(net, conv(net, x, from, between, first_kernel, first, first_bias, "v"), between, to, second_kernel,
                    second, second_bias, "w"),
               "y");
  }
  static ValueId conv(Net& net, ValueId x, int64_t channels, int64_t filters, const Shape& kernel,
                      const std::vector<ir::Attribute>& attributes, bool bias, const std::string& name) {
    std::vector<ValueId> inputs{x, net.weight(name, {filters, channels, kernel[0], kernel[1]})};
    if (bias) inputs.push_back(net.weight(name + "_bias", {filters}));
    return net.node("Conv", inputs, attributes);
  }
};

std::function<void(Net&)> convs(const Pair& pair) {
  return [pair](Net& net) { pair.build(net); };
}

ValueId gemm(Net& net, ValueId x, Shape weight, Shape bias, std::vector<ir::Attribute> attributes = {}) {
  static int count = 0;
  const std::string name = "g" + std::to_string(++count);
  std::vector<ValueId> inputs{x, net.weight(name, std::move(weight))};
  if (!bias.empty()) inputs.push_back(net.weight(name + "c", std::move(bias)));
  return net.node("Gemm", inputs, std::move(attributes));
}

const ir::Attribute kPads = ints("pads", {1, 0, 0, 2}), kStrides = ints("strides", {2, 1}),
                    kDilations = ints("dilations", {1, 2});

class MergeLinear : public testing::TestWithParam<Case> {};

TEST_P(MergeLinear, ComputesTheSame) {
  Net net;
  GetParam().build(net);
  const Optimized result = optimize(net.model());
  const int64_t left = result.count("Conv") + result.count("Gemm") + result.count("MatMul");
  EXPECT_EQ(left, GetParam().left) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model, 2e-6);
}

const Case kCases[] = {
    {"KernelThenPoint", convs({3, 20, 5, {3, 2}, {1, 1}, {kPads, kStrides, kDilations}}), 1},
    {"KernelThenPointWithoutBias", convs({3, 20, 5, {3, 2}, {1, 1}, {kPads}, {}, false, false}), 1},
    {"KernelWithoutBiasThenPoint", convs({3, 20, 5, {2, 3}, {1, 1}, {}, {}, false, true}), 1},
    {"PointThenKernel", convs({3, 20, 5, {1, 1}, {3, 2}, {}, {kStrides, kDilations}}), 1},
    {"PointWithoutBiasThenKernelThatPads", convs({3, 20, 5, {1, 1}, {3, 2}, {}, {kPads}, false, true}), 1},
    {"PointThenPoint", convs({4, 9, 5, {1, 1}, {1, 1}}), 1},
    {"ThreeOfThem",
     [](Net& net) {
       ValueId x = net.input("x", {2, 3, 9, 11});
       x = Pair::conv(net, x, 3, 30, {1, 1}, {}, true, "u");
       x = Pair::conv(net, x, 30, 20, {3, 3}, {}, true, "v");
       net.output(Pair::conv(net, x, 20, 4, {1, 1}, {}, true, "w"), "y");
     },
     1},
    {"Products",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 7, 3});
       const ValueId between = net.node("MatMul", {x, net.weight("v", {3, 11})});
       net.output(net.node("MatMul", {between, net.weight("w", {11, 5})}), "y");
     },
     1},
    {"Gemms",
     [](Net& net) {
       const ValueId x = net.input("x", {6, 3});
       const ValueId between = gemm(net, x, {11, 3}, {11}, {attribute("transB", 1), attribute("alpha", 0.5f)});
       net.output(gemm(net, between, {11, 5}, {1, 5}, {attribute("alpha", 1.5f), attribute("beta", -2.0f)}), "y");
     },
     1},
    {"GemmsOfWhichOneAdds",
     [](Net& net) {
       const ValueId x = net.input("x", {6, 3});
       const ValueId between = gemm(net, x, {3, 11}, {11}, {attribute("beta", 0.25f)});
       net.output(gemm(net, between, {5, 11}, {}, {attribute("transB", 1)}), "y");
     },
     1},
    // What is not so.
    {"ABiasBehindWhichZerosAreAdded", convs({3, 20, 5, {1, 1}, {3, 2}, {}, {kPads}}), 2},
    {"APointThatPads", convs({3, 20, 5, {3, 2}, {1, 1}, {}, {kPads}}), 2},
    {"APointThatSkips", convs({3, 20, 5, {3, 2}, {1, 1}, {}, {kStrides}}), 2},
    {"TwoKernels", convs({3, 40, 5, {3, 2}, {2, 2}}), 2},
    {"Bottleneck", convs({20, 3, 20, {1, 1}, {3, 2}}), 2},
    {"Groups",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 4, 9, 11});
       const ValueId v = net.node("Conv", {x, net.weight("v", {20, 2, 3, 3})}, {attribute("group", 2)});
       net.output(Pair::conv(net, v, 20, 5, {1, 1}, {}, true, "w"), "y");
     },
     2},
    {"ReadByAnother",
     [](Net& net) {
       const ValueId x = net.input("x", {2, 3, 9, 11});
       const ValueId v = Pair::conv(net, x, 3, 20, {3, 3}, {}, true, "v");
       net.output(Pair::conv(net, v, 20, 5, {1, 1}, {}, true, "w"), "y");
       net.output(net.node("Relu", {v}), "z");
     },
     2},
    {"AnOutput",
     [](Net& net) {
       const ValueId v = net.node("MatMul", {net.input("x", {4, 3}), net.weight("v", {3, 11})}, {}, "between");
       net.output(v);
       net.output(net.node("MatMul", {v, net.weight("w", {11, 5})}), "y");
     },
     2},
    {"AWeightOnTheLeft",
     [](Net& net) {
       const ValueId v = net.node("MatMul", {net.weight("v", {11, 3}), net.input("x", {3, 4})});
       net.output(net.node("MatMul", {v, net.weight("w", {4, 2})}), "y");
     },
     2},
    {"ABiasOfRows",
     [](Net& net) {
       const ValueId v = gemm(net, net.input("x", {6, 3}), {3, 11}, {6, 1});
       net.output(gemm(net, v, {11, 5}, {5}), "y");
     },
     2},
    {"Transposed",
     [](Net& net) {
       const ValueId v = gemm(net, net.input("x", {3, 11}), {11, 4}, {4});
       net.output(gemm(net, v, {3, 2}, {2}, {attribute("transA", 1)}), "y");
     },
     2},
};

std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(All, MergeLinear, testing::ValuesIn(kCases), case_name);

/// A BatchNormalization on either side, and between: the weight is rounded once, however large.
TEST(MergeLinearOnce, FoldsAsWell) {
  Net net;
  const ValueId x = net.input("x", {2, 3, 9, 11});
  const ValueId v = net.batch_norm(Pair::conv(net, x, 3, 20, {3, 3}, {}, false, "v"), 20, "first");
  net.output(net.batch_norm(Pair::conv(net, v, 20, 5, {1, 1}, {}, true, "w"), 5, "second"), "y");
  const Optimized result = expect_folded(net, 2);
  EXPECT_EQ(result.count("Conv"), 1);
}

TEST(MergeLinearOnce, NumbersBeyondFloatsStay) {
  Net net;
  const ValueId x = net.input("x", {4, 3});
  const ValueId v = net.node("MatMul", {x, net.weight("v", {3, 11}, 1e30, 2e30)});
  net.output(net.node("MatMul", {v, net.weight("w", {11, 2}, 1e30, 2e30)}), "y");
  EXPECT_EQ(optimize(net.model()).count("MatMul"), 2);
}

}  // namespace
}  // namespace pli::test
