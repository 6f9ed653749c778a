#pragma once

#include "runtime/compute/panel_product.h"
#include "runtime/compute/sliced.h"

namespace pli::compute {

// Winograd's F(4x4, 3x3): 4x4 pixels of the result from 6x6 of the source by 36 products for each pair of channels,
// where the direct sum needs 144. Along each side a row of pixels is taken as a polynomial and multiplied with the
// filter's by its values at points (Toom and Cook; Lavin and Gray, arXiv:1509.09308). The points are 0, 1, -1, 1/2, -2
// and infinity: the factors of source and result are binary fractions, and the error is smaller than with 2 in the
// place of 1/2.

inline constexpr int kWinogradTile = 4;   // pixels of the result along a side
inline constexpr int kWinogradPatch = 6;  // of the source
inline constexpr int kWinogradPoints = kWinogradPatch * kWinogradPatch;

/// The values of 16 filters of 3x3 at the points, from taps[3][3][16]; those of the next point lie point_stride behind.
void winograd_filters(const double* taps, float* values, int64_t point_stride);

/// The values of a patch of the source at the points, for every channel.
struct WinogradPatch {
  const float* source = nullptr;  // its first pixel, which may lie outside
  int64_t row_stride = 0, pixel_stride = 0;
  Range rows{}, columns{};  // of the patch, those that lie in the source; the others are zero
  int64_t channels = 0;
  float* values = nullptr;  // those of the next point lie point_stride behind
  int64_t point_stride = 0;
};
void winograd_source(const WinogradPatch& patch);

/// The pixels of a tile of the result from the products of the values, finished.
struct WinogradResult {
  const float* values = nullptr;
  int64_t point_stride = 0;
  int64_t channels = 0;
  int64_t rows = 0, columns = 0;  // of the tile, those that lie in the result
  float* result = nullptr;        // the first pixel
  int64_t row_stride = 0;         // a pixel has `channels` numbers
  Finish finish;                  // of the first pixel
};
void winograd_result(const WinogradResult& tile);

}  // namespace pli::compute
