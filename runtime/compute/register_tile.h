#pragma once

#include "runtime/compute/lanes.h"

#include <cstdint>
#include <limits>
#include <utility>

/// What kernels share that keep a tile of their result in registers: some rows of some vectors. They are compiled for
/// each level by simd<>, with the widest vectors that it has.
namespace pli::compute {

// GCC keeps an array in registers only where every loop over it is unrolled.
#define PLI_UNROLL _Pragma("GCC unroll 16")
#define PLI_UNROLL_LINE _Pragma("GCC unroll 32")  // over the pixels that a tile meets along a line

using FourFloats = float __attribute__((vector_size(16)));
using EightFloats = float __attribute__((vector_size(32)));
using SixteenFloats = float __attribute__((vector_size(64)));

template <class V>
inline constexpr int64_t kWidth = sizeof(V) / sizeof(float);

/// What is done to sums before they are stored: x = sum + bias[j] + summand[i, j], then min(max(x, low), high) or
/// x min(max(x / 6 + 1/2, low), high), NaN staying NaN. Each may be left out. A hard swish has the bounds 0 and 1, as
/// numbers since of bounds that the compiler knows it makes two instructions instead of one.
struct Finish {
  const float* bias = nullptr;
  const float* summand = nullptr;  // laid out as the result; may be the result
  bool clips = false;
  float low = 0, high = 0;
  bool is_hard_swish = false;
};

template <class V, int kRows, int kVectors>
struct Sums {
  V at[kRows][kVectors];
};

/// Stores a tile whose first number goes to `result`, the operands of `f` being those of that place.
template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void finish_whole(const Finish& f, float* result, int64_t stride, int64_t summand_stride,
                                                Sums<V, kRows, kVectors>& sums) {
  if (f.bias) PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
      V bias;
      load(bias, f.bias + n * kWidth<V>);
      PLI_UNROLL for (int r = 0; r < kRows; ++r) sums.at[r][n] += bias;
    }
  if (f.summand) PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
      V summand;
      load(summand, f.summand + r * summand_stride + n * kWidth<V>);
      sums.at[r][n] += summand;
    }
  if (f.clips) {
    const V low = V{} + f.low;
    PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
      V& value = sums.at[r][n];
      value = value < low ? low : value;
    }
    if (f.high < std::numeric_limits<float>::infinity()) {
      const V high = V{} + f.high;
      PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
        V& value = sums.at[r][n];
        value = value > high ? high : value;
      }
    }
  }
  if (f.is_hard_swish) {
    const V low = V{} + f.low, high = V{} + f.high;
    PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n) {
      V& value = sums.at[r][n];
      V gate = value * (1.0f / 6) + 0.5f;
      gate = gate < low ? low : gate;
      gate = gate > high ? high : gate;
      value *= gate;
    }
  }
  PLI_UNROLL for (int r = 0; r < kRows; ++r) PLI_UNROLL for (int n = 0; n < kVectors; ++n)
      store(result + r * stride + n * kWidth<V>, sums.at[r][n]);
}

/// Of each row that many numbers, which are few.
[[gnu::always_inline]] inline void copy_few(const float* from, int64_t from_stride, float* to, int64_t to_stride,
                                            int64_t rows, int64_t columns) {
  constexpr int64_t kStep = 4;
  for (; rows > 0; --rows, from += from_stride, to += to_stride) {
    int64_t j = 0;
    for (; j + kStep <= columns; j += kStep) std::memcpy(to + j, from + j, kStep * sizeof(float));
    for (; j < columns; ++j) to[j] = from[j];
  }
}

/// Only the first `columns` of the tile's, by way of a tile in memory.
template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void finish_some(const Finish& f, float* result, int64_t stride, int64_t columns,
                                               Sums<V, kRows, kVectors>& sums) {
  constexpr int64_t kColumns = kVectors * kWidth<V>;
  alignas(64) float bias[kColumns], summand[kRows * kColumns], tile[kRows * kColumns];
  Finish own = f;
  if (f.bias) {
    copy_few(f.bias, 0, bias, 0, 1, columns);
    own.bias = bias;
  }
  if (f.summand) {
    copy_few(f.summand, stride, summand, kColumns, kRows, columns);
    own.summand = summand;
  }
  finish_whole(own, tile, kColumns, kColumns, sums);
  copy_few(tile, kColumns, result, stride, kRows, columns);
}

/// `f` and `result` are those of element (0, 0) of the whole result; the tile begins at (row, column), and so many
/// columns are left there.
template <class V, int kRows, int kVectors>
[[gnu::always_inline]] inline void finish(const Finish& f, float* result, int64_t stride, int64_t row, int64_t column,
                                          int64_t columns, Sums<V, kRows, kVectors>& sums) {
  Finish here = f;
  const int64_t first = row * stride + column;
  if (f.bias) here.bias += column;
  if (f.summand) here.summand += first;
  if (columns >= kVectors * kWidth<V>)
    finish_whole(here, result + first, stride, stride, sums);
  else
    finish_some(here, result + first, stride, columns, sums);
}

/// tile.operator()<kRows>(row) for tiles of kRowsWanted rows, or of fewer: the rows that are too few for another tile
/// are shared among all.
template <int kRowsWanted, class Tile>
[[gnu::always_inline]] inline void for_tiles(int64_t count, const Tile& tile) {
#if defined(PLI_SMALL_TILES)
  constexpr int kMostRows = 2;
#else
  constexpr int kMostRows = kRowsWanted;
#endif
  const int64_t tiles = (count + kMostRows - 1) / kMostRows;
  if (tiles == 0) return;
  const int64_t least = count / tiles, more = count % tiles;
  for (int64_t i = 0, row = 0; i < tiles; ++i) {
    const int64_t rows = least + (i < more ? 1 : 0);
    const auto try_one = [&]<int kRows>() __attribute__((always_inline)) {
      if (rows == kRows) tile.template operator()<kRows>(row);
    };
    [&]<int... kLess>(std::integer_sequence<int, kLess...>) __attribute__((always_inline)) {
      (try_one.template operator()<kMostRows - kLess>(), ...);
    }
    (std::make_integer_sequence<int, kMostRows>());
    row += rows;
  }
}

}  // namespace pli::compute
