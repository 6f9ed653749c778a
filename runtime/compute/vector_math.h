#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

/// Elementary functions for loops: without branches or table look-ups, so that a loop over them vectorises. For float
/// they stay within 3 units in the last place, fast_gelu of its argument (the polynomials are minimax fits of our own);
/// for double they are the standard library's. NaN gives NaN, infinities their limits. A loop that calls them belongs
/// in a body of simd<>.
namespace pli::compute {

#define PLI_VECTOR_MATH [[gnu::always_inline]] inline

namespace detail {

/// Defined elsewhere so that the compiler does not know the numbers: around a bound that it knows it makes paths of
/// their own, several instructions instead of one.
struct Bounds {
  float low, high;
};
extern const Bounds kExpBounds, kNormalExpBounds, kExpm1Bounds;
extern const float kMostTanh, kMostErf, kMostGelu;

/// x between the bounds; NaN where it is NaN.
PLI_VECTOR_MATH float at_most(float x, float high) { return x > high ? high : x; }
PLI_VECTOR_MATH float between(float x, const Bounds& bounds) {
  const float most = at_most(x, bounds.high);
  return most < bounds.low ? bounds.low : most;
}

/// exp(x) = 2^n (1 + q) with n a whole number and q in [-0.293, 0.415]. For |x| below 2^21; NaN goes to q.
struct Exponential {
  int32_t n;
  float q;
};
PLI_VECTOR_MATH Exponential reduce_exp(float x) {
  constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, in the low bits
  const float shifted = x * 1.44269504f + kToInteger;
  const float n = shifted - kToInteger;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln 2 in two parts, the first exact in 9 bits
  float p = 1.388251083e-03f;
  p = p * r + 8.366547525e-03f;
  p = p * r + 4.166720062e-02f;
  p = p * r + 1.666654348e-01f;
  p = p * r + 4.999999702e-01f;
  return {static_cast<int32_t>(std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kToInteger)), r + r * r * p};
}

/// 2^n for n from -126 to 127; 0 for -127, and infinity for 128.
PLI_VECTOR_MATH float power_of_two(int32_t n) { return std::bit_cast<float>((static_cast<uint32_t>(n) + 127u) << 23); }

}  // namespace detail

PLI_VECTOR_MATH float fast_exp(float x) {
  const auto [n, q] = detail::reduce_exp(detail::between(x, detail::kExpBounds));
  const int32_t half = n >> 1;  // in two steps: 2^n alone may be too large, or no normal number
  return (1.0f + q) * detail::power_of_two(half) * detail::power_of_two(n - half);
}

/// exp(x) from -87.3 to 88.3; 0 below -87.7, infinite above 88.4, where exp(x) soon is no normal number either.
PLI_VECTOR_MATH float fast_normal_exp(float x) {
  const auto [n, q] = detail::reduce_exp(detail::between(x, detail::kNormalExpBounds));
  return (1.0f + q) * detail::power_of_two(n);
}

/// exp(x) - 1, exact near 0 as well. Infinite from x = 88.3 on.
PLI_VECTOR_MATH float fast_expm1(float x) {
  const auto [n, q] = detail::reduce_exp(detail::between(x, detail::kExpm1Bounds));
  const float scale = detail::power_of_two(n);
  const float result = scale * q + (scale - 1.0f);
  return x > detail::kExpm1Bounds.high ? std::numeric_limits<float>::infinity() : result;
}

PLI_VECTOR_MATH float fast_tanh(float x) {
  const float e = fast_expm1(detail::at_most(2.0f * std::abs(x), detail::kMostTanh));
  return std::copysign(e / (e + 2.0f), x);
}

/// 0 below -88.3, where the exact value is no normal number any more.
PLI_VECTOR_MATH float fast_sigmoid(float x) { return 1.0f / (1.0f + fast_normal_exp(-x)); }

PLI_VECTOR_MATH float fast_erf(float x) {
  const float a = detail::at_most(std::abs(x), detail::kMostErf);
  const float t = a * a;
  float small = 7.853854186e-05f;
  small = small * t + -8.010191377e-04f;
  small = small * t + 5.188327283e-03f;
  small = small * t + -2.685381100e-02f;
  small = small * t + 1.128358543e-01f;
  small = small * t + -3.761262596e-01f;
  small = small * t + 1.283791661e-01f;
  small = small * a + a;
  float p = -1.900323114e-04f;  // -log(1 - erf(a))
  p = p * a + 2.984611085e-03f;
  p = p * a + -2.199031599e-02f;
  p = p * a + 1.034339815e-01f;
  p = p * a + 6.377576590e-01f;
  p = p * a + 1.127328515e+00f;
  p = p * a + 2.810974838e-04f;
  const auto [n, q] = detail::reduce_exp(-p);
  const float scale = detail::power_of_two(n);
  const float large = (1.0f - scale) - scale * q;
  return std::copysign(a < 1.0f ? small : large, x);
}

/// x (1 + erf(x / sqrt 2)) / 2, to 1.5 units in the last place of x; below -7.5 a number that is nearly 0, and NaN for
/// -infinity, as by the formula.
PLI_VECTOR_MATH float fast_gelu(float x) {
  const float t = detail::at_most(std::abs(x), detail::kMostGelu);
  float p = -1.480797744e-09f;  // -log(1 - erf(t / sqrt 2)) / t
  p = p * t + 5.901483372e-08f;
  p = p * t + -1.027268889e-06f;
  p = p * t + 1.020741536e-05f;
  p = p * t + -6.228445248e-05f;
  p = p * t + 2.136729276e-04f;
  p = p * t + -2.439249568e-05f;
  p = p * t + -4.799759892e-03f;
  p = p * t + 3.634609036e-02f;
  p = p * t + 3.183070630e-01f;
  p = p * t + 7.978848280e-01f;
  const auto [n, q] = detail::reduce_exp(-p * t);
  const float rest = 0.5f * t * ((1.0f + q) * detail::power_of_two(n));
  return (x < 0.0f ? x * 0.0f : x) - rest;
}

PLI_VECTOR_MATH float fast_log(float x) {
  constexpr uint32_t kSqrtHalf = 0x3f3504f3;
  const bool tiny = x < std::numeric_limits<float>::min();
  const uint32_t bits = std::bit_cast<uint32_t>(tiny ? x * 8388608.0f : x) - kSqrtHalf;
  const float e = static_cast<float>((static_cast<int32_t>(bits) >> 23) - (tiny ? 23 : 0));
  const float f = std::bit_cast<float>((bits & 0x7fffffu) + kSqrtHalf) - 1.0f;  // x = 2^e (1 + f)
  float p = -7.634495944e-02f;
  p = p * f + 1.276157647e-01f;
  p = p * f + -1.316018254e-01f;
  p = p * f + 1.420175880e-01f;
  p = p * f + -1.662335694e-01f;
  p = p * f + 2.000122666e-01f;
  p = p * f + -2.500081956e-01f;
  p = p * f + 3.333333135e-01f;
  float result = f * f * f * p;
  result += e * -2.12194440e-4f;
  result -= 0.5f * (f * f);
  result = (result + f) + e * 0.693359375f;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float outside = x == 0.0f ? -kInfinity : std::numeric_limits<float>::quiet_NaN();
  return x > 0.0f ? (x < kInfinity ? result : x) : outside;
}

/// log(1 + x), exact near 0 as well. For x from 0 to 2^24.
PLI_VECTOR_MATH float fast_log1p(float x) {
  const float u = 1.0f + x;
  return fast_log(u) + (x - (u - 1.0f)) / u;
}

inline double fast_exp(double x) { return std::exp(x); }
inline double fast_expm1(double x) { return std::expm1(x); }
inline double fast_tanh(double x) { return std::tanh(x); }
inline double fast_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double fast_erf(double x) { return std::erf(x); }
inline double fast_gelu(double x) { return 0.5 * x * std::erfc(x * -0.70710678118654752440); }
inline double fast_log(double x) { return std::log(x); }
inline double fast_log1p(double x) { return std::log1p(x); }

#undef PLI_VECTOR_MATH

}  // namespace pli::compute
