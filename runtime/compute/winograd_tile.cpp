#include "runtime/compute/winograd_tile.h"

namespace pli::compute {

namespace {

constexpr int kTaps = 3;

/// The finite points.
constexpr double kPoints[] = {0, 1, -1, 0.5, -2};

struct FilterMatrix {
  double at[kWinogradPatch][kTaps];
};

/// The values of the polynomial of a filter's row, in the place of the last its leading coefficient; divided by what
/// the interpolation would divide by.
constexpr FilterMatrix filter_matrix() {
  FilterMatrix matrix{};
  for (int i = 0; i + 1 < kWinogradPatch; ++i) {
    double divisor = 1, power = 1;
    for (int j = 0; j + 1 < kWinogradPatch; ++j)
      if (j != i) divisor *= kPoints[i] - kPoints[j];
    for (int k = 0; k < kTaps; ++k, power *= kPoints[i]) matrix.at[i][k] = power / divisor;
  }
  matrix.at[kWinogradPatch - 1][kTaps - 1] = 1;
  return matrix;
}

[[gnu::always_inline]] inline void filters_at_points(const double* taps, float* values, int64_t point_stride) {
  static constexpr FilterMatrix kMatrix = filter_matrix();
  constexpr int64_t kFilters = kPanelColumns;
  for (int i = 0; i < kWinogradPatch; ++i) {
    double columns[kTaps][kFilters];
    for (int k = 0; k < kTaps; ++k)
      for (int64_t f = 0; f < kFilters; ++f) {
        double sum = 0;
        for (int row = 0; row < kTaps; ++row) sum += kMatrix.at[i][row] * taps[(row * kTaps + k) * kFilters + f];
        columns[k][f] = sum;
      }
    for (int j = 0; j < kWinogradPatch; ++j)
      for (int64_t f = 0; f < kFilters; ++f) {
        double sum = 0;
        for (int k = 0; k < kTaps; ++k) sum += kMatrix.at[j][k] * columns[k][f];
        values[(i * kWinogradPatch + j) * point_stride + f] = static_cast<float>(sum);
      }
  }
}

/// Of six numbers: for each point, their sum with the coefficients of the product of x - p over all other points p; for
/// infinity, over all. With q = (x - 1/2)(x + 2) = x^2 + 3/2 x - 1 these are
/// (x^2 - 1) q, (x^2 + x) q, (x^2 - x) q, (x^2 + 2 x)(x^2 - 1), (x^2 - x / 2)(x^2 - 1), (x^3 - x) q.
template <class V>
[[gnu::always_inline]] inline void transform_source(V* d, int64_t stride) {
  V q[4];
  PLI_UNROLL for (int i = 0; i < 4; ++i) q[i] = d[(i + 2) * stride] - d[i * stride] + 1.5f * d[(i + 1) * stride];
  const V odd = d[3 * stride] - d[stride], even = d[4 * stride] - d[2 * stride];
  d[0] = q[2] - q[0];
  d[stride] = q[2] + q[1];
  d[2 * stride] = q[2] - q[1];
  d[3 * stride] = even + 2.0f * odd;
  d[4 * stride] = even - 0.5f * odd;
  d[5 * stride] = q[3] - q[1];
}

/// Pixel i is the sum of the products at the points, each times the point's power i; that at infinity belongs to the
/// last.
template <class V>
[[gnu::always_inline]] inline void transform_result(V* m, int64_t stride) {
  const V sum = m[stride] + m[2 * stride], difference = m[stride] - m[2 * stride];
  const V half = m[3 * stride], two = m[4 * stride];
  m[0] = m[0] + sum + half + two;
  m[stride] = difference + 0.5f * half - 2.0f * two;
  m[2 * stride] = sum + 0.25f * half + 4.0f * two;
  m[3 * stride] = difference + 0.125f * half - 8.0f * two + m[5 * stride];
}

template <class V>
[[gnu::always_inline]] inline int64_t source_channels(const WinogradPatch& p, int64_t channel) {
  const bool is_whole = p.rows.size() == kWinogradPatch && p.columns.size() == kWinogradPatch;
  for (; channel + kWidth<V> <= p.channels; channel += kWidth<V>) {
    V values[kWinogradPoints];
    const float* row = p.source + channel;
    for (int64_t i = 0; i < kWinogradPatch; ++i, row += p.row_stride)
      for (int64_t j = 0; j < kWinogradPatch; ++j) {
        V& value = values[i * kWinogradPatch + j];
        if (is_whole || (i >= p.rows.begin && i < p.rows.end && j >= p.columns.begin && j < p.columns.end))
          load(value, row + j * p.pixel_stride);
        else
          value = V{};
      }
    for (int64_t i = 0; i < kWinogradPatch; ++i) transform_source(values + i, kWinogradPatch);
    for (int64_t i = 0; i < kWinogradPatch; ++i) transform_source(values + i * kWinogradPatch, 1);
    for (int64_t q = 0; q < kWinogradPoints; ++q) store(p.values + q * p.point_stride + channel, values[q]);
  }
  return channel;
}

template <class V>
[[gnu::always_inline]] inline int64_t result_channels(const WinogradResult& t, int64_t channel) {
  for (; channel + kWidth<V> <= t.channels; channel += kWidth<V>) {
    V values[kWinogradPoints];
    for (int64_t q = 0; q < kWinogradPoints; ++q) load(values[q], t.values + q * t.point_stride + channel);
    for (int64_t i = 0; i < kWinogradPatch; ++i) transform_result(values + i, kWinogradPatch);
    for (int64_t i = 0; i < kWinogradTile; ++i) transform_result(values + i * kWinogradPatch, 1);
    for (int64_t i = 0; i < t.rows; ++i)
      for (int64_t j = 0; j < t.columns; ++j) {
        const int64_t place = i * t.row_stride + j * t.channels + channel;
        Finish here = t.finish;
        if (here.bias) here.bias += channel;
        if (here.summand) here.summand += place;
        Sums<V, 1, 1> sums{{{values[i * kWinogradPatch + j]}}};
        finish_whole(here, t.result + place, 0, 0, sums);
      }
  }
  return channel;
}

template <class V>
[[gnu::always_inline]] inline void source_all(const WinogradPatch& patch) {
  source_channels<float>(patch, source_channels<FourFloats>(patch, source_channels<V>(patch, 0)));
}

template <class V>
[[gnu::always_inline]] inline void result_all(const WinogradResult& tile) {
  result_channels<float>(tile, result_channels<FourFloats>(tile, result_channels<V>(tile, 0)));
}

}  // namespace

void winograd_filters(const double* taps, float* values, int64_t point_stride) {
  simd<filters_at_points>(taps, values, point_stride);
}

void winograd_source(const WinogradPatch& patch) {
  simd_of<source_all<FourFloats>, source_all<EightFloats>, source_all<SixteenFloats>>(patch);
}

void winograd_result(const WinogradResult& tile) {
  simd_of<result_all<FourFloats>, result_all<EightFloats>, result_all<SixteenFloats>>(tile);
}

}  // namespace pli::compute
