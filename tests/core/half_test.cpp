#include "runtime/core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pli::test {

namespace {

/// The value of a small float format by its definition: a sign, `exponent_bits` and `mantissa_bits`.
double value_of(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(std::ldexp(1, mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

template <class Half>
void check_widening(int exponent_bits, int mantissa_bits) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<uint16_t>(bits)};
    const double wanted = value_of(half.bits, exponent_bits, mantissa_bits);
    const float found = to_float(half);
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(found)) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(found), wanted) << bits;
    ASSERT_EQ(std::signbit(found), std::signbit(wanted)) << bits;
  }
}

/// Every interval between two neighbours: its ends, its middle (a tie), and the doubles next to them. That is all there
/// is to rounding to the nearest.
template <class Half>
void check_rounding(int exponent_bits, int mantissa_bits, Half (*narrow)(double)) {
  const auto infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  const auto value = [&](int bits) { return value_of(static_cast<uint16_t>(bits), exponent_bits, mantissa_bits); };
  for (uint16_t low = 0; low < infinity; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const double a = value(low);
    // Infinity begins where the next value would be, were there one.
    const double b = high == infinity ? 2 * a - value(low - 1) : value(high);
    const double middle = (a + b) / 2;
    const uint16_t even = (low & 1) ? high : low;
    for (const bool negative : {false, true}) {
      const auto rounded = [&](double v) { return narrow(negative ? -v : v).bits; };
      const auto wanted = [&](uint16_t bits) { return static_cast<uint16_t>(negative ? bits | 0x8000 : bits); };
      ASSERT_EQ(rounded(a), wanted(low)) << low;
      ASSERT_EQ(rounded(std::nextafter(a, b)), wanted(low)) << low;
      ASSERT_EQ(rounded(std::nextafter(middle, a)), wanted(low)) << low;
      ASSERT_EQ(rounded(middle), wanted(even)) << low;
      ASSERT_EQ(rounded(std::nextafter(middle, b)), wanted(high)) << low;
      ASSERT_EQ(rounded(std::nextafter(b, a)), wanted(high)) << low;
    }
  }
  for (const double huge : {1e300, std::numeric_limits<double>::max(), double{INFINITY}}) {
    EXPECT_EQ(narrow(huge).bits, infinity);
    EXPECT_EQ(narrow(-huge).bits, infinity | 0x8000);
  }
  EXPECT_EQ(narrow(std::numeric_limits<double>::denorm_min()).bits, 0);
  EXPECT_EQ(narrow(-std::numeric_limits<double>::denorm_min()).bits, 0x8000);
  EXPECT_EQ(narrow(-0.0).bits, 0x8000);
  EXPECT_TRUE(std::isnan(to_float(narrow(NAN))));
  EXPECT_TRUE(std::isnan(to_float(narrow(-NAN))));
}

TEST(Float16Conversion, WidensExactly) { check_widening<Float16>(5, 10); }
TEST(Float16Conversion, RoundsToTheNearestEven) { check_rounding<Float16>(5, 10, to_float16); }
TEST(Bfloat16Conversion, WidensExactly) { check_widening<Bfloat16>(8, 7); }
TEST(Bfloat16Conversion, RoundsToTheNearestEven) { check_rounding<Bfloat16>(8, 7, to_bfloat16); }

}  // namespace

}  // namespace pli::test
