#pragma once

#include <pli/error.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace pli {

/// a + b and a * b in 64 bits; nothing where they do not fit.
inline std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}
inline std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The number of elements of a shape; nothing where a dimension is negative or the product of those that are not 0 does
/// not fit, so that strides can be computed for whatever has a size.
inline std::optional<int64_t> checked_size(std::span<const int64_t> shape) {
  int64_t size = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim == 0)
      empty = true;
    else if (__builtin_mul_overflow(size, dim, &size))
      return std::nullopt;
  }
  return empty ? 0 : size;
}

/// A float as an integer: truncated, beyond the ends of the range the nearest, 0 for NaN.
template <class To, class From>
constexpr To saturate(From x) {
  // The largest integer may not be a From, the power of two behind it is.
  constexpr From kEnd = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);
  constexpr From kLow = static_cast<From>(std::numeric_limits<To>::lowest());
  if (x >= kEnd) return std::numeric_limits<To>::max();
  if (x > kLow) return static_cast<To>(x);
  return x <= kLow ? std::numeric_limits<To>::lowest() : To(0);
}

}  // namespace pli
