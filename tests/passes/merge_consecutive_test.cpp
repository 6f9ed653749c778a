#include "runtime/core/tensor.h"
#include "tests/passes/reference.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

ValueId shape(Net& net, std::vector<int64_t> values) {
  static int count = 0;
  return net.constant("shape" + std::to_string(++count), int64_tensor(values));
}

void expect_nodes(Net& net, size_t count) {
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), count) << ir::dump(result.model.graph);
  expect_equal_results(net.model(), result.model, 0);
}

TEST(MergeConsecutive, TransposesBecomeOne) {
  Net net;
  const ValueId first = net.node("Transpose", {net.input("x", {2, 3, 4, 5})}, {ints("perm", {1, 2, 0, 3})});
  net.output(net.node("Transpose", {first}, {ints("perm", {3, 1, 2, 0})}), "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, InverseTransposesGo) {
  Net net;
  const ValueId first = net.node("Transpose", {net.input("x", {-1, 3, 4, 5})}, {ints("perm", {0, 2, 3, 1})});
  const ValueId second = net.node("Transpose", {first}, {ints("perm", {0, 3, 1, 2})});
  net.output(net.node("Relu", {second}), "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, WhatSomebodyElseReadsStays) {
  Net net;
  const ValueId first = net.node("Transpose", {net.input("x", {2, 3, 4, 5})}, {ints("perm", {0, 2, 3, 1})});
  const ValueId second = net.node("Transpose", {first}, {ints("perm", {2, 3, 1, 0})});
  net.output(net.node("Relu", {second}), "y1");
  net.output(net.node("Relu", {first}), "y2");
  OptimizeOptions alone;
  alone.only = {"merge_consecutive"};
  EXPECT_EQ(optimize(net.model(), alone).count("Transpose"), 2);
}

TEST(MergeConsecutive, WhatIsTakenBackGoesThoughSomebodyElseReadsIt) {
  Net net;
  const ValueId x = net.input("x", {-1, 3, 4, 5});
  const ValueId first = net.node("Transpose", {x}, {ints("perm", {0, 2, 3, 1})});
  const ValueId second = net.node("Transpose", {first}, {ints("perm", {0, 3, 1, 2})});
  net.output(net.node("Relu", {second}), "y1");
  net.output(net.node("Relu", {first}), "y2");
  const ValueId flat = net.node("Flatten", {x});
  net.output(net.node("Relu", {flat}), "y3");
  net.output(net.node("Neg", {net.node("Reshape", {flat, shape(net, {-1, 3, 4, 5})})}), "y4");
  expect_nodes(net, 6);
}

TEST(MergeConsecutive, ReshapesBecomeOne) {
  Net net;
  const ValueId first = net.node("Reshape", {net.input("x", {-1, 3, 4, 5}), shape(net, {0, 12, 5})});
  const ValueId second = net.node("Unsqueeze", {first, shape(net, {1})});
  net.output(net.node("Flatten", {second}, {attribute("axis", 1)}), "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, UnsqueezeAndSqueezeGo) {
  Net net;
  const ValueId first = net.node("Unsqueeze", {net.input("x", {-1, 3, 4}), shape(net, {2})});
  net.output(net.node("Relu", {net.node("Squeeze", {first, shape(net, {2})})}), "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, SizesThatAreNotKnownAreNotGuessed) {
  Net net;  // [a, b, 4] -> [a * b, 4] -> [?, 2, 4]: the first dimension is half of a * b
  const ir::Type type = ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("a"), std::string("b"), 4});
  const ValueId x = net.graph().add_input("x", type);
  const ValueId first = net.node("Reshape", {x, shape(net, {-1, 4})});
  net.output(net.node("Reshape", {first, shape(net, {-1, 2, 4})}), "y");
  expect_nodes(net, 1);  // -1 says it
  Net other;
  const ValueId z = other.graph().add_input("x", type);
  const ValueId flat = other.node("Reshape", {z, shape(other, {-1, 4})});
  const ValueId back =
      other.node("Reshape", {flat, other.graph().add_input("target", ir::Type::tensor(DataType::kInt64, ir::Dims{3}))});
  other.output(back, "y");
  EXPECT_EQ(optimize(other.model()).model.graph.node_count(), 2u);
}

/// The channels of an image shuffled as exporters write it for any batch: the shape is computed from that of x.
TEST(MergeConsecutive, ShapesThatAreKnownButForTheBatch) {
  Net net;
  const ValueId x = net.input("x", {-1, 6, 4, 5});
  const ValueId dims = net.node("Shape", {x});
  const ValueId batch = net.node("Gather", {dims, net.constant("zero", int64_tensor(std::vector<int64_t>{0}))});
  const ValueId channels = net.node("Gather", {dims, net.constant("one", int64_tensor(std::vector<int64_t>{1}))});
  const ValueId half = net.node("Div", {channels, net.constant("two", int64_tensor(std::vector<int64_t>{2}))});
  const ValueId target = net.node("Concat",
                                  {batch, net.constant("groups", int64_tensor(std::vector<int64_t>{2})), half,
                                   net.constant("size", int64_tensor(std::vector<int64_t>{4, 5}))},
                                  {attribute("axis", 0)});
  const ValueId divided = net.node("Reshape", {x, target});
  const ValueId turned = net.node("Transpose", {divided}, {ints("perm", {0, 2, 1, 3, 4})});
  net.output(net.node("Reshape", {turned, dims}), "y");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 3u) << ir::dump(result.model.graph);
  EXPECT_EQ(result.count("Shape"), 0);
}

/// Windows of an image as rows of a batch, as MobileViT has them: the batch is known to be four times as large.
TEST(MergeConsecutive, ShapesOfALargerBatch) {
  Net net;
  const ValueId x = net.input("x", {-1, 4, 6, 10});
  const ValueId batch = net.node("Gather", {net.node("Shape", {x}), shape(net, {0})});
  const ValueId windows = net.node("Mul", {batch, shape(net, {4})});
  const ValueId rest = shape(net, {-1}), rows = shape(net, {6}), heads = shape(net, {5});
  const ValueId flat = net.node("Relu", {net.node("Reshape", {x, shape(net, {-1, 6, 10})})});
  const ValueId target = net.node("Concat", {windows, rows, rest, heads}, {attribute("axis", 0)});
  const ValueId divided = net.node("Softmax", {net.node("Reshape", {flat, target})}, {attribute("axis", -1)});
  const ValueId again =
      net.node("Concat", {net.node("Div", {windows, shape(net, {4})}), shape(net, {4, 60})}, {attribute("axis", 0)});
  net.output(net.node("Reshape", {divided, again}), "y");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 5u) << ir::dump(result.model.graph);
  std::vector<std::vector<int64_t>> targets;
  for (const ir::NodeId id : result.model.graph.nodes())
    if (const ir::Node& node = result.model.graph.node(id); node.is("Reshape"))
      targets.push_back(to_int64s(*result.model.graph.constant_of(node.inputs[1])));
  EXPECT_EQ(targets, (std::vector<std::vector<int64_t>>{{-1, 6, 10}, {0, 6, 2, 5}, {-1, 4, 60}}));
}

struct AroundCase {
  const char* name;
  Shape x;
  std::vector<int64_t> first, perm, last;
  size_t nodes = 1;
};

std::ostream& operator<<(std::ostream& out, const AroundCase& c) { return out << c.name; }

class MergeAroundTranspose : public testing::TestWithParam<AroundCase> {};

TEST_P(MergeAroundTranspose, ComputesTheSame) {
  const AroundCase& c = GetParam();
  Net net;
  const ValueId joined = net.node("Reshape", {net.input("x", c.x), shape(net, c.first)});
  const ValueId turned = net.node("Transpose", {joined}, {ints("perm", c.perm)});
  net.output(net.node("Reshape", {turned, shape(net, c.last)}), "y");
  expect_nodes(net, c.nodes);
}

const std::vector<AroundCase> kAroundCases{
    {"Keys", {2, 3, 5, 7}, {6, 5, 7}, {0, 2, 1}, {2, 3, 7, 5}},
    {"KeysOfAnyBatch", {-1, 3, 5, 7}, {-1, 5, 7}, {0, 2, 1}, {-1, 3, 7, 5}},
    {"Divided", {2, 15, 7}, {2, 3, 5, 7}, {3, 0, 1, 2}, {7, 2, 15}},
    {"WithAOneBetween", {2, 3, 5, 7}, {6, 1, 5, 7}, {0, 1, 3, 2}, {2, 3, 7, 5}},
    {"OtherDimensionsAtTheEnd", {2, 3, 5, 7}, {6, 5, 7}, {0, 2, 1}, {3, 2, 7, 5}, 3},
    {"WhatIsJoinedComesApart", {2, 3, 5, 7}, {2, 15, 7}, {0, 2, 1}, {2, 5, 7, 3}, 3},
    {"WhatIsDividedComesApart", {2, 15, 7}, {2, 3, 5, 7}, {0, 2, 1, 3}, {2, 15, 7}, 3},
};
std::string around_case_name(const testing::TestParamInfo<AroundCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(All, MergeAroundTranspose, testing::ValuesIn(kAroundCases), around_case_name);

/// Any batch and length: the shapes are computed, and no constant could say them.
TEST(MergeConsecutive, KeysOfAnyBatchAndLength) {
  Net net;
  const ValueId x = net.graph().add_input(
      "x", ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("batch"), 3, std::string("length"), 7}));
  const ValueId dims = net.node("Shape", {x});
  const ValueId length = net.node("Gather", {dims, shape(net, {2})});
  const ValueId flat = net.node("Concat", {shape(net, {-1}), length, shape(net, {7})}, {attribute("axis", 0)});
  const ValueId keys = net.node("Transpose", {net.node("Reshape", {x, flat})}, {ints("perm", {0, 2, 1})});
  const ValueId heads = net.node("Slice", {dims, shape(net, {0}), shape(net, {2})});
  const ValueId whole = net.node("Concat", {heads, shape(net, {7}), length}, {attribute("axis", 0)});
  net.output(net.node("Reshape", {keys, whole}), "y");
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 1u) << ir::dump(result.model.graph);
  EXPECT_EQ(result.model.graph.node(result.model.graph.nodes()[0]).ints_or("perm", {}),
            (std::vector<int64_t>{0, 1, 3, 2}));
}

/// Embeddings of any batch and length: of positions there are nine at most.
TEST(MergeConsecutive, ShapesOfAnyBatchAndLength) {
  for (const auto& [start, step, known] : {std::tuple(0, 1, true), std::tuple(1, 1, false), std::tuple(0, 2, false)}) {
    Net net;
    const ValueId x = net.graph().add_input(
        "x", ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("batch"), std::string("length"), 6}));
    const ValueId dims = net.node("Shape", {x});
    const ValueId batch = net.node("Gather", {dims, shape(net, {0})}),
                  length = net.node("Gather", {dims, shape(net, {1})});
    const ValueId positions = net.node(
        "Slice", {net.weight("table", {1, 9, 6}), shape(net, {start}), length, shape(net, {1}), shape(net, {step})});
    const ValueId sum = net.node("Add", {positions, x});
    const ValueId target = net.node("Concat", {batch, length, shape(net, {2, -1})}, {attribute("axis", 0)});
    net.output(net.node("Reshape", {sum, target}), "y");
    const Optimized result = optimize(net.model());
    EXPECT_EQ(result.count("Concat"), known ? 0 : 1) << ir::dump(result.model.graph);
  }
}

/// -1 stands for no other size than there is, and no size is -1.
TEST(MergeConsecutive, AnExpandToAShapeThatIsThereGoes) {
  for (const bool negative : {true, false}) {
    Net net;
    const ValueId x = net.graph().add_input(
        "x", ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("batch"), std::string("length")}));
    const ValueId wanted = net.node("Concat", {net.node("Shape", {x}), shape(net, {-1})}, {attribute("axis", 0)});
    const int64_t special = negative ? -1 : 7;
    const ValueId is_special = net.node("Equal", {wanted, shape(net, {special, special, -1})});
    const ValueId target = net.node("Where", {is_special, shape(net, {1, 1, 1}), wanted});
    const ValueId wide = net.node("Unsqueeze", {x, shape(net, {2})});
    net.output(net.node("Neg", {net.node("Expand", {wide, target})}), "y");
    EXPECT_EQ(optimize(net.model()).count("Expand"), negative ? 0 : 1);
  }
}

TEST(MergeConsecutive, ARangeIsAsLongAsItsEnd) {
  for (const auto& [start, known] : {std::pair(0, true), std::pair(1, false)}) {
    Net net;
    const ValueId x = net.graph().add_input(
        "x", ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("batch"), std::string("length")}));
    const auto number = [&](int64_t value) {
      return net.constant("number" + std::to_string(value), int64_tensor(std::vector{value}).reshaped({}));
    };
    const ValueId zero = number(0), one = number(1);
    const ValueId length = net.node("Gather", {net.node("Shape", {x}), one});
    const ValueId all = net.node("Range", {start == 0 ? zero : one, length, one});
    const ValueId target = net.node("Unsqueeze", {length, shape(net, {0})});
    net.output(net.node("Neg", {net.node("Expand", {all, target})}), "y");
    EXPECT_EQ(optimize(net.model()).count("Expand"), known ? 0 : 1);
  }
}

/// Without elements a -1 beside a copied dimension stands for nothing.
TEST(MergeConsecutive, AnEmptyBatchStaysPossible) {
  Net net;
  const ValueId x = net.graph().add_input(
      "x", ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("N"), std::string("A"), std::string("B")}));
  net.output(net.node("Unsqueeze", {net.node("Flatten", {x}), shape(net, {1})}), "y");
  EXPECT_EQ(optimize(net.model()).model.graph.node_count(), 2u);
}

/// [2, 2] at run time, though nothing says so: what is joined along axis 1 is no list.
TEST(MergeConsecutive, ElementsOfWhatMayHaveMoreDimensionsAreNotKnown) {
  Net net;
  const ValueId target = net.graph().add_input("target", ir::Type::tensor(DataType::kInt64, ir::Dims{ir::Dim()}));
  const auto list = [&](std::vector<int64_t> values) { return net.node("Reshape", {shape(net, values), target}); };
  const ValueId all = net.node("Concat", {list({0, 1, 2, 3}), list({10, 11, 12, 13})}, {attribute("axis", 1)});
  net.output(net.node("Reshape", {all, shape(net, {8})}), "y");
  EXPECT_EQ(optimize(net.model()).count("Concat"), 1);
}

TEST(MergeConsecutive, CastsThatLoseNothingGo) {
  Net net;
  const ValueId half = net.input("x", {2, 3}, DataType::kFloat16);
  const ValueId wide = net.node("Cast", {half}, {attribute("to", 1)});
  net.output(net.node("Relu", {net.node("Cast", {wide}, {attribute("to", 10)})}), "y");
  expect_nodes(net, 1);
  Net other;  // half precision rounds
  const ValueId narrow = other.node("Cast", {other.input("x", {2, 3})}, {attribute("to", 10)});
  other.output(other.node("Relu", {other.node("Cast", {narrow}, {attribute("to", 1)})}), "y");
  EXPECT_EQ(optimize(other.model()).count("Cast"), 2);
}

// --- Slices ----------------------------------------------------------------------------------------------------------

struct SliceCase {
  const char* name;
  Shape x;
  std::vector<std::vector<int64_t>> first, second;  // starts, ends, axes, steps; the last may be missing
  size_t nodes = 1;
  int64_t opset = 13;
  bool empty = false;  // other rows are put behind the none that are taken
};

std::ostream& operator<<(std::ostream& out, const SliceCase& c) { return out << c.name; }
std::string case_name(const testing::TestParamInfo<SliceCase>& info) { return info.param.name; }

class MergeSlices : public testing::TestWithParam<SliceCase> {};

ValueId slice(Net& net, ValueId x, const std::vector<std::vector<int64_t>>& lists) {
  if (net.graph().opset("") < 10)
    return net.node("Slice", {x}, {ints("starts", lists[0]), ints("ends", lists[1]), ints("axes", lists[2])});
  std::vector<ValueId> inputs{x};
  for (const auto& list : lists) inputs.push_back(shape(net, list));
  return net.node("Slice", inputs);
}

TEST_P(MergeSlices, TakeTheSame) {
  const SliceCase& c = GetParam();
  Net net(c.opset);
  const ValueId taken = slice(net, slice(net, net.input("x", c.x), c.first), c.second);
  net.output(c.empty ? net.node("Concat", {taken, net.input("z", {2, 3})}, {attribute("axis", 0)}) : taken, "y");
  expect_nodes(net, c.nodes + (c.empty ? 1 : 0));
}

constexpr int64_t kFar = INT64_MAX;
const std::vector<SliceCase> kSliceCases{
    {"OtherAxes", {5, 6, 7}, {{1}, {4}, {0}}, {{2, -3}, {5, -1}, {1, -1}}},
    {"OtherAxesOfAnyBatch", {-1, 6, 7}, {{1}, {kFar}, {0}}, {{2}, {5}, {1}}},
    {"OtherAxesBackwards", {5, 6, 7}, {{4}, {-6}, {0}, {-2}}, {{2}, {5}, {2}, {1}}},
    {"AxesThatAreNotGiven", {5, 6, 7}, {{1, 2}, {4, 5}}, {{0, 1, 3}, {2, 3, 5}}},
    {"AttributesOfOldOperatorSets", {5, 6, 7}, {{1}, {4}, {0}}, {{-4, 1}, {-1, 2}, {1, 0}}, 1, 9},
    {"SameAxis", {29, 3}, {{3}, {27}, {0}}, {{2}, {20}, {0}}},
    {"SameAxisInSteps", {29, 3}, {{3}, {27}, {0}, {2}}, {{1}, {11}, {-2}, {3}}},
    {"SameAxisFromTheEnd", {29, 3}, {{-20}, {-2}, {0}, {3}}, {{-5}, {-1}, {0}, {2}}},
    {"EndsFarOutside", {29, 3}, {{3}, {kFar}, {0}, {2}}, {{2}, {kFar}, {0}, {2}}},
    {"EndsBehindTheFirst", {29, 3}, {{3}, {9}, {0}}, {{2}, {20}, {0}}},
    {"StartsFarBeforeTheFront", {29, 3}, {{-40}, {9}, {0}}, {{-20}, {5}, {0}}},
    {"NothingIsLeft", {29, 3}, {{3}, {9}, {0}}, {{8}, {20}, {0}}, 1, 13, true},
    {"NothingIsTaken", {29, 3}, {{9}, {3}, {0}}, {{0}, {2}, {0}}, 1, 13, true},
    {"SameAxisOfAnyBatch", {-1, 3}, {{0}, {2}, {0}}, {{1}, {kFar}, {0}}},
    {"SameAxisOfAnyBatchInSteps", {3, -1}, {{0}, {kFar}, {1}, {2}}, {{0}, {5}, {1}, {3}}},
    {"FromTheEndOfAnyBatch", {-1, 3}, {{0}, {2}, {0}}, {{-1}, {kFar}, {0}}, 2},
    {"FirstFromTheEndOfAnyBatch", {-1, 3}, {{-1}, {kFar}, {0}}, {{0}, {1}, {0}}, 2},
    {"FirstBackwards", {29, 3}, {{20}, {3}, {0}, {-1}}, {{1}, {4}, {0}, {1}}, 2},
    {"SecondBackwards", {29, 3}, {{3}, {20}, {0}, {1}}, {{9}, {1}, {0}, {-2}}, 2},
    {"TooFar", {29, 3}, {{1}, {kFar}, {0}}, {{kFar}, {kFar}, {0}}, 2, 13, true},
};
INSTANTIATE_TEST_SUITE_P(All, MergeSlices, testing::ValuesIn(kSliceCases), case_name);

TEST(MergeConsecutive, SlicesThatAreNotKnownOrReadTwiceStay) {
  Net net;
  const ValueId start = net.graph().add_input("start", ir::Type::tensor(DataType::kInt64, ir::Dims{1}));
  const ValueId first = net.node("Slice", {net.input("x", {9, 4}), start, shape(net, {8}), shape(net, {0})});
  net.output(slice(net, first, {{1}, {3}, {1}}), "y");
  EXPECT_EQ(optimize(net.model()).count("Slice"), 2);
  Net other;
  const ValueId read = slice(other, other.input("x", {9, 4}), {{1}, {8}, {0}});
  other.output(other.node("Relu", {read}), "z");
  other.output(slice(other, read, {{1}, {3}, {1}}), "y");
  EXPECT_EQ(optimize(other.model()).count("Slice"), 2);
}

// --- Concats ---------------------------------------------------------------------------------------------------------

TEST(MergeConsecutive, ConcatsBecomeOne) {
  Net net;
  const auto input = [&](const char* name, int64_t rows) { return net.input(name, {2, rows, 5}); };
  const ValueId inner = net.node("Concat", {input("a", 3), input("b", 1)}, {attribute("axis", -2)});
  const ValueId more = net.node("Concat", {input("c", 2), input("d", 4)}, {attribute("axis", 1)});
  net.output(net.node("Concat", {inner, input("e", 1), more, input("f", 2)}, {attribute("axis", 1)}), "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, ConcatsOfSeveralLevels) {
  Net net(3);  // the axis is 1 where it is not given
  ValueId all = net.input("a", {2, 3});
  for (const char* name : {"b", "c", "d"}) all = net.node("Concat", {all, net.input(name, {2, 4})});
  net.output(all, "y");
  expect_nodes(net, 1);
}

TEST(MergeConsecutive, ConcatsAlongAnotherAxisOrReadTwiceStay) {
  Net net;
  const ValueId inner = net.node("Concat", {net.input("a", {2, 3}), net.input("b", {2, 3})}, {attribute("axis", 0)});
  net.output(net.node("Concat", {inner, net.input("c", {4, 1})}, {attribute("axis", 1)}), "y");
  expect_nodes(net, 2);
  Net twice;
  const ValueId half =
      twice.node("Concat", {twice.input("a", {2, 3}), twice.input("b", {2, 3})}, {attribute("axis", 1)});
  twice.output(twice.node("Concat", {half, half}, {attribute("axis", 1)}), "y");
  expect_nodes(twice, 2);
}

}  // namespace
}  // namespace pli::test
