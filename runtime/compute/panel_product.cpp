#include "runtime/compute/panel_product.h"

#include <algorithm>

// A step of the sum loads two vectors of weights and, for each row of the tile, one number that it multiplies them
// with, so that twelve products (with the sixteen registers of AVX2) cost eight loads. Around it, rows run inside
// columns: a panel's weights are in the first cache while all rows of the product, which should fit into the second, go
// by.

namespace pli::compute {

namespace {

/// Where kPrefetches, what lies from `next` on is asked for meanwhile, `step` numbers with each step of the sum.
template <bool kPrefetches, class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void add_products(const PanelProduct& p, int64_t row, const float* panel,
                                                [[maybe_unused]] const float* next, [[maybe_unused]] int64_t step,
                                                Sums<V, kRows, kVectors>& sums) {
  // The second vector is in the same panel or, where one is as wide as a panel, in the next.
  const int64_t distance = kWidth<V> < kPanelColumns ? kWidth<V> : p.panel_size();
  PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) sums.at[r][n] = V{};
  for (int64_t tap = 0; tap < p.taps; ++tap) {
    const float* weights = panel + (p.tap_numbers ? p.tap_numbers[tap] : tap) * p.depth * kPanelColumns;
    const float* from[kRows];
    PLI_UNROLL for (int r = 0; r < kRows; ++r) from[r] = p.rows[tap * p.count + row + r] + p.offset;
#pragma GCC unroll 2
    for (int64_t k = 0; k < p.depth; ++k, weights += kPanelColumns) {
      if constexpr (kPrefetches) {
        __builtin_prefetch(next, 0, 2);
        next += step;
      }
      V weight[kVectors];
      PLI_UNROLL for (int n = 0; n < kVectors; ++n) load(weight[n], weights + n * distance);
      PLI_UNROLL for (int r = 0; r < kRows; ++r) {
        const float factor = from[r][k];
        PLI_UNROLL for (int n = 0; n < kVectors; ++n) sums.at[r][n] += factor * weight[n];
      }
    }
  }
}

template <class V, int kMostRows, int kVectors>
[[gnu::always_inline]] inline void multiply_columns(const PanelProduct& p, int64_t column) {
  const float* const weights = p.panels + column / kPanelColumns * p.panel_size() + column % kPanelColumns;
  // Weights that come from memory are waited for, with few rows most of the time that they are used, and the processor
  // does not foresee the next ones: they are asked for while these are used, with every tile as many, since all at once
  // are more than memory gives meanwhile.
  constexpr int64_t kPanels = kVectors * kWidth<V> / kPanelColumns;  // in use; 0: a part of one
  constexpr bool kMayPrefetch = kVectors > 1 && kPanels > 0;
  const float *next = weights + kPanels * p.panel_size(), *end = next;
  int64_t step = 0;
  if (kMayPrefetch && p.count > kMostRows) {
    end += std::min(kPanels, (p.columns - column - 1) / kPanelColumns + 1 - kPanels) * p.panel_size();
    const int64_t steps = (p.count + kMostRows - 1) / kMostRows * p.taps * p.depth;
    if (steps > 0) step = std::min((end - next + steps - 1) / steps, kPanelColumns);
  }
  for_tiles<kMostRows>(
      p.count, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        Sums<V, kRows, kVectors> sums;
        if (kMayPrefetch && next < end) {
          add_products<kMayPrefetch>(p, row, weights, next, step, sums);
          next += p.taps * p.depth * step;
        } else {
          add_products<false>(p, row, weights, nullptr, 0, sums);
        }
        finish(p.finish, p.result, p.stride, row, column, p.columns - column, sums);
      });
}

template <class V, int kRowsOfTwo, int kRowsOfOne>
[[gnu::always_inline]] inline void multiply_panels(const PanelProduct& product) {
  const PanelProduct p = product;  // which no store to the result can change, as the compiler knows
  // The last columns go by half a vector, where that is half the work, if they fit into it.
  constexpr bool kHasHalves = sizeof(V) == sizeof(SixteenFloats);
  constexpr int64_t kHalf = kHasHalves ? kWidth<EightFloats> : 0;
  for (int64_t column = 0; column < p.columns;) {
    const int64_t left = p.columns - column;
    if (left > kWidth<V> + kHalf) {
      multiply_columns<V, kRowsOfTwo, 2>(p, column);
      column += 2 * kWidth<V>;
    } else if (left > kHalf) {
      multiply_columns<V, kRowsOfOne, 1>(p, column);
      column += kWidth<V>;
    } else if constexpr (kHasHalves) {
      multiply_columns<EightFloats, kRowsOfOne, 1>(p, column);
      column += kHalf;
    }
  }
}

}  // namespace

void multiply(const PanelProduct& product) {
  simd_of<multiply_panels<FourFloats, 6, 8>, multiply_panels<EightFloats, 6, 8>, multiply_panels<SixteenFloats, 8, 12>>(
      product);
}

}  // namespace pli::compute
