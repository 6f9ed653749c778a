#include "runtime/compute/winograd_tile.h"

#include <algorithm>

namespace pli::compute {

namespace {

constexpr int kTaps = 3;

/// The finite points, of which a 2x2 tile has the first three.
constexpr double kPoints[] = {0, 1, -1, 0.5, -2};

template <int kPatch>
struct FilterMatrix {
  double at[kPatch][kTaps];
};

/// The values of the polynomial of a filter's row, in the place of the last its leading coefficient; divided by what
/// the interpolation would divide by.
template <int kPatch>
constexpr FilterMatrix<kPatch> filter_matrix() {
  FilterMatrix<kPatch> matrix{};
  for (int i = 0; i + 1 < kPatch; ++i) {
    double divisor = 1, power = 1;
    for (int j = 0; j + 1 < kPatch; ++j)
      if (j != i) divisor *= kPoints[i] - kPoints[j];
    for (int k = 0; k < kTaps; ++k, power *= kPoints[i]) matrix.at[i][k] = power / divisor;
  }
  matrix.at[kPatch - 1][kTaps - 1] = 1;
  return matrix;
}

template <int kPatch>
[[gnu::always_inline]] inline void filters_at_points(const double* taps, float* values, int64_t point_stride) {
  static constexpr FilterMatrix<kPatch> kMatrix = filter_matrix<kPatch>();
  constexpr int64_t kFilters = kPanelColumns;
  for (int i = 0; i < kPatch; ++i) {
    double columns[kTaps][kFilters];
    for (int k = 0; k < kTaps; ++k)
      for (int64_t f = 0; f < kFilters; ++f) {
        double sum = 0;
        for (int row = 0; row < kTaps; ++row) sum += kMatrix.at[i][row] * taps[(row * kTaps + k) * kFilters + f];
        columns[k][f] = sum;
      }
    for (int j = 0; j < kPatch; ++j)
      for (int64_t f = 0; f < kFilters; ++f) {
        double sum = 0;
        for (int k = 0; k < kTaps; ++k) sum += kMatrix.at[j][k] * columns[k][f];
        values[(i * kPatch + j) * point_stride + f] = static_cast<float>(sum);
      }
  }
}

// Of the numbers of a patch: for each point, their sum with the coefficients of the product of x - p over all other
// points p; for infinity, over all.

/// x^2 - 1, x^2 + x, x^2 - x, x^3 - x.
template <class V>
[[gnu::always_inline]] inline void transform_source(V (&d)[4]) {
  const V first = d[2] - d[0], last = d[3] - d[1];
  const V sum = d[1] + d[2], difference = d[2] - d[1];
  d[0] = first;
  d[1] = sum;
  d[2] = difference;
  d[3] = last;
}

/// With q = (x - 1/2)(x + 2) = x^2 + 3/2 x - 1: (x^2 - 1) q, (x^2 + x) q, (x^2 - x) q, (x^2 + 2 x)(x^2 - 1),
/// (x^2 - x / 2)(x^2 - 1), (x^3 - x) q.
template <class V>
[[gnu::always_inline]] inline void transform_source(V (&d)[6]) {
  V q[4];
  PLI_UNROLL for (int i = 0; i < 4; ++i) q[i] = d[i + 2] - d[i] + 1.5f * d[i + 1];
  const V odd = d[3] - d[1], even = d[4] - d[2];
  d[0] = q[2] - q[0];
  d[1] = q[2] + q[1];
  d[2] = q[2] - q[1];
  d[3] = even + 2.0f * odd;
  d[4] = even - 0.5f * odd;
  d[5] = q[3] - q[1];
}

// Pixel i is the sum of the products at the points, each times the point's power i; that at infinity belongs to the
// last.

template <class V>
[[gnu::always_inline]] inline void transform_result(const V (&m)[4], Sums<V, 2, 1>& pixels) {
  pixels.at[0][0] = m[0] + m[1] + m[2];
  pixels.at[1][0] = m[1] - m[2] + m[3];
}

template <class V>
[[gnu::always_inline]] inline void transform_result(const V (&m)[6], Sums<V, 4, 1>& pixels) {
  const V sum = m[1] + m[2], difference = m[1] - m[2];
  const V half = m[3], two = m[4];
  pixels.at[0][0] = m[0] + sum + half + two;
  pixels.at[1][0] = difference + 0.5f * half - 2.0f * two;
  pixels.at[2][0] = sum + 0.25f * half + 4.0f * two;
  pixels.at[3][0] = difference + 0.125f * half - 8.0f * two + m[5];
}

// First the columns, by way of memory, then the rows, from and to where they belong: a whole tile is more than there
// are registers for. What a line of the cache holds goes by at once, since the next point or pixel may well take its
// place.

template <class V>
constexpr int64_t kTogether = std::max<int64_t>(kPanelColumns / kWidth<V>, 1);
template <class V>
constexpr bool kHasSeveral = sizeof(V) < kPanelColumns * sizeof(float);

template <WinogradTile kTile, class V, int64_t kVectors>
[[gnu::always_inline]] inline int64_t source_channels(const WinogradPatch& patch, int64_t channel) {
  constexpr int kPatch = patch_of(kTile);
  const WinogradPatch p = patch;  // which no store to the values can change, as the compiler knows
  const bool is_whole = p.rows.size() == kPatch && p.columns.size() == kPatch;
  for (; channel + kVectors * kWidth<V> <= p.channels; channel += kVectors * kWidth<V>) {
    V half_done[kPatch][kPatch][kVectors];
    for (int64_t j = 0; j < kPatch; ++j)
      for (int64_t n = 0; n < kVectors; ++n) {
        const float* const column = p.source + j * p.pixel_stride + channel + n * kWidth<V>;
        V values[kPatch];
        if (is_whole) {
          PLI_UNROLL for (int i = 0; i < kPatch; ++i) load(values[i], column + i * p.row_stride);
        } else {
          const bool is_inside = j >= p.columns.begin && j < p.columns.end;
          PLI_UNROLL for (int i = 0; i < kPatch; ++i) {
            values[i] = V{};
            if (is_inside && i >= p.rows.begin && i < p.rows.end) load(values[i], column + i * p.row_stride);
          }
        }
        transform_source(values);
        PLI_UNROLL for (int i = 0; i < kPatch; ++i) half_done[i][j][n] = values[i];
      }
    for (int64_t i = 0; i < kPatch; ++i)
      for (int64_t n = 0; n < kVectors; ++n) {
        V values[kPatch];
        PLI_UNROLL for (int j = 0; j < kPatch; ++j) values[j] = half_done[i][j][n];
        transform_source(values);
        float* const to = p.values + i * kPatch * p.point_stride + channel + n * kWidth<V>;
        PLI_UNROLL for (int j = 0; j < kPatch; ++j) store(to + j * p.point_stride, values[j]);
      }
  }
  return channel;
}

template <WinogradTile kTile, class V, int64_t kVectors>
[[gnu::always_inline]] inline int64_t result_channels(const WinogradResult& result, int64_t channel) {
  constexpr int kSide = side_of(kTile), kPatch = patch_of(kTile);
  const WinogradResult t = result;
  for (; channel + kVectors * kWidth<V> <= t.channels; channel += kVectors * kWidth<V>) {
    V half_done[kSide][kPatch][kVectors];
    for (int64_t j = 0; j < kPatch; ++j)
      for (int64_t n = 0; n < kVectors; ++n) {
        V values[kPatch];
        PLI_UNROLL for (int i = 0; i < kPatch; ++i)
            load(values[i], t.values + (i * kPatch + j) * t.point_stride + channel + n * kWidth<V>);
        Sums<V, kSide, 1> sums;
        transform_result(values, sums);
        PLI_UNROLL for (int i = 0; i < kSide; ++i) half_done[i][j][n] = sums.at[i][0];
      }
    for (int64_t i = 0; i < t.rows; ++i)
      for (int64_t n = 0; n < kVectors; ++n) {
        V values[kPatch];
        PLI_UNROLL for (int j = 0; j < kPatch; ++j) values[j] = half_done[i][j][n];
        Sums<V, kSide, 1> sums;
        transform_result(values, sums);
        const int64_t column = channel + n * kWidth<V>, place = i * t.row_stride + column;
        Finish here = t.finish;
        if (here.bias) here.bias += column;
        if (here.summand) here.summand += place;
        if (t.columns == kSide) {
          finish_whole(here, t.result + place, t.channels, t.channels, sums);
          continue;
        }
        PLI_UNROLL for (int j = 0; j < kSide; ++j) {
          if (j >= t.columns) break;
          Sums<V, 1, 1> pixel{{{sums.at[j][0]}}};
          finish_whole(here, t.result + place + j * t.channels, 0, 0, pixel);
          if (here.summand) here.summand += t.channels;
        }
      }
  }
  return channel;
}

template <WinogradTile kTile, class V>
[[gnu::always_inline]] inline void source_all(const WinogradPatch& patch) {
  int64_t channel = source_channels<kTile, V, kTogether<V>>(patch, 0);
  if constexpr (kHasSeveral<V>) channel = source_channels<kTile, V, 1>(patch, channel);
  source_channels<kTile, float, 1>(patch, source_channels<kTile, FourFloats, 1>(patch, channel));
}

template <WinogradTile kTile, class V>
[[gnu::always_inline]] inline void result_all(const WinogradResult& tile) {
  int64_t channel = result_channels<kTile, V, kTogether<V>>(tile, 0);
  if constexpr (kHasSeveral<V>) channel = result_channels<kTile, V, 1>(tile, channel);
  result_channels<kTile, float, 1>(tile, result_channels<kTile, FourFloats, 1>(tile, channel));
}

/// f.operator()<kTile>() for the tile.
template <class Function>
void with_tile(WinogradTile tile, const Function& f) {
  if (tile == WinogradTile::k2x2)
    f.template operator()<WinogradTile::k2x2>();
  else
    f.template operator()<WinogradTile::k4x4>();
}

}  // namespace

void winograd_filters(WinogradTile tile, const double* taps, float* values, int64_t point_stride) {
  with_tile(tile, [&]<WinogradTile kTile>() { simd<filters_at_points<patch_of(kTile)>>(taps, values, point_stride); });
}

void winograd_source(WinogradTile tile, const WinogradPatch& patch) {
  with_tile(tile, [&]<WinogradTile kTile>() {
    simd_of<source_all<kTile, FourFloats>, source_all<kTile, EightFloats>, source_all<kTile, SixteenFloats>>(patch);
  });
}

void winograd_result(WinogradTile tile, const WinogradResult& pixels) {
  with_tile(tile, [&]<WinogradTile kTile>() {
    simd_of<result_all<kTile, FourFloats>, result_all<kTile, EightFloats>, result_all<kTile, SixteenFloats>>(pixels);
  });
}

}  // namespace pli::compute
