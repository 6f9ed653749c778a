#include "passes/pipeline.h"
#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

Tensor integers(const std::vector<int64_t>& values) { return int64_tensor(values); }
Tensor floats(Shape shape, const std::vector<float>& values) { return Tensor::copy<float>(std::move(shape), values); }

/// Relu -> the node -> Relu "y". The node's other inputs are constants.
struct NopCase {
  std::string name;
  std::string op_type;
  Shape x;
  bool removed;
  std::vector<std::optional<Tensor>> operands = {};
  std::vector<ir::Attribute> attributes = {};
  int64_t opset = 17;
  bool constant_first = false;
};

std::ostream& operator<<(std::ostream& out, const NopCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<NopCase>& info) { return info.param.name; }

class EliminateNop : public testing::TestWithParam<NopCase> {};

TEST_P(EliminateNop, RemovesWhatDoesNothing) {
  const NopCase& c = GetParam();
  Net net(c.opset);
  const ValueId before = net.node("Relu", {net.input("x", c.x)}, {}, "before");
  std::vector<ValueId> inputs{before};
  for (size_t i = 0; i < c.operands.size(); ++i)
    inputs.push_back(c.operands[i] ? net.constant("k" + std::to_string(i), *c.operands[i]) : ValueId{});
  if (c.constant_first) std::swap(inputs[0], inputs[1]);
  net.output(net.node("Relu", {net.node(c.op_type, inputs, c.attributes, "nop")}, {}, "y"));
  const Optimized result = optimize(net.model(), {.only = {"eliminate_nop"}});
  EXPECT_EQ(result.count(c.op_type), c.removed ? 0 : 1) << ir::dump(result.model.graph);
  if (!c.removed) return;
  EXPECT_EQ(result.report.passes.at(0).changes, 1);
  Net expected(c.opset);
  expected.output(expected.node("Relu", {expected.node("Relu", {expected.input("x", c.x)}, {}, "before")}, {}, "y"));
  EXPECT_EQ(ir::dump(result.model.graph),
            ir::dump(optimize(expected.model(), {.only = {"fold_constants"}}).model.graph));
}

const Tensor kTrue = Tensor::copy<bool>({}, std::span<const bool>(std::array{true}));
const Tensor kFalse = Tensor::copy<bool>({}, std::span<const bool>(std::array{false}));
const Shape kImage{-1, 3, 8, 9};
const int64_t kMax = INT64_MAX;

const std::vector<NopCase> kCopies{
    {"Identity", "Identity", kImage, true},
    {"Dropout", "Dropout", kImage, true},
    {"DropoutOfOldInference", "Dropout", kImage, true, {}, {attribute("is_test", 1)}, 6},
    {"DropoutOfOldTraining", "Dropout", kImage, false, {}, {}, 6},
    {"DropoutOpset12", "Dropout", kImage, true, {floats({}, {0.5f})}, {}, 12},
    {"DropoutNotTraining", "Dropout", kImage, true, {floats({}, {0.5f}), kFalse}, {}, 13},
    {"DropoutTraining", "Dropout", kImage, false, {floats({}, {0.5f}), kTrue}, {}, 13},
    {"CastToItself", "Cast", kImage, true, {}, {attribute("to", 1)}},
    {"CastToHalf", "Cast", kImage, false, {}, {attribute("to", 10)}},
    {"CastToDouble", "Cast", kImage, false, {}, {attribute("to", 11)}},
    {"ReshapeCopies", "Reshape", kImage, true, {integers({0, 0, 0, 0})}},
    {"ReshapeLeftOver", "Reshape", kImage, true, {integers({-1, 3, 8, 9})}},
    {"ReshapeOldForm", "Reshape", kImage, true, {}, {ints("shape", {0, 3, 8, 9})}, 1},
    {"ReshapeOtherRank", "Reshape", kImage, false, {integers({0, 3, 72})}},
    {"ReshapeSwaps", "Reshape", kImage, false, {integers({0, 3, 9, 8})}},
    {"ReshapeFixesTheBatch", "Reshape", kImage, false, {integers({1, 3, 8, 9})}},
    {"ReshapeAllowsZero", "Reshape", {0, 3}, true, {integers({0, 3})}, {attribute("allowzero", 1)}},
    {"Flatten", "Flatten", {-1, 7}, true},
    {"FlattenFromTheEnd", "Flatten", {-1, 7}, true, {}, {attribute("axis", -1)}},
    {"FlattenAll", "Flatten", {-1, 7}, false, {}, {attribute("axis", 0)}},
    {"FlattenImage", "Flatten", kImage, false},
    {"TransposeNothing", "Transpose", kImage, true, {}, {ints("perm", {0, 1, 2, 3})}},
    {"TransposeVector", "Transpose", {5}, true},
    {"TransposeReverses", "Transpose", {4, 5}, false},
    {"TransposeSwaps", "Transpose", kImage, false, {}, {ints("perm", {0, 1, 3, 2})}},
    {"PadNothing", "Pad", {4, 5}, true, {integers({0, 0, 0, 0})}},
    {"PadNothingOldForm", "Pad", {4, 5}, true, {}, {ints("pads", {0, 0, 0, 0})}, 2},
    {"PadSomething", "Pad", {4, 5}, false, {integers({0, 0, 1, 0})}},
    {"PadNegative", "Pad", {4, 5}, false, {integers({0, -1, 0, 0})}},
    {"SliceAll", "Slice", kImage, true, {integers({0, 0}), integers({kMax, 9}), integers({0, -1}), integers({1, 1})}},
    {"SliceAllOldForm", "Slice", kImage, true, {}, {ints("starts", {0}), ints("ends", {8}), ints("axes", {2})}, 9},
    {"SliceSome", "Slice", kImage, false, {integers({0}), integers({7}), integers({2})}},
    {"SliceFromOne", "Slice", kImage, false, {integers({1}), integers({kMax}), integers({2})}},
    {"SliceEverySecond", "Slice", kImage, false, {integers({0}), integers({kMax}), integers({2}), integers({2})}},
    {"SliceOfUnknown", "Slice", kImage, false, {integers({0}), integers({100}), integers({0})}},
};
INSTANTIATE_TEST_SUITE_P(Copies, EliminateNop, testing::ValuesIn(kCopies), case_name);

const std::vector<NopCase> kNumbers{
    {"ConcatOfOne", "Concat", kImage, true, {}, {attribute("axis", 1)}},
    {"ConcatOfTwo", "Concat", {4, 5}, false, {floats({1, 5}, {1, 2, 3, 4, 5})}, {attribute("axis", 0)}},
    {"SumOfOne", "Sum", kImage, true},
    {"MaxOfOne", "Max", kImage, true},
    {"MinOfOne", "Min", kImage, true},
    {"MeanOfOne", "Mean", kImage, true},
    {"ExpandToItself", "Expand", {4, 5}, true, {integers({4, 1})}},
    {"ExpandByOnes", "Expand", kImage, true, {integers({1})}},
    {"ExpandToMore", "Expand", {4, 1}, false, {integers({4, 5})}},
    {"ExpandToHigherRank", "Expand", {4, 5}, false, {integers({1, 4, 5})}},
    {"ExpandOfUnknown", "Expand", {-1, 5}, false, {integers({4, 5})}},
    {"ClipWithoutBounds", "Clip", kImage, true},
    {"ClipOldForm", "Clip", kImage, false, {}, {}, 10},
    {"ClipBelow", "Clip", kImage, false, {floats({}, {0})}},
    {"TimesOne", "Mul", kImage, true, {floats({}, {1})}},
    {"OneTimes", "Mul", kImage, true, {floats({3, 1, 1}, {1, 1, 1})}, {}, 17, true},
    {"TimesTwo", "Mul", kImage, false, {floats({}, {2})}},
    {"TimesOneStretches", "Mul", {1, 5}, false, {floats({3, 1}, {1, 1, 1})}},
    {"TimesOneOfHigherRank", "Mul", {4, 5}, false, {floats({1, 1, 1}, {1})}},
    {"DividedByOne", "Div", kImage, true, {floats({1}, {1})}},
    {"OneDividedBy", "Div", kImage, false, {floats({1}, {1})}, {}, 17, true},
    {"MinusZero", "Sub", kImage, true, {floats({1}, {0})}},
    {"ZeroMinus", "Sub", kImage, false, {floats({1}, {0})}, {}, 17, true},
    {"PlusNegativeZero", "Add", kImage, true, {floats({1}, {-0.0f})}},
    {"PlusZeroTurnsNegativeZero", "Add", kImage, false, {floats({1}, {0})}},
    {"NegativeZeroPlus", "Add", kImage, true, {floats({1}, {-0.0f})}, {}, 17, true},
};
INSTANTIATE_TEST_SUITE_P(Numbers, EliminateNop, testing::ValuesIn(kNumbers), case_name);

TEST(EliminateNopOutputs, OfANodeTakesOverTheName) {
  Net net;
  const ValueId relu = net.node("Relu", {net.input("x", {2, 3})}, {}, "inner");
  net.output(net.node("Identity", {relu}, {}, "y"));
  const Optimized result = optimize(net.model());
  EXPECT_EQ(ir::dump(result.model.graph), "input x: float32[2, 3]\ny = Relu(x)  # n_inner\noutput y = y\n");
}

TEST(EliminateNopOutputs, OfAnInputConstantOrOtherOutputStays) {
  Net net;
  const ValueId relu = net.node("Relu", {net.input("x", {2, 3})}, {}, "first");
  net.output(relu);
  net.output(net.node("Identity", {relu}, {}, "second"));
  net.output(net.node("Identity", {net.graph().inputs()[0]}, {}, "third"));
  net.output(net.node("Identity", {net.weight("w", {2})}, {}, "fourth"));
  EXPECT_EQ(optimize(net.model()).count("Identity"), 3);
}

TEST(EliminateNopOutputs, MaskOfDropoutInUse) {
  Net net;
  net.output(net.node("Dropout", {net.input("x", {2, 3})}, {}, "y", 2));
  net.output(net.graph().find("y_1"));
  EXPECT_EQ(optimize(net.model()).count("Dropout"), 1);
}

TEST(EliminateNopOutputs, BetweenConvAndBatchNormalization) {
  Net net;
  ValueId v = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  v = net.node("Identity", {v});
  v = net.node("Dropout", {v});
  v = net.batch_norm(v, 5, "bn");
  net.output(net.node("Identity", {v}, {}, "y"));
  const Optimized result = expect_folded(net, 1);
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  // The user knows the BatchNormalization by the name that it had.
  ir::Model model = net.model();
  const Report report = passes::run(model, {.keep = {"bn"}});
  EXPECT_EQ(report.batch_norms.at(0).code, "disabled");
}

TEST(EliminateNop, NamesThatAreReferredToStay) {
  Net net;
  const ValueId relu = net.node("Relu", {net.input("x", {2, 3})}, {}, "relu");
  const ValueId copy = net.node("Identity", {relu}, {}, "copy");
  net.output(net.node("Identity", {net.node("Neg", {copy}, {}, "neg")}, {}, "y"));
  EXPECT_EQ(optimize(net.model()).model.graph.node_count(), 2u);
  for (const char* name : {"copy", "neg"}) {
    Net pinned = net;
    pinned.graph().pin(name);
    const Optimized result = optimize(pinned.model());
    EXPECT_EQ(result.model.graph.node_count(), 3u) << name;
    EXPECT_TRUE(result.model.graph.find(name)) << name;
  }
}

}  // namespace
}  // namespace pli::test
