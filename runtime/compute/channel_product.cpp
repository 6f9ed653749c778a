#include "runtime/compute/channel_product.h"

// The taps of a line of a filter meet pixels that lie side by side, of which most meet the next pixel's taps as well:
// what is loaded once is multiplied with all of them, and where it can be with those of the line below, too. Channels
// go through as vectors, and pixels run inside of them.

namespace pli::compute {

namespace {

template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void add_channels(const ChannelProduct& p, int64_t row, int64_t channel,
                                                Sums<V, kRows, kVectors>& sums) {
  PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) sums.at[r][n] = V{};
  for (const ChannelProduct::Tap* tap = p.taps; tap != p.taps + p.tap_count; ++tap) {
    V weight[kVectors];
    const float* const weights = tap->weights + channel;
    PLI_UNROLL for (int n = 0; n < kVectors; ++n) load(weight[n], weights + n * kWidth<V>);
    const float* from = tap->source + row * p.step + channel;
    PLI_UNROLL for (int r = 0; r < kRows; ++r, from += p.step) {
      PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
        V value;
        load(value, from + n * kWidth<V>);
        sums.at[r][n] += value * weight[n];
      }
    }
  }
}

/// The same where the taps of a line meet adjacent pixels: each is loaded once for all the taps that it is multiplied
/// with.
template <int kTaps, int kStride, class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void add_lines(const ChannelProduct& p, int64_t row, int64_t channel,
                                             Sums<V, kRows, kVectors>& sums) {
  const int64_t pixel = p.step / kStride;
  PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) sums.at[r][n] = V{};
  for (const ChannelProduct::Tap* tap = p.taps; tap != p.taps + p.tap_count; tap += kTaps) {
    V weight[kTaps][kVectors];
    PLI_UNROLL for (int t = 0; t < kTaps; ++t) PLI_UNROLL for (int n = 0; n < kVectors; ++n)
        load(weight[t][n], tap[t].weights + channel + n * kWidth<V>);
    const float* from = tap->source + row * p.step + channel;
    PLI_UNROLL_LINE for (int i = 0; i < (kRows - 1) * kStride + kTaps; ++i, from += pixel) {
      PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
        V value;
        load(value, from + n * kWidth<V>);
        PLI_UNROLL for (int r = 0; r < kRows; ++r) {
          const int t = i - r * kStride;
          if (t >= 0 && t < kTaps) sums.at[r][n] += value * weight[t][n];
        }
      }
    }
  }
}

/// One line of the taps of a pair: what the pixels above and those below it are multiplied with.
template <bool kAbove, bool kBelow, int kTaps, class V, int kRows>
[[gnu::always_inline]] inline void add_to_pair(const float* from, int64_t pixel, const V (&above)[kTaps],
                                               const V (&below)[kTaps], Sums<V, kRows, 1>& first,
                                               Sums<V, kRows, 1>& second) {
  PLI_UNROLL for (int i = 0; i < kRows - 1 + kTaps; ++i, from += pixel) {
    V value;
    load(value, from);
    PLI_UNROLL for (int r = 0; r < kRows; ++r) {
      const int t = i - r;
      if (t < 0 || t >= kTaps) continue;
      if constexpr (kAbove) first.at[r][0] += value * above[t];
      if constexpr (kBelow) second.at[r][0] += value * below[t];
    }
  }
}

/// Pixels of two lines. A line of the source meets a line of taps for the pixels above, and the one before it for those
/// below.
template <int kTaps, class V, int kRows>
[[gnu::always_inline]] inline void add_pair(const ChannelProduct& p, int64_t row, int64_t channel,
                                            Sums<V, kRows, 1>& first, Sums<V, kRows, 1>& second) {
  PLI_UNROLL for (int r = 0; r < kRows; ++r) first.at[r][0] = second.at[r][0] = V{};
  const int64_t place = row * p.step + channel;
  const ChannelProduct::Tap *tap = p.taps, *const end = tap + p.tap_count;
  V here[kTaps], before[kTaps];
  const auto next_line = [&]() __attribute__((always_inline)) {
    PLI_UNROLL for (int t = 0; t < kTaps; ++t) {
      before[t] = here[t];
      load(here[t], tap[t].weights + channel);
    }
  };
  PLI_UNROLL for (int t = 0; t < kTaps; ++t) load(here[t], tap[t].weights + channel);
  add_to_pair<true, false>(tap->source + place, p.step, here, here, first, second);
  for (tap += kTaps; tap != end; tap += kTaps) {
    next_line();
    add_to_pair<true, true>(tap->source + place, p.step, here, before, first, second);
  }
  add_to_pair<false, true>(end[-kTaps].source + p.source_line + place, p.step, here, here, first, second);
}

/// Channels that are too few for a vector can have one all the same, the last that there is, in which some are made a
/// second time; not where the result is added to what was there. Returns where to go on.
template <class V>
[[gnu::always_inline]] inline int64_t last_vector(const ChannelProduct& p, int64_t channel) {
  const bool may_repeat = p.finish.summand != p.result && p.groups >= kWidth<V>;
  return channel < p.groups && may_repeat ? p.groups - kWidth<V> : channel;
}

template <class V, int kTaps, int kMostRows>
[[gnu::always_inline]] inline void multiply_pair(const ChannelProduct& p) {
  Finish below = p.finish;
  if (below.summand) below.summand += p.result_line;
  for_tiles<kMostRows>(
      p.count, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        const auto multiply_from = [&]<class W>(int64_t channel) __attribute__((always_inline)) {
          for (; channel + kWidth<W> <= p.groups; channel += kWidth<W>) {
            Sums<W, kRows, 1> first, second;
            add_pair<kTaps>(p, row, channel, first, second);
            finish(p.finish, p.result, p.stride, row, channel, kWidth<W>, first);
            finish(below, p.result + p.result_line, p.stride, row, channel, kWidth<W>, second);
          }
          return channel;
        };
        int64_t channel = multiply_from.template operator()<V>(0);
        channel = multiply_from.template operator()<V>(last_vector<V>(p, channel));
        channel = multiply_from.template operator()<FourFloats>(channel);
        multiply_from.template operator()<float>(channel);
      });
}

/// As many channels from `channel` on as fill the vectors; `add` makes their sums. Returns the first that is left.
template <class V, int kVectors, int kRows, class Add>
[[gnu::always_inline]] inline int64_t multiply_whole(const ChannelProduct& p, int64_t row, int64_t channel,
                                                     const Add& add) {
  constexpr int64_t kChannels = kVectors * kWidth<V>;
  for (; channel + kChannels <= p.groups; channel += kChannels) {
    Sums<V, kRows, kVectors> sums;
    add(row, channel, sums);
    finish(p.finish, p.result, p.stride, row, channel, kChannels, sums);
  }
  return channel;
}

template <class V, int kVectors, int kMostRows, class Add>
[[gnu::always_inline]] inline void multiply_tiles(const ChannelProduct& p, const Add& add) {
  const auto add_few = [&](int64_t row, int64_t channel, auto& sums) __attribute__((always_inline)) {
    add_channels(p, row, channel, sums);
  };
  for_tiles<kMostRows>(
      p.count, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        int64_t channel = multiply_whole<V, kVectors, kRows>(p, row, 0, add);
        if constexpr (kVectors > 1) channel = multiply_whole<V, 1, kRows>(p, row, channel, add);
        channel = multiply_whole<V, 1, kRows>(p, row, last_vector<V>(p, channel), add);
        channel = multiply_whole<FourFloats, 1, kRows>(p, row, channel, add_few);
        multiply_whole<float, 1, kRows>(p, row, channel, add_few);
      });
}

/// Lines of kTaps where they are such. Whether they were.
template <class V, int kVectors, int kTaps, int kStride>
[[gnu::always_inline]] inline bool multiply_lines(const ChannelProduct& p) {
  constexpr int kMostRows = 8;
  if (p.line_taps != kTaps || p.line_stride != kStride) return false;
  multiply_tiles<V, kVectors, kMostRows>(
      p, [&](int64_t row, int64_t channel, auto& sums)
             __attribute__((always_inline)) { add_lines<kTaps, kStride>(p, row, channel, sums); });
  return true;
}

/// kVectors: so many of a line's filter leave registers for the sums.
template <class V, int kVectors>
[[gnu::always_inline]] inline void multiply_channels(const ChannelProduct& product) {
  const ChannelProduct p = product;  // which no store to the result can change, as the compiler knows
  // The widest vectors have registers for the sums of two lines beside two lines of the filter.
  if constexpr (sizeof(V) == sizeof(SixteenFloats)) {
    constexpr int kPixels = 8;
    if (p.has_pair) {
      if (p.line_taps == 3)
        multiply_pair<V, 3, kPixels>(p);
      else
        multiply_pair<V, 5, kPixels>(p);
      return;
    }
  }
  if (multiply_lines<V, kVectors, 3, 1>(p) || multiply_lines<V, kVectors, 3, 2>(p) ||
      multiply_lines<V, kVectors, 5, 1>(p) || multiply_lines<V, kVectors, 5, 2>(p) ||
      multiply_lines<V, kVectors, 7, 1>(p))
    return;
  multiply_tiles<V, 2, 6>(
      p, [&](int64_t row, int64_t channel, auto& sums)
             __attribute__((always_inline)) { add_channels(p, row, channel, sums); });
}

}  // namespace

void multiply(const ChannelProduct& product) {
  if (product.filters > 1) return multiply_groups(product);
  simd_of<multiply_channels<FourFloats, 1>, multiply_channels<EightFloats, 1>, multiply_channels<SixteenFloats, 2>>(
      product);
}

bool may_pair_lines(int64_t line_taps) {
  // With 16 registers the compiler spills, so that one line of more pixels is faster.
  return (line_taps == 3 || line_taps == 5) && simd_level() == SimdLevel::kAvx512;
}

}  // namespace pli::compute
