#include "runtime/compute/channel_product.h"

// As for single channels what is loaded once is multiplied with all the taps of a line that meet it, here for a vector
// of filters: a number of the source is given to all of its lanes. Pixels run inside of groups, whose weights stay in
// the first cache.

namespace pli::compute {

namespace {

constexpr int kPixels = 10;  // of a tile: a sum for each beside a line of taps, and more than the products under way

/// `channel` is the first of the group, `weight` the place of its first channel and the filters in a tap.
template <class V, int kRows>
[[gnu::always_inline]] inline void add_taps(const ChannelProduct& p, int64_t row, int64_t channel, int64_t weight,
                                            Sums<V, kRows, 1>& sums) {
  PLI_UNROLL for (int r = 0; r < kRows; ++r) sums.at[r][0] = V{};
  for (const ChannelProduct::Tap* line = p.taps; line != p.taps + p.tap_count; line += p.line_taps)
    for (int64_t k = 0; k < p.depth; ++k)
      for (int64_t t = 0; t < p.line_taps; ++t) {
        V factor;
        load(factor, line[t].weights + weight + k * p.filters);
        const float* from = line[t].source + row * p.step + channel + k;
        PLI_UNROLL for (int r = 0; r < kRows; ++r, from += p.step) sums.at[r][0] += *from * factor;
      }
}

/// The same where the taps of a line meet adjacent pixels.
template <int kTaps, int kStride, class V, int kRows>
[[gnu::always_inline]] inline void add_lines(const ChannelProduct& p, int64_t row, int64_t channel, int64_t weight,
                                             Sums<V, kRows, 1>& sums) {
  const int64_t pixel = p.step / kStride;
  PLI_UNROLL for (int r = 0; r < kRows; ++r) sums.at[r][0] = V{};
  for (const ChannelProduct::Tap* line = p.taps; line != p.taps + p.tap_count; line += kTaps) {
    const float* source = line->source + row * p.step + channel;
    for (int64_t k = 0; k < p.depth; ++k, ++source) {
      V factor[kTaps];
      PLI_UNROLL for (int t = 0; t < kTaps; ++t) load(factor[t], line[t].weights + weight + k * p.filters);
      const float* from = source;
      PLI_UNROLL_LINE for (int i = 0; i < (kRows - 1) * kStride + kTaps; ++i, from += pixel) {
        const float value = *from;
        PLI_UNROLL for (int r = 0; r < kRows; ++r) {
          const int t = i - r * kStride;
          if (t >= 0 && t < kTaps) sums.at[r][0] += value * factor[t];
        }
      }
    }
  }
}

/// add(row, channel, weight, sums) for all tiles of all filters.
template <class V, class Add>
[[gnu::always_inline]] inline void multiply_tiles(const ChannelProduct& p, const Add& add) {
  const auto multiply_filters = [&]<class W>(int64_t group, int64_t filter) __attribute__((always_inline)) {
    for (; filter + kWidth<W> <= p.filters; filter += kWidth<W>)
      for_tiles<kPixels>(
          p.count, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
            Sums<W, kRows, 1> sums;
            add(row, group * p.depth, group * p.depth * p.filters + filter, sums);
            finish(p.finish, p.result, p.stride, row, group * p.filters + filter, kWidth<W>, sums);
          });
    return filter;
  };
  for (int64_t group = 0; group < p.groups; ++group) {
    const int64_t left = multiply_filters.template operator()<V>(group, 0);
    if constexpr (sizeof(V) > sizeof(FourFloats)) multiply_filters.template operator()<FourFloats>(group, left);
  }
}

template <class V, int kTaps, int kStride>
[[gnu::always_inline]] inline bool multiply_lines(const ChannelProduct& p) {
  if (p.line_taps != kTaps || p.line_stride != kStride) return false;
  multiply_tiles<V>(
      p, [&](int64_t row, int64_t channel, int64_t weight, auto& sums)
             __attribute__((always_inline)) { add_lines<kTaps, kStride>(p, row, channel, weight, sums); });
  return true;
}

template <class V>
[[gnu::always_inline]] inline void multiply_all(const ChannelProduct& product) {
  const ChannelProduct p = product;  // which no store to the result can change, as the compiler knows
  if (multiply_lines<V, 3, 1>(p) || multiply_lines<V, 3, 2>(p)) return;
  multiply_tiles<V>(
      p, [&](int64_t row, int64_t channel, int64_t weight, auto& sums)
             __attribute__((always_inline)) { add_taps(p, row, channel, weight, sums); });
}

}  // namespace

void multiply_groups(const ChannelProduct& product) {
  simd_of<multiply_all<FourFloats>, multiply_all<EightFloats>, multiply_all<EightFloats>>(product);
}

}  // namespace pli::compute
