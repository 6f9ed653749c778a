#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

/// x [batch, 3, 5, 4] is an input between -2 and 2, stretched to between -18 and 18.
struct Gate {
  static constexpr size_t kStretching = 2;  // nodes
  Net net;
  ValueId narrow, x;
  DataType dtype;

  explicit Gate(int64_t opset = 17, DataType dtype = DataType::kFloat32, Shape dims = {-1, 3, 5, 4})
      : net(opset), dtype(dtype) {
    narrow = net.input("narrow", dims, dtype);
    x = narrow;
    for (size_t i = 0; i < kStretching; ++i) x = net.node("Sinh", {x});
  }
  ValueId number(double value, Shape shape = {}) {
    static int count = 0;
    return net.constant("number" + std::to_string(++count), from_doubles(dtype, std::move(shape), std::vector{value}));
  }
  ValueId shifted(double by, Shape shape = {}) { return net.node("Add", {x, number(by, std::move(shape))}); }
  ValueId clipped(ValueId value, double low = 0, double high = 6) {
    if (net.graph().opset("") >= 11) return net.node("Clip", {value, number(low), number(high)});
    return net.node("Clip", {value},
                    {attribute("min", static_cast<float>(low)), attribute("max", static_cast<float>(high))});
  }
  /// `nodes` are left, besides those that make x.
  Optimized expect(ValueId result, std::string_view type, size_t nodes) {
    net.output(result, "y");
    Optimized optimized = optimize(net.model());
    EXPECT_EQ(optimized.count(type), 1) << ir::dump(optimized.model.graph);
    EXPECT_EQ(optimized.model.graph.node_count(), nodes + kStretching) << ir::dump(optimized.model.graph);
    expect_equal_results(net.model(), optimized.model, 1e-6);
    return optimized;
  }
  void expect_kept(ValueId result) {
    net.output(result, "y");
    const Optimized optimized = optimize(net.model());
    EXPECT_EQ(optimized.count("HardSigmoid") + optimized.count("HardSwish"), 0) << ir::dump(optimized.model.graph);
  }
};

constexpr double kSixth = 0.1666666716337204;  // as a float

TEST(FuseHardSigmoid, KerasMobileNet) {
  Gate g;
  const ValueId gate = g.net.node("Mul", {g.clipped(g.shifted(3, {1, 1, 1, 1})), g.number(kSixth)});
  g.expect(g.net.node("Mul", {g.x, gate}), "HardSwish", 1);
}

TEST(FuseHardSigmoid, DividedAtTheEnd) {
  Gate g;
  const ValueId product = g.net.node("Mul", {g.clipped(g.shifted(3)), g.x});
  g.expect(g.net.node("Div", {product, g.number(6)}), "HardSwish", 1);
}

TEST(FuseHardSigmoid, BeforeHardSwish) {
  Gate g(13);
  const ValueId product = g.net.node("Mul", {g.x, g.clipped(g.shifted(3))});
  g.expect(g.net.node("Div", {product, g.number(6)}), "HardSigmoid", 2);
}

TEST(FuseHardSigmoid, ClipByAttributes) {
  Gate g(9);
  g.expect(g.net.node("Div", {g.clipped(g.shifted(3)), g.number(6)}), "HardSigmoid", 1);
}

TEST(FuseHardSigmoid, OtherNumbers) {
  Gate g;
  const ValueId shifted = g.net.node("Sub", {g.x, g.number(0.75)});
  const Optimized result = g.expect(g.net.node("Mul", {g.number(0.4), g.clipped(shifted, 0, 2.5)}), "HardSigmoid", 1);
  for (const ir::NodeId id : result.model.graph.nodes()) {
    const ir::Node& node = result.model.graph.node(id);
    if (!node.is("HardSigmoid")) continue;
    EXPECT_EQ(node.float_or("alpha", 0), 0.4f);
    EXPECT_EQ(node.float_or("beta", 0), -0.3f);
  }
}

TEST(FuseHardSigmoid, NothingAdded) {
  Gate g;
  g.expect(g.net.node("Div", {g.clipped(g.x), g.number(6)}), "HardSigmoid", 1);
}

TEST(FuseHardSigmoid, OfTheGateAlone) {  // another value is multiplied
  Gate g;
  const ValueId product = g.net.node("Mul", {g.net.input("z", {-1, 3, 1, 4}), g.clipped(g.shifted(3))});
  g.expect(g.net.node("Mul", {product, g.number(kSixth)}), "HardSigmoid", 2);
}

TEST(FuseHardSigmoid, MinAndMaxInAnyOrder) {
  for (const bool low_first : {true, false}) {
    Gate g;
    const auto low = [&](ValueId v) { return g.net.node("Max", {g.number(0), v}); };
    const auto high = [&](ValueId v) { return g.net.node("Min", {v, g.number(6)}); };
    const ValueId x = g.shifted(3);
    g.expect(g.net.node("Div", {low_first ? high(low(x)) : low(high(x)), g.number(6)}), "HardSigmoid", 1);
  }
}

TEST(FuseHardSigmoid, ReluAndMin) {
  Gate g;
  const ValueId bounded = g.net.node("Min", {g.net.node("Relu", {g.shifted(3)}), g.number(6)});
  g.expect(g.net.node("Mul", {g.net.node("Div", {bounded, g.number(6)}), g.x}), "HardSwish", 1);
}

TEST(FuseHardSigmoid, Halves) {  // a sixth, rounded to eleven bits
  Gate g(17, DataType::kFloat16);
  const ValueId gate = g.net.node("Mul", {g.clipped(g.shifted(3)), g.number(1.0 / 6)});
  g.net.output(g.net.node("Mul", {g.x, gate}), "y");
  const Optimized result = optimize(g.net.model());
  EXPECT_EQ(result.count("HardSwish"), 1);
  expect_equal_results(g.net.model(), result.model, 1e-3);
}

TEST(FuseHardSigmoid, OnlyWhereOtherRuntimesKnowIt) {
  for (const DataType dtype : {DataType::kFloat64, DataType::kBfloat16}) {
    Gate g(17, dtype);
    g.expect_kept(g.net.node("Div", {g.clipped(g.shifted(3)), g.number(6)}));
  }
}

TEST(FuseHardSigmoid, AnotherPlaceOfTheStep) {  // a HardSigmoid, but no HardSwish
  for (const auto& [shift, high] : {std::pair(2.0, 6.0), std::pair(3.0, 5.0)}) {
    Gate g;
    const ValueId gate = g.net.node("Div", {g.clipped(g.shifted(shift), 0, high), g.number(high)});
    g.expect(g.net.node("Mul", {g.x, gate}), "HardSigmoid", 2);
  }
}

TEST(FuseHardSigmoid, OfAnotherValueIsNoHardSwish) {
  Gate g;
  const ValueId gate = g.net.node("Div", {g.clipped(g.shifted(3)), g.number(6)});
  g.expect(g.net.node("Mul", {g.narrow, gate}), "HardSigmoid", 2);
}

TEST(FuseHardSigmoid, OtherBounds) {
  for (const auto& [low, high, divisor] : {std::array{0.0, 6.0, 5.0}, std::array{-1.0, 6.0, 6.0},
                                           std::array{1.0, 6.0, 6.0}, std::array{0.0, HUGE_VAL, 6.0}}) {
    Gate g;
    g.expect_kept(g.net.node("Div", {g.clipped(g.shifted(3), low, high), g.number(divisor)}));
  }
  Gate turned;  // 6 / bounded
  turned.expect_kept(turned.net.node("Div", {turned.number(6), turned.clipped(turned.shifted(3))}));
  Gate open;  // no upper bound, or one that is not known
  open.expect_kept(open.net.node("Div", {open.net.node("Relu", {open.shifted(3)}), open.number(6)}));
  Gate given;
  const ValueId high = given.net.input("high", {});
  given.expect_kept(
      given.net.node("Div", {given.net.node("Clip", {given.shifted(3), given.number(0), high}), given.number(6)}));
}

TEST(FuseHardSigmoid, BoundsThatCross) {  // min(max(x, 8), 6) is 6 everywhere
  Gate g;
  const ValueId low = g.net.node("Max", {g.x, g.number(8)});
  const ValueId bounded = g.net.node("Max", {g.net.node("Min", {low, g.number(6)}), g.number(0)});
  g.expect_kept(g.net.node("Div", {bounded, g.number(6)}));
}

TEST(FuseHardSigmoid, NumbersForEachChannel) {
  Gate g;
  const ValueId shifted = g.net.node("Add", {g.x, g.net.weight("shift", {3, 1, 1}, 2, 4)});
  const Optimized result = g.expect(g.net.node("Div", {g.clipped(shifted), g.number(6)}), "HardSigmoid", 2);
  EXPECT_EQ(result.count("Add"), 1);
}

TEST(FuseHardSigmoid, NumbersThatAddDimensions) {
  Gate g(17, DataType::kFloat32, {3, 4});
  g.expect_kept(g.net.node("Div", {g.clipped(g.x), g.number(6, {1, 1, 1})}));
}

TEST(FuseHardSigmoid, WhatSomebodyElseReadsStays) {
  Gate g;
  const ValueId clipped = g.clipped(g.shifted(3));
  g.net.output(clipped, "z");
  g.expect_kept(g.net.node("Div", {clipped, g.number(6)}));
  Gate shared;  // the sum stays, and is bounded from there
  const ValueId sum = shared.shifted(3);
  shared.net.output(sum, "z");
  shared.expect(shared.net.node("Div", {shared.clipped(sum), shared.number(6)}), "HardSigmoid", 2);
}

TEST(FuseHardSigmoid, AsTheUserWants) {
  Gate g;
  const ValueId gate = g.net.node("Mul", {g.clipped(g.shifted(3)), g.number(kSixth)}, {}, "gate");
  g.net.output(g.net.node("Mul", {g.x, gate}), "y");
  OptimizeOptions options;
  options.keep = {"gate"};
  EXPECT_EQ(optimize(g.net.model(), options).count("Clip"), 1);
}

}  // namespace
}  // namespace pli::test
