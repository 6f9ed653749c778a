#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

ValueId numbers(Net& net, std::vector<int64_t> values, bool scalar = false) {
  static int count = 0;
  const Tensor list = int64_tensor(values);
  return net.constant("numbers" + std::to_string(++count), scalar ? list.reshaped({}) : list);
}

ValueId at(Net& net, ValueId sequence, int64_t position) {
  return net.node("SequenceAt", {sequence, numbers(net, {position}, true)});
}

/// What becomes of the one computes what the other does, which has no sequences.
Optimized expect_like(const Net& net, const Net& plain, size_t nodes) {
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), nodes) << ir::dump(result.model.graph);
  expect_equal_results(plain.model(), result.model, 0);
  return result;
}

void expect_kept(const Net& net, const char* type) {
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.count(type), 1) << ir::dump(result.model.graph);
}

class UnpackSequencesIn : public testing::TestWithParam<int64_t> {};  // of an operator set
INSTANTIATE_TEST_SUITE_P(All, UnpackSequencesIn, testing::Values(11, 13, 18));

ValueId split(Net& net, ValueId x, std::vector<int64_t> sizes, int64_t axis) {
  if (net.graph().opset("") < 13)
    return net.node("Split", {x}, {ints("split", std::move(sizes)), attribute("axis", axis)}, {}, 3);
  return net.node("Split", {x, numbers(net, std::move(sizes))}, {attribute("axis", axis)}, {}, 3);
}

ValueId result_of(Net& net, ValueId first, size_t index) {
  return net.graph().node(net.graph().producer(first)).outputs[index];
}

TEST_P(UnpackSequencesIn, IntoPartsOfGivenSizes) {
  Net net(GetParam()), plain(GetParam());
  const ValueId parts =
      net.node("SplitToSequence", {net.input("x", {-1, 3, 9}), numbers(net, {2, 3, 4})}, {attribute("axis", 2)});
  net.output(at(net, parts, 2), "c");
  net.output(net.node("Relu", {at(net, parts, -3)}), "a");
  const ValueId first = split(plain, plain.input("x", {-1, 3, 9}), {2, 3, 4}, 2);
  plain.output(result_of(plain, first, 2), "c");
  plain.output(plain.node("Relu", {first}), "a");
  expect_like(net, plain, 2);
}

TEST_P(UnpackSequencesIn, IntoPartsOfOneSize) {  // the last is smaller; keepdims does not count
  Net net(GetParam()), plain(GetParam());
  const ValueId parts = net.node("SplitToSequence", {net.input("x", {3, 10}), numbers(net, {4}, true)},
                                 {attribute("axis", -1), attribute("keepdims", 0)});
  const ValueId first = split(plain, plain.input("x", {3, 10}), {4, 4, 2}, 1);
  for (const size_t i : {0, 1, 2}) {
    const std::string name(1, static_cast<char>('a' + i));
    net.output(net.node("Neg", {at(net, parts, static_cast<int64_t>(i))}), name);
    plain.output(plain.node("Neg", {result_of(plain, first, i)}), name);
  }
  expect_like(net, plain, 4);
}

TEST(UnpackSequences, APartThatIsReadTwice) {
  Net net, plain;
  const ValueId parts = net.node("SplitToSequence", {net.input("x", {6, 5}), numbers(net, {1, 2, 3})});
  net.output(net.node("Sub", {at(net, parts, 1), net.node("Exp", {at(net, parts, -2)})}), "y");
  const ValueId part = result_of(plain, split(plain, plain.input("x", {6, 5}), {1, 2, 3}, 0), 1);
  plain.output(plain.node("Sub", {part, plain.node("Exp", {part})}), "y");
  expect_like(net, plain, 3);
}

TEST(UnpackSequences, SingleElementsOfAnyNumber) {
  for (const bool keeps : {true, false}) {
    Net net, plain;
    const ValueId parts = net.node("SplitToSequence", {net.input("x", {3, -1, 4})},
                                   {attribute("axis", 1), attribute("keepdims", keeps ? 1 : 0)});
    net.output(net.node("Neg", {at(net, parts, 1)}), "y");
    net.output(net.node("Exp", {at(net, parts, -1)}), "z");
    const ValueId x = plain.input("x", {3, -1, 4});
    const auto taken = [&](int64_t index) {
      return plain.node("Gather", {x, numbers(plain, {index}, !keeps)}, {attribute("axis", 1)});
    };
    plain.output(plain.node("Neg", {taken(1)}), "y");
    plain.output(plain.node("Exp", {taken(-1)}), "z");
    EXPECT_EQ(expect_like(net, plain, 4).count("Gather"), 2);
  }
}

TEST(UnpackSequences, WhatIsNotKnownStays) {
  Net size;  // of an axis that is divided
  const ValueId open = size.node("SplitToSequence", {size.input("x", {-1, 4}), numbers(size, {2}, true)});
  size.output(at(size, open, 0), "y");
  expect_kept(size, "SplitToSequence");
  Net place;
  const ValueId index = place.graph().add_input("i", ir::Type::tensor(DataType::kInt64, ir::Dims{}));
  const ValueId parts = place.node("SplitToSequence", {place.input("x", {5, 4}), numbers(place, {2, 3})});
  place.output(place.node("SequenceAt", {parts, index}), "y");
  expect_kept(place, "SplitToSequence");
  Net outside;
  const ValueId two = outside.node("SplitToSequence", {outside.input("x", {5, 4}), numbers(outside, {2, 3})});
  outside.output(at(outside, two, 2), "y");
  expect_kept(outside, "SplitToSequence");
  Net axis;
  const ValueId bad =
      axis.node("SplitToSequence", {axis.input("x", {5, 4}), numbers(axis, {2}, true)}, {attribute("axis", 2)});
  axis.output(at(axis, bad, 0), "y");
  expect_kept(axis, "SplitToSequence");
  Net many;
  const ValueId thousands = many.node("SplitToSequence", {many.input("x", {5000, 1}), numbers(many, {2}, true)});
  many.output(at(many, thousands, 3), "y");
  expect_kept(many, "SplitToSequence");
  Net counted;  // somebody else reads the sequence
  const ValueId read = counted.node("SplitToSequence", {counted.input("x", {5, 4}), numbers(counted, {2, 3})});
  counted.output(at(counted, read, 0), "y");
  counted.output(counted.node("SequenceLength", {read}), "n");
  expect_kept(counted, "SplitToSequence");
}

// --- joining ---------------------------------------------------------------------------------------------------------

std::vector<ValueId> inputs_of(Net& net) {
  return {net.input("a", {2, 3, 4}), net.input("b", {2, 3, 4}), net.input("c", {2, 3, 4})};
}

TEST(UnpackSequences, JoinsAlongAnAxis) {
  Net net, plain;
  const ValueId all = net.node("SequenceConstruct", inputs_of(net));
  net.output(net.node("ConcatFromSequence", {all}, {attribute("axis", -2)}), "y");
  plain.output(plain.node("Concat", inputs_of(plain), {attribute("axis", 1)}), "y");
  expect_like(net, plain, 1);
}

TEST_P(UnpackSequencesIn, StacksAlongANewAxis) {
  for (const int64_t axis : {0, 1, -1}) {
    Net net(GetParam()), plain(GetParam());
    const ValueId all = net.node("SequenceConstruct", inputs_of(net));
    net.output(net.node("ConcatFromSequence", {all}, {attribute("axis", axis), attribute("new_axis", 1)}), "y");
    std::vector<ValueId> unsqueezed;
    for (const ValueId x : inputs_of(plain))
      unsqueezed.push_back(GetParam() < 13 ? plain.node("Unsqueeze", {x}, {ints("axes", {axis})})
                                           : plain.node("Unsqueeze", {x, numbers(plain, {axis})}));
    plain.output(plain.node("Concat", unsqueezed, {attribute("axis", axis)}), "y");
    expect_like(net, plain, 4);
  }
}

TEST(UnpackSequences, InsertedOneByOne) {
  Net net, plain;
  ValueId all = net.node("SequenceEmpty", {});
  for (const ValueId x : inputs_of(net)) all = net.node("SequenceInsert", {all, x});
  net.output(net.node("ConcatFromSequence", {all}, {attribute("axis", 2)}), "y");
  plain.output(plain.node("Concat", inputs_of(plain), {attribute("axis", 2)}), "y");
  expect_like(net, plain, 1);
}

TEST(UnpackSequences, SequencesThatAreNotKnownOrReadTwiceStay) {
  Net twice;
  const ValueId all = twice.node("SequenceConstruct", inputs_of(twice));
  twice.output(twice.node("ConcatFromSequence", {all}, {attribute("axis", 0)}), "y");
  twice.output(twice.node("SequenceLength", {all}), "n");
  expect_kept(twice, "ConcatFromSequence");
  Net placed;
  std::vector<ValueId> inputs = inputs_of(placed);
  ValueId some = placed.node("SequenceConstruct", {inputs[0], inputs[1]});
  some = placed.node("SequenceInsert", {some, inputs[2], numbers(placed, {0}, true)});
  placed.output(placed.node("ConcatFromSequence", {some}, {attribute("axis", 0)}), "y");
  expect_kept(placed, "ConcatFromSequence");
  Net empty;
  empty.output(empty.node("ConcatFromSequence", {empty.node("SequenceEmpty", {})}, {attribute("axis", 0)}), "y");
  expect_kept(empty, "ConcatFromSequence");
}

}  // namespace
}  // namespace pli::test
