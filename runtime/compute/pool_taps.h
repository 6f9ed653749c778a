#pragma once

#include "runtime/compute/pooling.h"

#include <algorithm>

namespace pli::compute {

/// The part of a window along one dimension that lies in the input: `count` positions from `first`, `dilation` apart.
struct PoolTaps {
  int64_t first = 0;
  int64_t count = 0;
  int64_t padded_count = 0;  // positions in the input or its padding
};

/// Taps of `axis` at offsets below `room`.
inline int64_t taps_below(const PoolAxis& axis, int64_t room) {
  const int64_t taps = axis.dilation == 1 ? room : (room + axis.dilation - 1) / axis.dilation;
  return std::clamp<int64_t>(taps, 0, axis.kernel);
}

inline PoolTaps taps_at(const PoolAxis& axis, int64_t output) {
  const int64_t start = output * axis.stride - axis.pad_begin;
  const int64_t before = start < 0 ? taps_below(axis, -start) : 0;
  const int64_t end = taps_below(axis, axis.input - start);
  return {start + before * axis.dilation, std::max<int64_t>(end - before, 0),
          taps_below(axis, axis.input + axis.pad_end - start)};
}

/// One row of the output of a channels-last pool: all columns at depth `od` and height `oh`, C floats each. `image` is
/// the input of one batch element. kMax and kAverage.
void pool_row_f32(const Pool& pool, int64_t channels, const float* image, int64_t od, int64_t oh, float* out);

}  // namespace pli::compute
