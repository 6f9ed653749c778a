#include "runtime/compute/weight_cache.h"

#include "runtime/compute/onednn.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"

#include "tests/expect_error.h"

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
  EXPECT_EQ(blocked->get_data_handle(), weight.bytes().data()) << "packed where it is";
  for (const Tag tag : {Tag::OIhw8i8o, Tag::OIhw8o8i, Tag::ohwi, Tag::oihw, Tag::OIhw16i16o})
    EXPECT_EQ(numbers_in(*cache.get(weight, layout(Tag::oihw), layout(tag))),
              numbers_in(*other.get(kept, layout(Tag::oihw), layout(tag))));
  EXPECT_TRUE(has_numbers(kept));
}

/// What takes more memory when it is packed, or lies in an order that has no parts in common, goes to new memory; its
/// own is given back.
TEST(WeightCache, WhatDoesNotFitIsPackedElsewhere) {
  for (const Tag tag : {Tag::Ohwi64o, Tag::hwio}) {
    const Tensor weight = numbered(), kept = numbered();
    WeightCache cache, other;
    cache.release(weight);
    const auto packed = cache.get(weight, layout(Tag::oihw), layout(tag));
    EXPECT_NE(packed->get_data_handle(), weight.bytes().data());
    EXPECT_FALSE(has_numbers(weight));
    EXPECT_EQ(numbers_in(*packed), numbers_in(*other.get(kept, layout(Tag::oihw), layout(tag))));
  }
}

/// Numbers that are half in one layout and half in another are none.
TEST(WeightCache, AWeightWhosePackingFailedIsNotRead) {
  const Tensor weight = numbered();
  WeightCache cache;
  cache.release(weight);
  const memory::desc other_rank({kRows, kColumns, 15}, memory::data_type::f32, Tag::acb);  // which oneDNN refuses
  EXPECT_THROW((void)cache.get(weight, layout(Tag::oihw), other_rank), dnnl::error);
  EXPECT_TRUE(test::fails_with(ErrorCode::kInternal, "was lost",
                               [&] { (void)cache.get(weight, layout(Tag::oihw), layout(Tag::OIhw8i8o)); }));
  struct Form {
    Tensor numbers;
    int64_t bytes() const { return 0; }
  };
  EXPECT_TRUE(test::fails_with(ErrorCode::kInternal, "was lost", [&] {
    (void)cache.form_of<Form>(weight, "form", [](const Tensor& numbers) { return Form{numbers}; });
  }));
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

// --- packing in place ------------------------------------------------------------------------------------------------

struct InPlaceCase {
  memory::dims dims;
  Tag from, to;
  bool fits;
};

TEST(ReorderInPlace, GivesWhatACopyGives) {
  const InPlaceCase cases[] = {
      {{96, 80, 3, 5}, Tag::oihw, Tag::OIhw8i8o, true},
      {{96, 80, 3, 5}, Tag::oihw, Tag::OIhw16i16o, true},
      {{96, 83, 3, 5}, Tag::oihw, Tag::Ohwi16o, true},
      {{96, 83, 3, 5}, Tag::oihw, Tag::ohwi, true},
      {{96, 83, 3, 5}, Tag::ohwi, Tag::oihw, true},
      {{512, 1024, 1, 1}, Tag::oihw, Tag::OIhw8i8o, true},
      {{336, 208, 3, 3}, Tag::oihw, Tag::OIhw16i16o, true},
      {{16, 3, 7, 5}, Tag::oihw, Tag::Ohwi16o, true},
      {{16, 3, 7, 5}, Tag::oihw, Tag::hwio, true},  // one part is all of it
      {{48, 1, 1, 3, 5}, Tag::goihw, Tag::Goihw16g, true},
      {{32, 16, 24, 3, 3}, Tag::goihw, Tag::gOIhw8i8o, true},
      {{1600, 1616}, Tag::ab, Tag::AB16b16a, true},
      {{96, 83, 3, 5}, Tag::oihw, Tag::OIhw8i8o, false},  // channels are padded
      {{90, 80, 3, 5}, Tag::oihw, Tag::Ohwi16o, false},   // rows are padded
      {{90, 80, 3, 5}, Tag::oihw, Tag::ohwi, false},      // no whole blocks of rows
      {{96, 800, 3, 5}, Tag::oihw, Tag::hwio, false},     // rows are not outermost
      {{800, 960}, Tag::ab, Tag::ba, false},
      {{800, 960}, Tag::ba, Tag::ab, false},
      {{32, 40'000}, Tag::ab, Tag::AB16b16a, false},  // 16 rows are more than stay in a cache
      {{0, 80, 3, 5}, Tag::oihw, Tag::ohwi, false},
  };
  std::vector<std::byte> aside;
  bool is_broken = false;
  for (const int threads : {1, 3}) {
    const auto pool = std::make_shared<ThreadPool>(threads);
    const ThreadScope scope(pool.get());
    for (const InPlaceCase& c : cases) {
      const memory::desc from(c.dims, memory::data_type::f32, c.from), to(c.dims, memory::data_type::f32, c.to);
      std::vector<float> numbers(from.get_size() / sizeof(float));
      std::iota(numbers.begin(), numbers.end(), 1.0f);
      std::vector<float> wanted = numbers;
      if (c.fits) reorder(memory(from, cpu_engine(), numbers.data()), memory(to, cpu_engine(), wanted.data()));
      const bool done = reorder_in_place(reinterpret_cast<std::byte*>(numbers.data()), from, to, aside, is_broken);
      EXPECT_FALSE(is_broken);
      EXPECT_EQ(done, c.fits) << "case " << &c - cases;
      EXPECT_TRUE(numbers == wanted) << "case " << &c - cases << ", " << threads << " threads";
    }
  }
}

TEST(ReorderInPlace, TakesOnlyFloat32) {
  const memory::desc from({32, 16}, memory::data_type::f16, Tag::ab),
      to({32, 16}, memory::data_type::f16, Tag::AB16b16a);
  std::vector<std::byte> bytes(from.get_size(), std::byte{3});
  std::vector<std::byte> aside;
  bool is_broken = false;
  EXPECT_FALSE(reorder_in_place(bytes.data(), from, to, aside, is_broken));
}

}  // namespace
}  // namespace pli::compute
