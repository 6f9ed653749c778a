#include "tests/ops/op_test.h"

namespace pli::test {
namespace {

using compute::channels_last;
using compute::plain;
using compute::TensorDesc;

constexpr DataType kF = DataType::kFloat32;

ops::Layouts layouts_of(std::vector<TensorDesc> inputs, Shape output) {
  const ir::Graph graph;
  const ir::Node node;
  const Limits limits;
  const ops::PrepareContext context{graph, node, limits, 13, std::move(inputs), {}, {plain(kF, std::move(output))},
                                    {},    1};
  return ops::elementwise_layouts(context);
}

TEST(ElementwiseLayouts, FollowTheInputOfTheOutputsShape) {
  const Shape shape{2, 3, 5, 7};
  const auto one = layouts_of({channels_last(kF, shape)}, shape);
  EXPECT_EQ(one.inputs[0], channels_last(kF, shape));
  EXPECT_EQ(one.outputs[0], channels_last(kF, shape));
  EXPECT_EQ(layouts_of({plain(kF, shape)}, shape).outputs[0], plain(kF, shape));
}

TEST(ElementwiseLayouts, PreferChannelsLast) {
  const Shape shape{2, 3, 5, 7};
  for (const bool first : {true, false}) {
    const auto layouts = layouts_of(
        {first ? channels_last(kF, shape) : plain(kF, shape), first ? plain(kF, shape) : channels_last(kF, shape)},
        shape);
    EXPECT_EQ(layouts.outputs[0], channels_last(kF, shape));
    EXPECT_EQ(layouts.inputs[0], channels_last(kF, shape));
    EXPECT_EQ(layouts.inputs[1], channels_last(kF, shape));
  }
}

TEST(ElementwiseLayouts, LeaveOperandsThatFollowTheOrder) {
  const Shape shape{2, 3, 5, 7};
  for (const Shape& other :
       {Shape{2, 3, 1, 1}, Shape{1, 3, 1, 1}, Shape{3, 1, 1}, Shape{7}, Shape{}, Shape{2, 1, 5, 7}}) {
    const auto layouts = layouts_of({channels_last(kF, shape), plain(kF, other)}, shape);
    EXPECT_EQ(layouts.inputs[1], plain(kF, other)) << to_string(other);
  }
}

TEST(ElementwiseLayouts, TurnOperandsAgainstTheOrder) {
  const Shape shape{2, 3, 5, 7};
  const auto layouts = layouts_of({channels_last(kF, shape), plain(kF, {1, 3, 5, 7}), plain(kF, {3, 5, 7})}, shape);
  EXPECT_TRUE(compute::is_channels_last(layouts.inputs[1]));
  EXPECT_EQ(layouts.inputs[2].strides, (std::vector<int64_t>{1, 21, 3}));
}

TEST(ElementwiseLayouts, ReadGapsAndRepetitionsWhereTheyAre) {
  const Shape shape{2, 3, 5, 7};
  TensorDesc slice = channels_last(kF, {2, 8, 5, 7});  // three channels of eight
  slice.dims[1] = 3;
  const auto alone = layouts_of({slice}, shape);
  EXPECT_EQ(alone.inputs[0], slice);
  EXPECT_EQ(alone.outputs[0], channels_last(kF, shape));
  const TensorDesc repeated{kF, shape, {0, 1, 0, 0}};
  const auto both = layouts_of({repeated, slice, plain(kF, shape)}, shape);
  EXPECT_EQ(both.inputs[0], repeated);
  EXPECT_EQ(both.inputs[1].strides, plain(kF, shape).strides);  // the dense input leads
  EXPECT_EQ(both.outputs[0], plain(kF, shape));
  EXPECT_EQ(layouts_of({repeated}, shape).outputs[0], plain(kF, shape));
  const TensorDesc reversed{kF, {4}, {-1}};
  EXPECT_EQ(layouts_of({reversed}, {4}).inputs[0], plain(kF, {4}));
}

TEST(ElementwiseLayouts, AreRowMajorWhereNoInputHasTheOutputsShape) {
  const auto layouts = layouts_of({plain(kF, {3, 1}), TensorDesc{}, plain(kF, {4})}, {3, 4});
  EXPECT_EQ(layouts.outputs[0], plain(kF, {3, 4}));
  EXPECT_FALSE(layouts.inputs[1].present());
}

}  // namespace
}  // namespace pli::test
