#include "runtime/compute/finite.h"

#include "runtime/compute/parallel.h"
#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <limits>

namespace pli::compute {
namespace {

/// `count` ordinary numbers, the largest and the smallest among them, and `value` at `place`.
template <class T>
Tensor with_one(int64_t count, int64_t place, double value) {
  Tensor tensor(dtype_of<T>(), {count});
  const auto elements = tensor.mutable_data<T>();
  const double numbers[] = {1.5, -65504, 6e-8, 0, -0.0};
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = from_double<T>(numbers[i % 5]);
  if (place >= 0) elements[static_cast<size_t>(place)] = from_double<T>(value);
  return tensor;
}

template <class T>
void expect_found_anywhere() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const int64_t count : {1, 7, 64, 1000, 16384, 40000}) {
    EXPECT_TRUE(all_finite(with_one<T>(count, -1, 0))) << count;
    for (const int64_t place : {int64_t{0}, count / 2, count - 1})
      for (const double value : {kInfinity, -kInfinity, kNan, -kNan})
        EXPECT_FALSE(all_finite(with_one<T>(count, place, value))) << count << " " << place << " " << value;
  }
}

TEST(Finite, NanAndInfinityAreFoundAnywhere) {
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    const SimdLimit limit(level);
    expect_found_anywhere<float>();
    expect_found_anywhere<double>();
    expect_found_anywhere<Float16>();
    expect_found_anywhere<Bfloat16>();
  }
}

TEST(Finite, SeveralThreadsLook) {
  ThreadPool pool(3);
  const ThreadScope scope(&pool);
  constexpr int64_t kCount = 1'000'003;
  EXPECT_TRUE(all_finite(with_one<float>(kCount, -1, 0)));
  for (int64_t place = 0; place < kCount; place += 66'666)
    EXPECT_FALSE(all_finite(with_one<float>(kCount, place, std::numeric_limits<double>::infinity()))) << place;
  EXPECT_FALSE(all_finite(with_one<float>(kCount, kCount - 1, std::numeric_limits<double>::quiet_NaN())));
}

TEST(Finite, OtherTypesHaveNeither) {
  EXPECT_TRUE(all_finite(Tensor()));
  EXPECT_TRUE(all_finite(int64_tensor(std::vector{int64_t{-1}, std::numeric_limits<int64_t>::max()})));
  EXPECT_TRUE(all_finite(Tensor(DataType::kString, {2})));
}

}  // namespace
}  // namespace pli::compute
