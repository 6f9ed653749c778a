#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

struct PadCase {
  const char* name;
  std::vector<int64_t> pads;  // of N, C, H, W in front, then behind
  bool fuses;
  std::vector<ir::Attribute> conv = {};
  std::vector<ir::Attribute> pad = {};
  std::optional<float> value = {};
};

std::ostream& operator<<(std::ostream& out, const PadCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<PadCase>& info) { return info.param.name; }

class FusePad : public testing::TestWithParam<PadCase> {};

TEST_P(FusePad, ComputesTheSame) {
  const PadCase& c = GetParam();
  Net net;
  std::vector<ValueId> inputs{net.input("x", {-1, 3, 5, 7}), net.constant("pads", int64_tensor(c.pads))};
  if (c.value) inputs.push_back(net.constant("value", Tensor::copy<float>({}, std::span(&*c.value, 1))));
  const ValueId padded = net.node("Pad", inputs, c.pad);
  net.output(net.node("Conv", {padded, net.weight("w", {4, c.pads[1] + 3, 3, 2}), net.weight("b", {4})}, c.conv), "y");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count("Pad"), c.fuses ? 0 : 1) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model, 1e-12);
}

const std::vector<PadCase> kCases{
    {"Zeros", {0, 0, 1, 2, 0, 0, 3, 0}, true},
    {"BesideOwnPads", {0, 0, 1, 2, 0, 0, 3, 0}, true, {ints("pads", {1, 0, 0, 2}), ints("strides", {2, 1})}},
    {"Valid", {0, 0, 1, 1, 0, 0, 1, 1}, true, {attribute("auto_pad", "VALID")}},
    {"ZeroThatIsGiven", {0, 0, 1, 1, 0, 0, 1, 1}, true, {}, {}, 0.0f},
    {"AnotherNumber", {0, 0, 1, 1, 0, 0, 1, 1}, false, {}, {}, 0.5f},
    {"Reflections", {0, 0, 1, 1, 0, 0, 1, 1}, false, {}, {attribute("mode", "reflect")}},
    {"TakesAway", {0, 0, -1, 1, 0, 0, 1, 1}, false},
    {"Channels", {0, 1, 1, 1, 0, 0, 1, 1}, false},
    {"SameSize", {0, 0, 1, 1, 0, 0, 1, 1}, false, {attribute("auto_pad", "SAME_UPPER")}},
};
INSTANTIATE_TEST_SUITE_P(All, FusePad, testing::ValuesIn(kCases), case_name);

TEST(FusePadOnce, WhatSomebodyElseReadsStays) {
  Net net;
  const ValueId pads = net.constant("pads", int64_tensor(std::vector<int64_t>{0, 0, 1, 1, 0, 0, 1, 1}));
  const ValueId padded = net.node("Pad", {net.input("x", {2, 3, 5, 7}), pads});
  net.output(net.node("Conv", {padded, net.weight("w", {4, 3, 3, 2})}), "y");
  net.output(net.node("Relu", {padded}), "z");
  EXPECT_EQ(optimize(net.model()).count("Pad"), 1);
}

}  // namespace
}  // namespace pli::test
