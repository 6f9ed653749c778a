#include "runtime/compute/interleave.h"

#include "runtime/compute/parallel.h"
#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <numeric>

namespace pli::compute {
namespace {

class Interleave : public testing::TestWithParam<SimdLevel> {
 protected:
  SimdLimit limit_{GetParam()};
};

/// Rows of `columns` elements, those of part i `columns` + i apart.
template <class T>
void expect_neighbours(DataType dtype, int64_t rows, int64_t columns, int64_t parts, int threads) {
  std::vector<TensorDesc> inputs;
  std::vector<std::vector<T>> memory;
  std::vector<const void*> in;
  for (int64_t i = 0; i < parts; ++i) {
    inputs.push_back({dtype, {rows, columns, 1}, {columns + i, 1, 1}});
    auto& numbers = memory.emplace_back(static_cast<size_t>(rows * (columns + i)));
    std::iota(numbers.begin(), numbers.end(), static_cast<T>(1000 * i));
    in.push_back(numbers.data());
  }
  ThreadPool pool(threads);
  const ThreadScope scope(&pool);
  const auto kernel = make_interleave(inputs, plain(dtype, {rows, columns, parts}), 2);
  ASSERT_TRUE(kernel);
  std::vector<T> result(static_cast<size_t>(rows * columns * parts));
  void* out[] = {result.data()};
  kernel->run({in, out});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t i = 0; i < parts; ++i)
        ASSERT_EQ(result[static_cast<size_t>((row * columns + column) * parts + i)],
                  memory[static_cast<size_t>(i)][static_cast<size_t>(row * (columns + i) + column)])
            << row << " " << column << " " << i;
}

TEST_P(Interleave, MakesNeighboursOfEqualPlaces) {
  for (const int64_t parts : {2, 3, 4})
    for (const int64_t columns : {2, 7, 16, 33, 58, 300})
      for (const int64_t rows : {1, 3, 400}) {
        expect_neighbours<uint32_t>(DataType::kFloat32, rows, columns, parts, 1);
        expect_neighbours<uint32_t>(DataType::kInt32, rows, columns, parts, 2);
        expect_neighbours<uint16_t>(DataType::kFloat16, rows, columns, parts, 2);
      }
}

INSTANTIATE_TEST_SUITE_P(Levels, Interleave, testing::ValuesIn(kSimdLevels), level_name);

TEST(Interleave, IsNotForOtherJoins) {
  const auto of = [](const TensorDesc& first, const TensorDesc& second, const TensorDesc& output, size_t axis) {
    const TensorDesc inputs[] = {first, second};
    return make_interleave(inputs, output, axis);
  };
  const TensorDesc part = plain(DataType::kFloat32, {4, 6, 1});
  EXPECT_TRUE(of(part, part, plain(DataType::kFloat32, {4, 6, 2}), 2));
  // More than one element, another axis, parts that are not rows, rows at unequal distances, elements of 8 bytes.
  EXPECT_FALSE(of(plain(DataType::kFloat32, {4, 6, 2}), part, plain(DataType::kFloat32, {4, 6, 3}), 2));
  EXPECT_FALSE(of(plain(DataType::kFloat32, {4, 1, 6}), plain(DataType::kFloat32, {4, 1, 6}),
                  plain(DataType::kFloat32, {4, 2, 6}), 1));
  EXPECT_FALSE(of({DataType::kFloat32, {4, 6, 1}, {1, 4, 1}}, part, plain(DataType::kFloat32, {4, 6, 2}), 2));
  const TensorDesc apart{DataType::kFloat32, {3, 4, 6, 1}, {40, 6, 1, 1}};
  EXPECT_FALSE(of(apart, apart, plain(DataType::kFloat32, {3, 4, 6, 2}), 3));
  const TensorDesc wide = plain(DataType::kInt64, {4, 6, 1});
  EXPECT_FALSE(of(wide, wide, plain(DataType::kInt64, {4, 6, 2}), 2));
  EXPECT_FALSE(of(plain(DataType::kFloat32, {0, 6, 1}), plain(DataType::kFloat32, {0, 6, 1}),
                  plain(DataType::kFloat32, {0, 6, 2}), 2));
}

TEST(PixelStep, IsTheDistanceOfPixels) {
  const auto step = [](const PerAxis& dims, const PerAxis& strides) {
    return pixel_step({DataType::kFloat32, dims, strides});
  };
  EXPECT_EQ(step({2, 3, 4, 5}, channels_last_strides(Shape{2, 3, 4, 5})), 3);
  EXPECT_EQ(step({2, 3, 4, 5}, channels_last_strides(Shape{2, 8, 4, 5})), 8);
  EXPECT_EQ(step({2, 3, 5}, channels_last_strides(Shape{2, 4, 5})), 4);
  EXPECT_EQ(step({1, 3, 1, 1}, {99, 1, 77, 55}), 3);  // one pixel
  EXPECT_EQ(step({2, 3, 1, 1}, {7, 1, 77, 55}), 7);
  EXPECT_EQ(step({2, 1, 4, 5}, plain_strides(Shape{2, 1, 4, 5})), 1);
  EXPECT_EQ(step({2, 3, 4, 5}, plain_strides(Shape{2, 3, 4, 5})), std::nullopt);
  EXPECT_EQ(step({2, 3, 4, 5}, {99, 1, 15, 3}), std::nullopt);  // images further apart
  EXPECT_EQ(step({2, 3, 4, 5}, {0, 1, 0, 0}), std::nullopt);    // one pixel, repeated
  EXPECT_EQ(step({2, 0, 4, 5}, channels_last_strides(Shape{2, 0, 4, 5})), std::nullopt);
  EXPECT_EQ(step({2, 3}, {3, 1}), std::nullopt);
}

}  // namespace
}  // namespace pli::compute
