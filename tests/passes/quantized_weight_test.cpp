#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <set>

namespace pli::test {
namespace {

using ir::ValueId;

/// Integers from -127 to 127, or with -128 among them.
Tensor integers(Shape shape, bool lowest = false) {
  Tensor made(DataType::kInt8, std::move(shape));
  int32_t state = 71;
  for (int8_t& value : made.mutable_data<int8_t>()) {
    state = (state * 1103 + 12345) % 65521;
    value = static_cast<int8_t>(state % 255 - 127);
  }
  if (lowest) made.mutable_data<int8_t>()[1] = -128;
  return made;
}

Tensor int8s(Shape shape, const std::vector<int8_t>& values) {
  Tensor made(DataType::kInt8, std::move(shape));
  std::ranges::copy(values, made.mutable_data<int8_t>().begin());
  return made;
}

/// How the weight of a net is stored.
struct Stored {
  Tensor integers;
  int64_t scales = 0;  // along `axis`; 0: one for the tensor
  int64_t axis = 0;
  std::vector<int8_t> zero_points = {};
};

ValueId dequantized(Net& net, const Stored& stored) {
  const Shape shape = stored.scales > 0 ? Shape{stored.scales} : Shape{};
  std::vector<ValueId> inputs{net.constant("q", stored.integers), net.weight("scale", shape, 0.01, 0.03)};
  if (!stored.zero_points.empty()) inputs.push_back(net.constant("zero", int8s(shape, stored.zero_points)));
  std::vector<ir::Attribute> attributes;
  if (stored.scales > 0) attributes.push_back(attribute("axis", stored.axis));
  return net.node("DequantizeLinear", inputs, attributes, "w");
}

/// What is stored has to stay as small: integers of the same number, and no float but scales and biases.
void expect_integers(const Optimized& result) {
  EXPECT_EQ(result.count("DequantizeLinear"), 1) << ir::dump(result.model.graph);
  for (const ValueId id : result.model.graph.initializers()) {
    const Tensor& tensor = *result.model.graph.constant_of(id);
    EXPECT_TRUE(tensor.dtype() == DataType::kInt8 || tensor.size() <= 8) << result.model.graph.name(id);
  }
}

/// Scales of BatchNormalization of both signs, or above zero.
ValueId norm(Net& net, ValueId x, int64_t channels, double low = -2) {
  return net.node("BatchNormalization",
                  {x, net.weight("s", {channels}, low, 2), net.weight("b", {channels}), net.weight("m", {channels}),
                   net.weight("v", {channels}, 0.01, 2)},
                  {}, "y");
}

TEST(QuantizedWeight, ScalesTakeUpWhatFollowsAConv) {
  for (const int64_t scales : {0, 5}) {
    for (const bool zeros : {false, true}) {
      SCOPED_TRACE(std::to_string(scales) + (zeros ? " with zero points" : ""));
      Net net;
      Stored stored{integers({5, 3, 2, 4}), scales};
      if (zeros) stored.zero_points.assign(static_cast<size_t>(std::max<int64_t>(scales, 1)), 0);
      const ValueId c = net.node("Conv", {net.input("x", {2, 3, 8, 9}), dequantized(net, stored)}, {}, "c");
      net.output(norm(net, c, 5));
      const Optimized result = expect_folded(net, 1, 2e-6);
      expect_integers(result);
      EXPECT_EQ(result.constant("scale").size(), 5u);
    }
  }
}

TEST(QuantizedWeight, IntegersStayWhereTheScaleIsAboveZero) {
  Net net;
  const Stored stored{integers({5, 3, 2, 4}, true), 5, 0, {3, -4, 0, 7, 1}};
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), dequantized(net, stored)}, {}, "c"), 5, 0.1));
  const Optimized result = expect_folded(net, 1, 2e-6);
  expect_integers(result);
  EXPECT_TRUE(identical(result.constant("q"), stored.integers));
}

TEST(QuantizedWeight, NegativeScalesMirrorAroundTheZeroPoint) {
  Net net;
  Tensor q(DataType::kInt8, {5, 3, 2, 4});
  for (size_t i = 0; i < q.size(); ++i) q.mutable_data<int8_t>()[i] = static_cast<int8_t>(i % 41);
  const Stored stored{q, 5, 0, {20, 21, 22, 23, 24}};
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), dequantized(net, stored)}, {}, "c"), 5));
  expect_integers(expect_folded(net, 1, 2e-6));
}

TEST(QuantizedWeight, AZeroScaleMakesAConstantChannel) {
  Net net;
  const Stored stored{integers({3, 2, 1, 4}), 3};
  const ValueId c = net.node("Conv", {net.input("x", {2, 2, 5, 9}), dequantized(net, stored)}, {}, "c");
  Tensor s(DataType::kFloat32, {3});
  s.mutable_data<float>()[0] = 1.5f;
  s.mutable_data<float>()[2] = -0.5f;
  net.output(net.node(
      "BatchNormalization",
      {c, net.constant("s", s), net.weight("b", {3}), net.weight("m", {3}), net.weight("v", {3}, 0.5, 1)}, {}, "y"));
  expect_integers(expect_folded(net, 1, 2e-6));
}

TEST(QuantizedWeight, BehindGemmMatMulAndTranspose) {
  for (const bool transposed : {false, true}) {
    Net net;
    const Stored stored{integers(transposed ? Shape{5, 6} : Shape{6, 5}), 5, transposed ? 0 : 1};
    net.output(norm(net,
                    net.node("Gemm", {net.input("x", {3, 6}), dequantized(net, stored), net.weight("c", {5})},
                             {attribute("transB", transposed)}, "g"),
                    5));
    expect_integers(expect_folded(net, 1, 2e-6));
  }
  Net net;
  const ValueId w = dequantized(net, {integers({5, 6}), 5, 0});
  const ValueId t = net.node("Transpose", {w}, {ints("perm", {1, 0})}, "t");
  const ValueId x = net.node("MatMul", {net.input("x", {2, 3, 6}), t}, {}, "m");
  net.output(net.node("Mul", {x, net.weight("k", {5}, 0.5, 2)}, {}, "y"));
  for (const bool sinks : {false, true}) {  // then the integers are stored transposed
    OptimizeOptions options;
    if (!sinks) options.disable = {"sink_transposes"};
    const Optimized result = optimize(net.model(), options);
    EXPECT_EQ(result.count("Mul"), 0) << ir::dump(result.model.graph);
    EXPECT_EQ(result.count("Transpose"), sinks ? 0 : 1);
    expect_integers(result);
    expect_equal_results(net.model(), result.model, 2e-6);
  }
}

TEST(QuantizedWeight, InFrontOfAConvAlongItsChannels) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}), 3, 1});
  net.output(net.node("Conv", {norm(net, net.input("x", {2, 3, 8, 9}), 3), w}, {}, "c"));
  expect_integers(expect_folded(net, 1, 2e-6));
}

TEST(QuantizedWeight, TwoFoldsInARowRoundTheScalesOnce) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}), 5, 0});
  const ValueId c = net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c");
  net.output(net.node("Mul", {norm(net, c, 5), net.weight("k", {5, 1, 1}, 0.5, 2)}, {}, "z"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 2u) << ir::dump(result.model.graph);
  expect_integers(result);
  expect_equal_results(net.model(), result.model, 2e-6);
}

TEST(QuantizedWeight, QuantizedOfConstantsIsStored) {
  Net net;
  const ValueId scale = net.weight("scale", {5}, 0.01, 0.02), zero = net.constant("zero", int8s({5}, {0, 0, 0, 0, 0}));
  const ValueId q = net.node("QuantizeLinear", {net.weight("w", {5, 3, 2, 2}), scale, zero}, {attribute("axis", 0)});
  const ValueId w = net.node("DequantizeLinear", {q, scale, zero}, {attribute("axis", 0)});
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c"), 5));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("QuantizeLinear"), 0);
  EXPECT_TRUE(result.fold("y").folded) << result.fold("y").reason;
  expect_integers(result);
  expect_equal_results(net.model(), result.model, 2e-6);
}

TEST(QuantizedWeight, OneIsSharedByTwoConvolutions) {
  Net net;
  const ValueId w = dequantized(net, {integers({3, 3, 1, 1}), 3, 0});
  const ValueId c = net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c");
  net.output(net.node("Conv", {net.node("Sigmoid", {norm(net, c, 3)}), w}, {}, "z"));
  const Optimized result = optimize(net.model());
  EXPECT_TRUE(result.fold("y").folded) << result.fold("y").reason;
  EXPECT_EQ(result.count("DequantizeLinear"), 2);
  expect_equal_results(net.model(), result.model, 2e-6);
}

TEST(QuantizedWeight, BiasesThatAreStoredAsIntegersBecomeFloats) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}), 5, 0});
  Tensor bias(DataType::kInt32, {5});
  for (size_t i = 0; i < 5; ++i) bias.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * 1000) - 2100;
  const ValueId b = net.node("DequantizeLinear", {net.constant("qb", bias), net.weight("sb", {5}, 1e-4, 2e-4)},
                             {attribute("axis", 0)}, "cb");
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), w, b}, {}, "c"), 5));
  expect_integers(expect_folded(net, 1, 2e-6));
}

TEST(QuantizedWeight, IsWidenedWhereTheUserWantsIt) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}), 5, 0});
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c"), 5));
  const Optimized result = optimize(net.model(), {.widen_weights = true});
  EXPECT_TRUE(result.fold("y").folded);
  EXPECT_EQ(result.count("DequantizeLinear"), 0);
  expect_equal_results(net.model(), result.model, 2e-6);
}

// --- what stays ------------------------------------------------------------------------------------------------------

TEST(QuantizedWeight, HasNoAxisInOldOperatorSets) {
  Net net(11);
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1})});
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c"), 5));
  expect_kept(net, "y", "quantized", "has one scale in this operator set");
}

TEST(QuantizedWeight, HasAnotherAxis) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}), 3, 1});
  net.output(norm(net, net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c"), 5));
  expect_kept(net, "y", "quantized", "the axis of its scales is another");
}

TEST(QuantizedWeight, HasNoMirrorImage) {
  Net net;
  const ValueId w = dequantized(net, {integers({5, 3, 1, 1}, true), 5, 0});
  const ValueId c = net.node("Conv", {net.input("x", {2, 3, 8, 9}), w}, {}, "c");
  net.output(net.node(
      "BatchNormalization",
      {c, net.weight("s", {5}, -2, -1), net.weight("b", {5}), net.weight("m", {5}), net.weight("v", {5}, 0.01, 2)}, {},
      "y"));
  expect_kept(net, "y", "quantized", "has no mirror image");
}

TEST(QuantizedWeight, IsScaledByBlocks) {
  Net net(21);
  const ValueId w =
      net.node("DequantizeLinear", {net.constant("q", integers({6, 5})), net.weight("scale", {3, 5}, 0.01, 0.02)},
               {attribute("axis", 0), attribute("block_size", 2)});
  net.output(net.node("Mul", {net.node("MatMul", {net.input("x", {3, 6}), w}), net.weight("k", {5})}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Mul"), 1);
  EXPECT_EQ(result.fold("y").code, "quantized");
}

}  // namespace
}  // namespace pli::test
