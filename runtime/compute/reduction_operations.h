#pragma once

#include "runtime/compute/lanes.h"
#include "runtime/compute/reduction.h"

#include <cstdint>
#include <limits>
#include <type_traits>

namespace pli::compute {

constexpr uint64_t wide(int64_t value) { return static_cast<uint64_t>(value); }
constexpr int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }

// What is done to an element (map) and between two (join); `V` is int64_t, uint64_t, float, double or Lanes. Integers
// wrap around.

struct Sum {
  static constexpr double kIdentity = 0;
  template <class V>
  [[gnu::always_inline]] static void map(V&) {}
  template <class V>
  [[gnu::always_inline]] static void join(V& total, const V& value) {
    if constexpr (std::is_same_v<V, int64_t>)
      total = wrap(wide(total) + wide(value));
    else
      total += value;
  }
};
struct SumOfMagnitudes : Sum {
  template <class V>
  [[gnu::always_inline]] static void map(V& value) {
    if constexpr (std::is_same_v<V, int64_t>)
      value = value < 0 ? wrap(-wide(value)) : value;
    else if constexpr (!std::is_same_v<V, uint64_t>)
      value = value < V{} ? -value : value;
  }
};
struct SumOfSquares : Sum {
  template <class V>
  [[gnu::always_inline]] static void map(V& value) {
    if constexpr (std::is_same_v<V, int64_t>)
      value = wrap(wide(value) * wide(value));
    else
      value = value * value;
  }
};
struct Product {
  static constexpr double kIdentity = 1;
  template <class V>
  [[gnu::always_inline]] static void map(V&) {}
  template <class V>
  [[gnu::always_inline]] static void join(V& total, const V& value) {
    if constexpr (std::is_same_v<V, int64_t>)
      total = wrap(wide(total) * wide(value));
    else
      total *= value;
  }
};
struct Max {
  static constexpr double kIdentity = -std::numeric_limits<double>::infinity();
  template <class V>
  [[gnu::always_inline]] static void map(V&) {}
  template <class V>
  [[gnu::always_inline]] static void join(V& most, const V& value) {
    maximize(most, value);
  }
};
struct Min {
  static constexpr double kIdentity = std::numeric_limits<double>::infinity();
  template <class V>
  [[gnu::always_inline]] static void map(V&) {}
  template <class V>
  [[gnu::always_inline]] static void join(V& least, const V& value) {
    minimize(least, value);
  }
};

/// Calls body(Sum{}), ... for the operation that joins the elements of a reduction.
template <class Body>
[[gnu::always_inline]] inline decltype(auto) with_operation(Reduction reduction, const Body& body) {
  switch (reduction) {
    case Reduction::kL1:
      return body(SumOfMagnitudes{});
    case Reduction::kL2:
    case Reduction::kSumSquare:
      return body(SumOfSquares{});
    case Reduction::kProd:
      return body(Product{});
    case Reduction::kMax:
      return body(Max{});
    case Reduction::kMin:
      return body(Min{});
    default:
      return body(Sum{});
  }
}

}  // namespace pli::compute
