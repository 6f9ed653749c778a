#pragma once

#include "runtime/compute/simd.h"

#include <cstdint>

namespace pli::compute {

/// Eight floats, for loops whose accumulators have to stay in registers: where the compiler would have to find the
/// vectors by itself it spills them. Passed by reference only: how they are passed by value differs between the clones
/// of a function.
using Lanes = float __attribute__((vector_size(32)));
inline constexpr int64_t kLanes = 8;

/// Lanes anywhere in an array of floats.
using UnalignedLanes = float __attribute__((vector_size(32), aligned(4), may_alias));

inline const UnalignedLanes& lanes_at(const float* address) {
  return *reinterpret_cast<const UnalignedLanes*>(address);
}
inline UnalignedLanes& lanes_at(float* address) { return *reinterpret_cast<UnalignedLanes*>(address); }

// For one float or for Lanes alike.

/// The larger; NaN when one is NaN.
template <class V>
[[gnu::always_inline]] inline void maximize(V& most, const V& value) {
  most = ((value > most) | (value != value)) ? value : most;
}

/// The smaller; NaN when one is NaN.
template <class V>
[[gnu::always_inline]] inline void minimize(V& least, const V& value) {
  least = ((value < least) | (value != value)) ? value : least;
}

}  // namespace pli::compute
