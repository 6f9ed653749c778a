#include "runtime/compute/weight_cache.h"

#include "runtime/compute/onednn.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace pli::compute {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

constexpr int64_t kRows = 96, kColumns = 80;  // of filters of 3 x 5

/// Distinct numbers, as a loader makes tensors.
Tensor numbered() {
  const size_t size = kRows * kColumns * 15;
  Tensor tensor =
      Tensor::adopt(DataType::kFloat32, {kRows, kColumns, 3, 5}, allocate(size * sizeof(float)), size * sizeof(float));
  std::iota(tensor.mutable_data<float>().begin(), tensor.mutable_data<float>().end(), 1.0f);
  return tensor;
}

memory::desc layout(Tag tag) { return {{kRows, kColumns, 3, 5}, memory::data_type::f32, tag}; }

std::vector<float> numbers_in(const memory& weights) {
  const auto* data = static_cast<const float*>(weights.get_data_handle());
  return {data, data + kRows * kColumns * 15};
}

/// Whether the middle of the tensor still holds its numbers: that of memory which was given back does not.
bool has_numbers(const Tensor& tensor) { return tensor.data<float>()[tensor.size() / 2] != 0; }

TEST(WeightCache, WhatIsReleasedIsUnpackedForOtherLayouts) {
  const Tensor weight = numbered(), kept = numbered();
  WeightCache cache, other;
  cache.release(weight);
  const auto blocked = cache.get(weight, layout(Tag::oihw), layout(Tag::OIhw8i8o));
  EXPECT_FALSE(has_numbers(weight));
  for (const Tag tag : {Tag::OIhw8i8o, Tag::OIhw8o8i, Tag::ohwi, Tag::oihw, Tag::OIhw16i16o})
    EXPECT_EQ(numbers_in(*cache.get(weight, layout(Tag::oihw), layout(tag))),
              numbers_in(*other.get(kept, layout(Tag::oihw), layout(tag))));
  EXPECT_TRUE(has_numbers(kept));
}

/// Where the last kernel is gone, its packed weights are what is left of the numbers.
TEST(WeightCache, WhatIsReleasedStaysWithoutKernels) {
  const Tensor weight = numbered();
  WeightCache cache;
  cache.release(weight);
  const auto bytes = static_cast<int64_t>(weight.bytes().size());
  const std::vector<float> packed = numbers_in(*cache.get(weight, layout(Tag::oihw), layout(Tag::OIhw8i8o)));
  EXPECT_EQ(cache.bytes(), bytes);
  EXPECT_EQ(numbers_in(*cache.get(weight, layout(Tag::oihw), layout(Tag::OIhw8i8o))), packed);
}

TEST(WeightCache, MemoryThatAKernelReadsIsNotGivenBack) {
  const Tensor weight = numbered();
  WeightCache cache;
  cache.release(weight);
  const auto plain = cache.get(weight, layout(Tag::oihw), layout(Tag::oihw));
  EXPECT_EQ(plain->get_data_handle(), weight.bytes().data());
  const auto blocked = cache.get(weight, layout(Tag::oihw), layout(Tag::OIhw8i8o));
  EXPECT_EQ(numbers_in(*plain).back(), kRows * kColumns * 15);
  EXPECT_EQ(cache.bytes(), static_cast<int64_t>(weight.bytes().size()));
}

/// A half is packed as float32, in any layout.
TEST(WeightCache, HalvesAreReleasedAsWell) {
  Tensor weight(DataType::kFloat16, {kRows, kColumns, 3, 5});
  const auto to = weight.mutable_data<Float16>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = to_float16(static_cast<float>(1 + i % 2048));
  WeightCache cache;
  cache.release(weight);
  const auto plain = cache.get(weight, layout(Tag::oihw), layout(Tag::oihw));
  EXPECT_EQ(to[to.size() / 2].bits, 0);
  EXPECT_EQ(numbers_in(*plain)[5000], 1 + 5000 % 2048);
  EXPECT_EQ(numbers_in(*cache.get(weight, layout(Tag::oihw), layout(Tag::ohwi)))[0], 1);
}

}  // namespace
}  // namespace pli::compute
