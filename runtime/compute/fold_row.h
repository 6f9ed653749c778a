#pragma once

#include "runtime/compute/lanes.h"

#include <array>
#include <cstdint>

namespace pli::compute {

/// The elements of a contiguous row of floats as one: each mapped, all joined, in 32 chains. For bodies of simd<>.
template <class Operation>
[[gnu::always_inline]] inline float fold_row(Operation op, const float* in, int64_t count) {
  constexpr int kChains = 4;
  Lanes chains[kChains];
#pragma GCC unroll 4
  for (int k = 0; k < kChains; ++k) chains[k] = Lanes{} + static_cast<float>(Operation::kIdentity);
  int64_t i = 0;
  for (; i + kChains * kLanes <= count; i += kChains * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < kChains; ++k) {
      Lanes value;
      load(value, in + i + k * kLanes);
      op.map(value);
      op.join(chains[k], value);
    }
  }
  for (; i + kLanes <= count; i += kLanes) {
    Lanes value;
    load(value, in + i);
    op.map(value);
    op.join(chains[0], value);
  }
  op.join(chains[0], chains[1]);
  op.join(chains[2], chains[3]);
  op.join(chains[0], chains[2]);
  float parts[kLanes];
  store(parts, chains[0]);
#pragma GCC unroll 3
  for (int64_t step = kLanes / 2; step > 0; step /= 2)
    for (int64_t lane = 0; lane < step; ++lane) op.join(parts[lane], parts[lane + step]);
  float total = parts[0];
  for (; i < count; ++i) {
    float value = in[i];
    op.map(value);
    op.join(total, value);
  }
  return total;
}

}  // namespace pli::compute
