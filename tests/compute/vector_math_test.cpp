#include "runtime/compute/vector_math.h"

#include "runtime/compute/simd.h"
#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <vector>

namespace pli::compute {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// As the operators run it: vectorised in an optimized build.
template <float (*kFunction)(float)>
[[gnu::always_inline]] inline void loop(const float* x, float* y, size_t count) {
#pragma omp simd
  for (size_t i = 0; i < count; ++i) y[i] = kFunction(x[i]);
}

[[gnu::always_inline]] inline float exp_of(float x) { return fast_exp(x); }
[[gnu::always_inline]] inline float normal_exp_of(float x) { return fast_normal_exp(x); }
[[gnu::always_inline]] inline float expm1_of(float x) { return fast_expm1(x); }
[[gnu::always_inline]] inline float tanh_of(float x) { return fast_tanh(x); }
[[gnu::always_inline]] inline float sigmoid_of(float x) { return fast_sigmoid(x); }
[[gnu::always_inline]] inline float erf_of(float x) { return fast_erf(x); }
[[gnu::always_inline]] inline float log_of(float x) { return fast_log(x); }
[[gnu::always_inline]] inline float log1p_of(float x) { return fast_log1p(x); }
[[gnu::always_inline]] inline float gelu_of(float x) { return fast_gelu(x); }
double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// The largest error in units in the last place over floats of every magnitude in [low, high].
template <float (*kFunction)(float)>
double worst_error(double (*exact)(double), float low, float high) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 5003) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (value >= low && value <= high) x.push_back(value);
  }
  EXPECT_GT(x.size(), 100000u);
  std::vector<float> y(x.size());
  simd<loop<kFunction>>(x.data(), y.data(), x.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = exact(x[i]);
    const auto rounded = static_cast<float>(expected);
    if (std::isinf(rounded)) {
      EXPECT_EQ(y[i], rounded) << "at " << x[i];
      continue;
    }
    const double unit = std::ldexp(1.0, rounded == 0 ? -149 : std::max(std::ilogb(rounded), -126) - 23);
    const double error = std::abs(y[i] - expected) / unit;
    EXPECT_FALSE(std::isnan(error)) << "at " << x[i];
    worst = std::max(worst, error);
  }
  return worst;
}

TEST(VectorMath, StaysWithinThreeUnitsInTheLastPlaceAtEverySimdLevel) {
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    const SimdLimit limit(level);
    EXPECT_LE(worst_error<exp_of>(std::exp, -kInfinity, kInfinity), 3);
    EXPECT_LE(worst_error<normal_exp_of>(std::exp, -87.3f, 88.3f), 3);
    EXPECT_LE(worst_error<expm1_of>(std::expm1, -kInfinity, 88.3f), 3);
    EXPECT_LE(worst_error<tanh_of>(std::tanh, -kInfinity, kInfinity), 3);
    EXPECT_LE(worst_error<sigmoid_of>(exact_sigmoid, -87, kInfinity), 3);
    EXPECT_LE(worst_error<erf_of>(std::erf, -kInfinity, kInfinity), 3);
    EXPECT_LE(worst_error<log_of>(std::log, 0, kInfinity), 3);
    EXPECT_LE(worst_error<log1p_of>(std::log1p, 0, 16777216), 3);
  }
}

TEST(VectorMath, GeluIsRightToTheLastPlacesOfItsArgument) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 5003)
    if (const float value = std::bit_cast<float>(static_cast<uint32_t>(bits)); std::isfinite(value)) x.push_back(value);
  std::vector<float> y(x.size());
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    const SimdLimit limit(level);
    simd<loop<gelu_of>>(x.data(), y.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = 0.5 * double{x[i]} * std::erfc(double{x[i]} * -std::sqrt(0.5));
      ASSERT_LE(std::abs(double{y[i]} - exact), 9e-8 * std::abs(double{x[i]}) + 1e-45) << "at " << x[i];
    }
  }
  EXPECT_EQ(fast_gelu(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(fast_gelu(-kInfinity)));
  EXPECT_TRUE(std::signbit(fast_gelu(-0.0f)));
  EXPECT_NEAR(fast_gelu(-100.0f), 0, 1e-12);
}

TEST(VectorMath, KeepsNaN) {
  for (const auto function : {exp_of, normal_exp_of, expm1_of, tanh_of, sigmoid_of, erf_of, log_of, log1p_of, gelu_of})
    EXPECT_TRUE(std::isnan(function(kNaN)));
}

TEST(VectorMath, GoesToTheLimits) {
  EXPECT_EQ(exp_of(kInfinity), kInfinity);
  EXPECT_EQ(exp_of(-kInfinity), 0.0f);
  EXPECT_EQ(exp_of(0), 1.0f);
  EXPECT_EQ(normal_exp_of(kInfinity), kInfinity);
  EXPECT_EQ(normal_exp_of(89), kInfinity);
  EXPECT_EQ(normal_exp_of(-90), 0.0f);
  EXPECT_EQ(normal_exp_of(-kInfinity), 0.0f);
  EXPECT_EQ(expm1_of(kInfinity), kInfinity);
  EXPECT_EQ(expm1_of(-kInfinity), -1.0f);
  EXPECT_EQ(tanh_of(kInfinity), 1.0f);
  EXPECT_EQ(tanh_of(-kInfinity), -1.0f);
  EXPECT_EQ(sigmoid_of(kInfinity), 1.0f);
  EXPECT_EQ(sigmoid_of(-kInfinity), 0.0f);
  EXPECT_LE(sigmoid_of(-90), 1e-38f);
  EXPECT_EQ(erf_of(kInfinity), 1.0f);
  EXPECT_EQ(erf_of(-kInfinity), -1.0f);
  EXPECT_EQ(log_of(kInfinity), kInfinity);
  EXPECT_EQ(log_of(0), -kInfinity);
  EXPECT_EQ(log_of(-0.0f), -kInfinity);
  EXPECT_TRUE(std::isnan(log_of(-1e-40f)));
  EXPECT_TRUE(std::isnan(log_of(-kInfinity)));
  EXPECT_TRUE(std::signbit(tanh_of(-0.0f)));
  EXPECT_TRUE(std::signbit(erf_of(-0.0f)));
}

}  // namespace
}  // namespace pli::compute
