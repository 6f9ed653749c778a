#pragma once

#include "runtime/compute/panel_product.h"
#include "runtime/compute/sliced.h"

namespace pli::compute {

// Winograd's F(m x m, 3x3): m x m pixels of the result from (m + 2)^2 of the source by as many products for each pair
// of channels, where the direct sum needs 9 m^2: 36 in the place of 144 for m = 4, 16 in the place of 36 for m = 2.
// Along each side a row of pixels is taken as a polynomial and multiplied with the filter's by its values at points
// (Toom and Cook; Lavin and Gray, arXiv:1509.09308). The points are 0, 1, -1 and infinity, for m = 4 also 1/2 and -2:
// the factors of source and result are binary fractions, and the error is smaller than with 2 in the place of 1/2.

enum class WinogradTile : int { k2x2 = 2, k4x4 = 4 };

/// Pixels along a side: of a tile of the result, and of the patch of the source that it is made of. Their points.
constexpr int side_of(WinogradTile tile) { return static_cast<int>(tile); }
constexpr int patch_of(WinogradTile tile) { return side_of(tile) + 2; }
constexpr int points_of(WinogradTile tile) { return patch_of(tile) * patch_of(tile); }

/// The values of 16 filters of 3x3 at the points, from taps[3][3][16]; those of the next point lie point_stride behind.
void winograd_filters(WinogradTile tile, const double* taps, float* values, int64_t point_stride);

/// The values of a patch of the source at the points, for every channel.
struct WinogradPatch {
  const float* source = nullptr;  // its first pixel, which may lie outside
  int64_t row_stride = 0, pixel_stride = 0;
  Range rows{}, columns{};  // of the patch, those that lie in the source; the others are zero
  int64_t channels = 0;
  float* values = nullptr;  // those of the next point lie point_stride behind
  int64_t point_stride = 0;
};
void winograd_source(WinogradTile tile, const WinogradPatch& patch);

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
void winograd_result(WinogradTile tile, const WinogradResult& pixels);

}  // namespace pli::compute
