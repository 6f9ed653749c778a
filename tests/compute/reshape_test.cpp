#include "runtime/compute/reshape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace pli::compute {
namespace {

/// The place of the element with row-major number `flat`.
int64_t place_of(const TensorDesc& desc, int64_t flat) {
  int64_t place = 0;
  for (size_t i = desc.dims.size(); i-- > 0;) {
    place += flat % desc.dims[i] * desc.strides[i];
    flat /= desc.dims[i];
  }
  return place;
}

/// The primes below as factors, grouped at random: two calls make shapes of the same product.
Shape random_grouping(std::mt19937& rng) {
  std::vector<int64_t> factors{2, 3, 2, 5, 2, 3};
  std::ranges::shuffle(factors, rng);
  Shape dims(1 + rng() % 6, 1);
  for (const int64_t factor : factors) dims[rng() % dims.size()] *= factor;
  return dims;
}

TensorDesc random_desc(std::mt19937& rng, Shape dims) {
  std::vector<size_t> order(dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (rng() % 3 != 0) std::ranges::shuffle(order, rng);
  TensorDesc desc{DataType::kFloat32, dims, std::vector<int64_t>(dims.size())};
  int64_t stride = 1;
  for (const size_t axis : order) {
    desc.strides[axis] = stride;
    stride *= dims[axis] + (rng() % 6 == 0 ? 1 : 0);
  }
  return desc;
}

TEST(ReshapeStrides, SaysTheSamePlacesWhereverItSaysAnything) {
  std::mt19937 rng(23);
  int views = 0;
  for (int round = 0; round < 2000; ++round) {
    const TensorDesc from = random_desc(rng, random_grouping(rng));
    const Shape dims = random_grouping(rng);
    const auto strides = reshape_strides(from, dims);
    if (!strides) continue;
    ++views;
    const TensorDesc to{from.dtype, dims, *strides};
    for (int64_t flat = 0; flat < from.size(); ++flat) ASSERT_EQ(place_of(from, flat), place_of(to, flat));
  }
  EXPECT_GT(views, 200);
  EXPECT_LT(views, 1800);
}

TEST(ReshapeStrides, FindsTheViewsThatMatter) {
  const TensorDesc image = channels_last(DataType::kFloat32, {2, 6, 4, 5});
  using Strides = std::vector<int64_t>;
  EXPECT_EQ(reshape_strides(image, Shape{2, 3, 2, 4, 5}), (Strides{120, 2, 1, 30, 6}));  // channels split into groups
  EXPECT_EQ(reshape_strides(image, Shape{2, 6, 20}), (Strides{120, 1, 6}));              // pixels joined
  EXPECT_EQ(reshape_strides(image, Shape{2, 120}), std::nullopt);
  EXPECT_EQ(reshape_strides(plain(DataType::kFloat32, {2, 6, 4, 5}), Shape{24, 10}), (Strides{10, 1}));
  const TensorDesc pooled = channels_last(DataType::kFloat32, {2, 6, 1, 1});
  EXPECT_EQ(reshape_strides(pooled, Shape{2, 6}), (Strides{6, 1}));
  EXPECT_EQ(reshape_strides(plain(DataType::kFloat32, {1, 1}), Shape{}), Strides{});
  EXPECT_TRUE(reshape_strides(plain(DataType::kFloat32, {}), Shape{1, 1}));
  EXPECT_TRUE(reshape_strides(channels_last(DataType::kFloat32, {2, 0, 3}), Shape{0, 7}));
}

TEST(ReshapeCopy, AgreesWithRowMajorOrderOnRandomShapesAndLayouts) {
  std::mt19937 rng(24);
  int two_steps = 0;
  for (int round = 0; round < 1000; ++round) {
    const TensorDesc from = random_desc(rng, random_grouping(rng));
    const TensorDesc to = random_desc(rng, random_grouping(rng));
    std::vector<float> source(static_cast<size_t>(span_bytes(from)) / 4);
    std::iota(source.begin(), source.end(), 1.0f);
    std::vector<float> result(static_cast<size_t>(span_bytes(to)) / 4);
    const auto kernel = make_reshape_copy(from, to);
    std::vector<std::byte> scratch(kernel->scratch_bytes());
    two_steps += scratch.empty() ? 0 : 1;
    const void* in = source.data();
    void* out = result.data();
    kernel->run({{&in, 1}, {&out, 1}, scratch.data()});
    for (int64_t flat = 0; flat < from.size(); ++flat)
      ASSERT_EQ(source[static_cast<size_t>(place_of(from, flat))], result[static_cast<size_t>(place_of(to, flat))])
          << to_string(from.dims) << to_string(from.strides) << " to " << to_string(to.dims) << to_string(to.strides);
  }
  EXPECT_GT(two_steps, 50);
  EXPECT_LT(two_steps, 950);
}

TEST(ReshapeCopy, ShufflesChannelsInOnePass) {
  // [1, 6, 4, 5] -> [1, 2, 3, 4, 5] -> transposed to [1, 3, 2, 4, 5] -> [1, 6, 4, 5], channels innermost throughout.
  const TensorDesc shuffled{DataType::kFloat32, {1, 3, 2, 4, 5}, {120, 1, 3, 30, 6}};
  EXPECT_EQ(make_reshape_copy(shuffled, channels_last(DataType::kFloat32, {1, 6, 4, 5}))->scratch_bytes(), 0u);
}

TEST(ReshapeCopy, RefusesAnotherNumberOfElements) {
  EXPECT_THROW(make_reshape_copy(plain(DataType::kFloat32, {2, 3}), plain(DataType::kFloat32, {7})), Error);
}

}  // namespace
}  // namespace pli::compute
