#include "tools/support/verification/compare.h"

#include "runtime/core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pli::tools {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Tolerance kWide{.rtol = 1e9, .atol = 1e9};

template <class T>
Value tensor(Shape shape, std::initializer_list<T> values) {
  return Tensor::copy<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
}

Value floats(std::initializer_list<float> values) {
  return tensor<float>({static_cast<int64_t>(values.size())}, values);
}

bool equal(const Value& a, const Value& b, const Tolerance& tolerance = {}) {
  return compare(a, b, tolerance).difference.empty();
}

TEST(Compare, RelativeToleranceIsOfTheReference) {
  EXPECT_TRUE(equal(floats({110}), floats({100}), {.rtol = 0.1}));
  EXPECT_FALSE(equal(floats({110}), floats({100}), {.rtol = 0.095}));
  EXPECT_TRUE(equal(floats({100}), floats({110}), {.rtol = 0.095}));
  EXPECT_FALSE(equal(floats({0.001f}), floats({0}), {.rtol = 0.1}));
}

TEST(Compare, AbsoluteToleranceIsPlainOrOfTheRms) {
  EXPECT_TRUE(equal(floats({0.5f, 8}), floats({0, 8}), {.atol = 0.5}));
  EXPECT_FALSE(equal(floats({0.6f, 8}), floats({0, 8}), {.atol = 0.5}));
  // The RMS of {3, 4, 0, 0} is 2.5.
  EXPECT_TRUE(equal(floats({3, 4, 0.24f, 0}), floats({3, 4, 0, 0}), {.atol_rms = 0.1}));
  EXPECT_FALSE(equal(floats({3, 4, 0.26f, 0}), floats({3, 4, 0, 0}), {.atol_rms = 0.1}));
}

TEST(Compare, FiguresAreTheLargest) {
  const Comparison result = compare(floats({3, 4.5f, 0.25f, 0}), floats({3, 4, 0, 0}), {.atol = 1});
  EXPECT_TRUE(result.difference.empty());
  EXPECT_DOUBLE_EQ(result.max_abs, 0.5);
  EXPECT_DOUBLE_EQ(result.max_rel_rms, 0.2);
  EXPECT_TRUE(result.informative);
}

TEST(Compare, NanAndInfinitiesEqualOnlyThemselves) {
  EXPECT_TRUE(equal(floats({kNan, kInfinity, -kInfinity}), floats({kNan, kInfinity, -kInfinity})));
  EXPECT_FALSE(equal(floats({kNan}), floats({1}), kWide));
  EXPECT_FALSE(equal(floats({1}), floats({kNan}), kWide));
  EXPECT_FALSE(equal(floats({-kInfinity}), floats({kInfinity}), kWide));
  EXPECT_FALSE(equal(floats({kInfinity}), floats({1e30f}), kWide));
  EXPECT_FALSE(compare(floats({kNan, kInfinity}), floats({kNan, kInfinity}), {}).informative);
}

TEST(Compare, ADifferenceFromNothingIsInfinitelyLarge) {
  EXPECT_TRUE(std::isinf(compare(floats({1e-9f}), floats({0}), {.atol = 1}).max_rel_rms));
  EXPECT_EQ(compare(floats({0}), floats({0}), {}).max_rel_rms, 0);
}

TEST(Compare, SaysHowManyDifferAndWhereTheFirstIs) {
  const Value expected = tensor<float>({2, 3}, {0, 0, 0, 0, 0, 0});
  const Value actual = tensor<float>({2, 3}, {0, 0, 0, 0, 1, 2});
  const std::string text = compare(actual, expected, {}).difference;
  EXPECT_NE(text.find("2 of 6"), std::string::npos) << text;
  EXPECT_NE(text.find("[1, 1]"), std::string::npos) << text;
}

TEST(Compare, TypesAndShapesHaveToBeEqual) {
  EXPECT_FALSE(equal(tensor<float>({2}, {1, 2}), tensor<double>({2}, {1, 2}), kWide));
  EXPECT_FALSE(equal(tensor<float>({1, 2}, {1, 2}), tensor<float>({2}, {1, 2}), kWide));
  EXPECT_TRUE(equal(tensor<float>({0, 3}, {}), tensor<float>({0, 3}, {})));
  EXPECT_FALSE(equal(tensor<float>({0, 3}, {}), tensor<float>({3, 0}, {})));
}

TEST(Compare, HalvesAreComparedAsNumbers) {
  const Value a = from_doubles(DataType::kFloat16, {2}, std::vector<double>{1, -0.0});
  const Value b = from_doubles(DataType::kFloat16, {2}, std::vector<double>{1.001, 0.0});
  EXPECT_TRUE(equal(a, b, {.rtol = 1e-2}));
  EXPECT_FALSE(equal(a, b, {.rtol = 1e-4}));
}

TEST(Compare, BoolsAndStringsAreExactIntegersWithoutAnAtol) {
  constexpr Tolerance kRelative{.rtol = 1e9};
  EXPECT_TRUE(equal(tensor<int64_t>({2}, {1, 2}), tensor<int64_t>({2}, {1, 2})));
  EXPECT_FALSE(equal(tensor<int64_t>({2}, {1, 2}), tensor<int64_t>({2}, {1, 3}), kRelative));
  EXPECT_FALSE(equal(tensor<uint64_t>({1}, {UINT64_MAX}), tensor<uint64_t>({1}, {UINT64_MAX - 1}), kWide));
  EXPECT_FALSE(equal(tensor<bool>({1}, {true}), tensor<bool>({1}, {false}), kWide));
  EXPECT_FALSE(equal(tensor<std::string>({1}, {"a"}), tensor<std::string>({1}, {"b"}), kWide));
  EXPECT_TRUE(equal(tensor<std::string>({1}, {"a"}), tensor<std::string>({1}, {"a"})));
  EXPECT_EQ(compare(tensor<int32_t>({1, 2}, {1, 2}), tensor<int32_t>({1, 2}, {1, 3}), kRelative).difference,
            "2 at [0, 1] for 3");
}

TEST(Compare, IntegersAreWithinAnAtol) {
  const Value expected = tensor<uint8_t>({4}, {100, 100, 100, 100});
  EXPECT_TRUE(equal(tensor<uint8_t>({4}, {100, 101, 99, 100}), expected, {.atol = 1}));
  EXPECT_FALSE(equal(tensor<uint8_t>({4}, {100, 102, 99, 100}), expected, {.atol = 1}));
  EXPECT_TRUE(equal(tensor<uint8_t>({4}, {100, 101, 99, 100}), expected, {.atol_rms = 0.01}));
  EXPECT_FALSE(equal(tensor<uint8_t>({4}, {100, 101, 98, 100}), expected, {.rtol = 1, .atol_rms = 0.01}));
  constexpr int64_t kLarge = int64_t{1} << 60;  // a double does not tell it from the next
  EXPECT_FALSE(equal(tensor<int64_t>({1}, {kLarge + 1}), tensor<int64_t>({1}, {kLarge}), {.atol = 1e-7}));
}

TEST(Compare, SequencesAndOptionalsAreComparedInside) {
  const Value one = floats({1});
  const Value two = floats({2});
  const auto sequence = [](std::vector<Value> values) { return Value(std::move(values)); };
  const auto filled = [](const Value& value) { return Value(std::make_shared<const Value>(value)); };
  const Value empty(Value::Optional{});
  EXPECT_TRUE(equal(sequence({one, two}), sequence({one, two})));
  EXPECT_FALSE(equal(sequence({one, two}), sequence({one})));
  EXPECT_FALSE(equal(sequence({one}), one));
  EXPECT_NE(compare(sequence({one, one}), sequence({one, two}), {}).difference.find("element 1"), std::string::npos);
  EXPECT_TRUE(equal(filled(one), filled(one)));
  EXPECT_FALSE(equal(filled(one), filled(two)));
  EXPECT_TRUE(equal(empty, empty));
  EXPECT_FALSE(equal(empty, filled(one)));
  EXPECT_FALSE(equal(filled(one), empty));
  EXPECT_FALSE(equal(filled(one), one));
}

TEST(Compare, SingleElementsMayStrayWhileTheRestIsNear) {
  constexpr Tolerance kStraying{.atol = 1, .stray = 5};
  const auto with_first = [](float first) {
    Tensor tensor(DataType::kFloat32, {40});
    tensor.mutable_data<float>()[0] = first;
    return Value(std::move(tensor));
  };
  EXPECT_TRUE(equal(with_first(4.5f), with_first(0), kStraying));
  EXPECT_FALSE(equal(with_first(5.5f), with_first(0), kStraying)) << "too far";
  EXPECT_TRUE(equal(floats({1, -1, 1}), floats({0, 0, 0}), kStraying));
  const Comparison all = compare(floats({1.5f, -1.5f, 1.5f}), floats({0, 0, 0}), kStraying);
  EXPECT_NE(all.difference.find("root mean square is 1.5 where 1 is allowed"), std::string::npos) << all.difference;
  EXPECT_NEAR(all.max_of_allowed, 1.5, 1e-9);
}

}  // namespace
}  // namespace pli::tools
