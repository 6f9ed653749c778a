#pragma once

#include "runtime/compute/simd.h"

#include <cstdint>
#include <cstring>

namespace pli::compute {

/// Eight floats, for loops whose accumulators have to stay in registers: where the compiler would have to find the
/// vectors by itself it spills them. Passed by reference only: how they are passed by value differs between
/// instruction sets.
using Lanes = float __attribute__((vector_size(32)));
inline constexpr int64_t kLanes = 8;

// For one float or for Lanes alike.

/// From and to anywhere in an array of floats.
template <class V>
[[gnu::always_inline]] inline void load(V& value, const float* from) {
  std::memcpy(&value, from, sizeof(V));
}
template <class V>
[[gnu::always_inline]] inline void store(float* to, const V& value) {
  std::memcpy(to, &value, sizeof(V));
}

/// The larger; NaN when one is NaN.
template <class V>
[[gnu::always_inline]] inline void maximize(V& most, const V& value) {
  const V larger = value > most ? value : most;  // the second where one is NaN, as the processor's instruction does
  most = value != value ? value : larger;
}

/// The smaller; NaN when one is NaN.
template <class V>
[[gnu::always_inline]] inline void minimize(V& least, const V& value) {
  const V smaller = value < least ? value : least;
  least = value != value ? value : smaller;
}

}  // namespace pli::compute
