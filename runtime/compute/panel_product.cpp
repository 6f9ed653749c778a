#include "runtime/compute/panel_product.h"

#include <algorithm>

// A step of the sum loads two vectors of weights and, for each row of the tile, one number that it multiplies them
// with, so that twelve products (with the sixteen registers of AVX2) cost eight loads. Around it, rows run inside
// columns: a panel's weights are in the first cache while all rows of the product, which should fit into the second, go
// by.

namespace pli::compute {

namespace {

/// Where kPrefetches, a panel is asked for meanwhile that begins at `next`.
template <bool kPrefetches, class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void add_products(const PanelProduct& p, int64_t row, const float* panel,
                                                [[maybe_unused]] const float* next, Sums<V, kRows, kVectors>& sums) {
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
        next += kPanelColumns;
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
  // Weights that come from memory are waited for, with few rows most of the time that they are used: while the first
  // tiles are made, those of the next columns are asked for, which the processor does not foresee.
  constexpr int64_t kPanels = kVectors * kWidth<V> / kPanelColumns;  // in use; 0: a part of one
  constexpr bool kMayPrefetch = kVectors > 1 && kPanels > 0;
  int64_t to_prefetch = 0;
  if (kMayPrefetch && p.count > kMostRows)
    to_prefetch = std::min(kPanels, (p.columns - column - 1) / kPanelColumns + 1 - kPanels);
  const float* next = weights + kPanels * p.panel_size();
  for_tiles<kMostRows>(
      p.count, [&]<int kRows>(int64_t row) __attribute__((always_inline)) {
        Sums<V, kRows, kVectors> sums;
        if (kMayPrefetch && to_prefetch > 0) {
          add_products<kMayPrefetch>(p, row, weights, next, sums);
          next += p.panel_size();
          --to_prefetch;
        } else {
          add_products<false>(p, row, weights, nullptr, sums);
        }
        finish(p.finish, p.result, p.stride, row, column, p.columns - column, sums);
      });
}

template <class V, int kRowsOfTwo, int kRowsOfOne>
[[gnu::always_inline]] inline void multiply_panels(const PanelProduct& p) {
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
