#include "runtime/compute/pool_taps.h"
#include "runtime/compute/register_tile.h"

#include <limits>

namespace pli::compute {

namespace {

struct Max {
  static constexpr float kIdentity = -std::numeric_limits<float>::infinity();
  static constexpr bool kIsSum = false;
  template <class V>
  [[gnu::always_inline]] static void join(V& most, const V& value) {
    maximize(most, value);
  }
};

struct Add {
  static constexpr float kIdentity = 0;
  static constexpr bool kIsSum = true;
  template <class V>
  [[gnu::always_inline]] static void join(V& total, const V& value) {
    total += value;
  }
};

/// The positions that a window covers: counts and distances in elements, and the address of the first.
struct Grid {
  const float* first = nullptr;
  std::array<int64_t, 3> counts{};
  std::array<int64_t, 3> steps{};
};

/// N vectors of channels, one after the other: all positions joined and divided. kSide: the window is flat, with so
/// many positions along both sides, so that loops are unrolled; 0: any.
template <class V, int N, int kSide, class Operation>
[[gnu::always_inline]] inline void pool_channels(Operation op, const Grid& grid, int64_t channel, float divisor,
                                                 float* out) {
  const int64_t planes = kSide > 0 ? 1 : grid.counts[0], lines = kSide > 0 ? kSide : grid.counts[1];
  const int64_t columns = kSide > 0 ? kSide : grid.counts[2];
  V total[N];
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) total[k] = V{} + Operation::kIdentity;
  for (int64_t d = 0; d < planes; ++d) {
#pragma GCC unroll 4
    for (int64_t h = 0; h < lines; ++h) {
      const float* from = grid.first + channel + d * grid.steps[0] + h * grid.steps[1];
      V row[N];
#pragma GCC unroll 4
      for (int k = 0; k < N; ++k) row[k] = V{} + Operation::kIdentity;
#pragma GCC unroll 4
      for (int64_t w = 0; w < columns; ++w, from += grid.steps[2]) {
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) {
          V value;
          load(value, from + k * kWidth<V>);
          op.join(Operation::kIsSum ? row[k] : total[k], value);
        }
      }
      if constexpr (Operation::kIsSum) {  // a row's is of its own, so that sums over many positions stay exact
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) op.join(total[k], row[k]);
      }
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) {
    if constexpr (Operation::kIsSum) total[k] /= divisor;
    store(out + channel + k * kWidth<V>, total[k]);
  }
}

template <int kSide, class Operation>
[[gnu::always_inline]] inline void pool_pixel(Operation op, const Grid& grid, int64_t channels, float divisor,
                                              float* out) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes) pool_channels<Lanes, 4, kSide>(op, grid, c, divisor, out);
  for (; c + kLanes <= channels; c += kLanes) pool_channels<Lanes, 1, kSide>(op, grid, c, divisor, out);
  for (; c < channels; ++c) pool_channels<float, 1, kSide>(op, grid, c, divisor, out);
}

template <class Operation>
[[gnu::always_inline]] inline void pool_row(Operation op, const Pool& pool, int64_t channels, const float* image,
                                            int64_t od, int64_t oh, float* out) {
  const auto& [depth, height, width] = pool.axes;
  const PoolTaps deep = taps_at(depth, od);
  const PoolTaps high = taps_at(height, oh);
  const int64_t row = width.input * channels;
  const int64_t plane = height.input * row;
  const int64_t start = deep.first * plane + high.first * row;
  for (int64_t ow = 0; ow < width.output; ++ow, out += channels) {
    const PoolTaps wide = taps_at(width, ow);
    const Grid grid{image + start + wide.first * channels,
                    {deep.count, high.count, wide.count},
                    {depth.dilation * plane, height.dilation * row, width.dilation * channels}};
    float divisor = 1;
    if (pool.kind == Pool::Kind::kAverage) {
      const auto counted =
          pool.count_include_pad
              ? static_cast<float>(deep.padded_count) * static_cast<float>(high.padded_count) *
                    static_cast<float>(wide.padded_count)
              : static_cast<float>(deep.count) * static_cast<float>(high.count) * static_cast<float>(wide.count);
      divisor = std::max(counted, 1.0F);
    }
    const auto is_square = [&](int64_t side) { return grid.counts == std::array<int64_t, 3>{1, side, side}; };
    if (is_square(3))
      pool_pixel<3>(op, grid, channels, divisor, out);
    else if (is_square(2))
      pool_pixel<2>(op, grid, channels, divisor, out);
    else
      pool_pixel<0>(op, grid, channels, divisor, out);
  }
}

[[gnu::always_inline]] inline void pool_row_by_kind(const Pool& pool, int64_t channels, const float* image, int64_t od,
                                                    int64_t oh, float* out) {
  if (pool.kind == Pool::Kind::kMax)
    pool_row(Max{}, pool, channels, image, od, oh, out);
  else
    pool_row(Add{}, pool, channels, image, od, oh, out);
}

}  // namespace

void pool_row_f32(const Pool& pool, int64_t channels, const float* image, int64_t od, int64_t oh, float* out) {
  simd<pool_row_by_kind>(pool, channels, image, od, oh, out);
}

}  // namespace pli::compute
