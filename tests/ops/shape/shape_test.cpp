#include "runtime/ops/shape/shape.h"

#include "tests/ops/movement_case.h"

#include <limits>

namespace pli::test {
namespace {

using ir::Dims;
using Integers = std::vector<int64_t>;

TEST(Shape, TakesTheDimensionsAskedFor) {
  const Tensor input = random_tensor({2, 3, 4}, 1);
  EXPECT_EQ(to_int64s(run({"Shape", 1, {input}}).at(0)), (Integers{2, 3, 4}));
  EXPECT_EQ(to_int64s(run({"Shape", 15, {input}, {attribute("start", -2)}}).at(0)), (Integers{3, 4}));
  EXPECT_EQ(to_int64s(run({"Shape", 15, {input}, {attribute("start", 1), attribute("end", -1)}}).at(0)), (Integers{3}));
  EXPECT_EQ(to_int64s(run({"Shape", 19, {input}, {attribute("start", -9), attribute("end", 9)}}).at(0)),
            (Integers{2, 3, 4}));
  EXPECT_EQ(to_int64s(run({"Shape", 15, {input}, {attribute("start", 2), attribute("end", 1)}}).at(0)), Integers{});
  EXPECT_EQ(to_int64s(run({"Shape", 13, {random_tensor({}, 1)}}).at(0)), Integers{});
  EXPECT_EQ(to_int64s(run_channels_last({"Shape", 13, {input}}).at(0)), (Integers{2, 3, 4}));
  EXPECT_EQ(infer("Shape", 15, {f32(Dims{"N"s, 3, {}})}, {attribute("start", 1)}).at(0), int64_type(Dims{2}));
  EXPECT_EQ(infer("Shape", 15, {f32(std::nullopt)}).at(0).rank(), 1);
  EXPECT_EQ(refusal({"Shape", 13, {}}), ErrorCode::kInvalidModel);
}

TEST(Size, CountsTheElements) {
  EXPECT_EQ(to_int64s(run({"Size", 13, {random_tensor({2, 3, 4}, 1)}}).at(0)), Integers{24});
  EXPECT_EQ(to_int64s(run({"Size", 1, {random_tensor({2, 0}, 1)}}).at(0)), Integers{0});
  EXPECT_EQ(infer("Size", 13, {f32(std::nullopt)}).at(0), int64_type(Dims{}));
}

TEST(Shape, IsKnownFromTheTypeAlone) {
  ir::Graph graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", 15}}));
  const auto input = graph.add_input("x", f32(Dims{"N"s, 3, 4}));
  const auto value = [&](const std::string& op_type, const std::vector<ir::Attribute>& attributes) {
    const auto id = graph.add_node({op_type, "", "", {input}, {{graph.unique_name("y"), {}, {}}}, attributes, {}});
    return ops::value_of_shape(graph, graph.node(id));
  };
  EXPECT_EQ(to_int64s(value("Shape", {attribute("start", 1)}).value()), (Integers{3, 4}));
  EXPECT_FALSE(value("Shape", {}));
  EXPECT_FALSE(value("Size", {}));
  EXPECT_FALSE(value("Relu", {}));
  graph.set_type(input, f32(Dims{2, 3, 4}));
  EXPECT_EQ(to_int64s(value("Size", {}).value()), Integers{24});
}

TEST(Constant, HasTheValueOfEveryForm) {
  const auto value = [](ir::AttributeValue held, const std::string& name) {
    return run({"Constant", 13, {}, {{name, std::move(held), {}}}}).at(0);
  };
  const Tensor matrix = random_tensor({2, 3}, 2);
  EXPECT_TRUE(identical(value(matrix, "value"), matrix));
  EXPECT_TRUE(identical(value(2.5f, "value_float"), tensor<float>({}, {2.5f})));
  EXPECT_TRUE(identical(value(int64_t{-7}, "value_int"), tensor<int64_t>({}, {-7})));
  EXPECT_TRUE(identical(value(std::vector<float>{1, 2}, "value_floats"), tensor<float>({2}, {1, 2})));
  EXPECT_TRUE(identical(value(Integers{3, 4}, "value_ints"), int64s({3, 4})));
  EXPECT_EQ(error_of([&] { value(std::string("text"), "value_string"); }).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of([&] { value(ir::Opaque{}, "sparse_value"); }).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal({"Constant", 13, {}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Constant", 13, {matrix}, {{"value", matrix, {}}}}), ErrorCode::kInvalidModel);
}

TEST(ConstantOfShape, FillsWithItsValue) {
  const auto fill = [](const Integers& shape, std::vector<ir::Attribute> attributes = {}) {
    return run({"ConstantOfShape", 9, {int64s(shape)}, std::move(attributes)}).at(0);
  };
  EXPECT_TRUE(identical(fill({2, 3}), Tensor(DataType::kFloat32, {2, 3})));
  EXPECT_TRUE(identical(fill({3}, {{"value", tensor<int64_t>({1}, {-9}), {}}}), int64s({-9, -9, -9})));
  EXPECT_TRUE(identical(fill({}, {{"value", tensor<bool>({1}, {true}), {}}}), tensor<bool>({}, {true})));
  EXPECT_EQ(fill({2, 0, 3}).size(), 0u);
  EXPECT_EQ(infer("ConstantOfShape", 9, {int64_type(Dims{3})}).at(0).rank(), 3);
  EXPECT_FALSE(infer("ConstantOfShape", 9, {int64_type(Dims{"k"s})}).at(0).has_rank());
  EXPECT_EQ(error_of([&] { fill({2, -1}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { fill({int64_t{1} << 31, int64_t{1} << 31}); }).code(), ErrorCode::kResourceLimit);
  EXPECT_EQ(error_of([&] { fill({INT64_MAX, INT64_MAX}); }).code(), ErrorCode::kResourceLimit);
  EXPECT_EQ(error_of([&] { fill({0, INT64_MAX, INT64_MAX}); }).code(), ErrorCode::kResourceLimit);
  EXPECT_EQ(error_of([&] { fill({1}, {{"value", int64s({1, 2}), {}}}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { fill({1}, {attribute("value", 3)}); }).code(), ErrorCode::kInvalidModel);
}

template <class T>
Tensor range(T start, T limit, T delta) {
  return run({"Range", 11, {tensor<T>({}, {start}), tensor<T>({}, {limit}), tensor<T>({}, {delta})}}).at(0);
}

TEST(Range, CountsUpAndDown) {
  EXPECT_EQ(to_int64s(range<int64_t>(1, 10, 4)), (Integers{1, 5, 9}));
  EXPECT_EQ(to_int64s(range<int64_t>(1, 9, 4)), (Integers{1, 5}));
  EXPECT_EQ(to_int64s(range<int32_t>(3, -3, -2)), (Integers{3, 1, -1}));
  EXPECT_EQ(to_int64s(range<int16_t>(3, 3, 1)), Integers{});
  EXPECT_EQ(to_int64s(range<int64_t>(5, 3, 1)), Integers{});
  EXPECT_EQ(to_doubles(range<float>(1, 2, 0.25f)), (std::vector<double>{1, 1.25, 1.5, 1.75}));
  EXPECT_EQ(to_doubles(range<double>(0, -1, -0.4)).size(), 3u);
  EXPECT_EQ(to_int64s(range<int64_t>(INT64_MAX - 2, INT64_MAX, 1)), (Integers{INT64_MAX - 2, INT64_MAX - 1}));
  EXPECT_EQ(to_int64s(range<int64_t>(INT64_MAX, INT64_MIN, INT64_MIN)), (Integers{INT64_MAX, -1}));
  EXPECT_EQ(infer("Range", 11, {int64_type(Dims{}), int64_type(Dims{}), int64_type(Dims{})}).at(0).rank(), 1);
}

TEST(Range, RefusesWhatHasNoEnd) {
  EXPECT_EQ(error_of([] { range<int64_t>(0, 3, 0); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] { range<float>(0, std::numeric_limits<float>::quiet_NaN(), 1); }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] { range<float>(0, std::numeric_limits<float>::infinity(), 1); }).code(),
            ErrorCode::kResourceLimit);
  EXPECT_EQ(error_of([] { range<float>(0, 1, 1e-30f); }).code(), ErrorCode::kResourceLimit);
  EXPECT_EQ(error_of([] { range<int64_t>(INT64_MIN, INT64_MAX, 1); }).code(), ErrorCode::kResourceLimit);
  EXPECT_EQ(refusal({"Range", 11, {int64s({1}), tensor<float>({}, {2}), int64s({1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Range", 11, {int64s({1, 2}), int64s({3}), int64s({1})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Range", 11, {int64s({1}), int64s({3})}}), ErrorCode::kInvalidModel);
}

TEST(EyeLike, HasOnesOnItsDiagonal) {
  const Tensor input = random_tensor({3, 5}, 3);
  for (const int64_t k : {int64_t{0}, int64_t{2}, int64_t{-1}, int64_t{7}, INT64_MIN, INT64_MAX})
    expect_output({"EyeLike", 9, {input}, {attribute("k", k)}}, {3, 5},
                  [&](const Shape& i) { return k > -9 && k < 9 && i[1] == i[0] + k ? 1.0 : 0.0; });
  EXPECT_EQ(run({"EyeLike", 9, {input}, {attribute("dtype", 10)}}).at(0).data<Float16>()[6].bits, 0x3c00);
  EXPECT_EQ(run({"EyeLike", 9, {input}, {attribute("dtype", 7)}}).at(0).data<int64_t>()[6], 1);
  EXPECT_EQ(infer("EyeLike", 9, {f32(Dims{"N"s, 4})}).at(0).dims, (Dims{"N"s, 4}));
  EXPECT_EQ(refusal({"EyeLike", 9, {random_tensor({3}, 1)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"EyeLike", 9, {input}, {attribute("dtype", 99)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"EyeLike", 9, {input}, {attribute("dtype", 8)}}), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::test
