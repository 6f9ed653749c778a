#include "runtime/compute/normalization_f32.h"

#include "runtime/compute/fold_row.h"
#include "runtime/compute/reduction_operations.h"
#include "runtime/compute/simd.h"

#include <cmath>

namespace pli::compute {

namespace {

/// The sum of (x - mean)^2.
struct CenteredSquares : Sum {
  float mean;
  explicit CenteredSquares(float m) : mean(m) {}

  template <class V>
  [[gnu::always_inline]] void map(V& value) const {
    value = (value - mean) * (value - mean);
  }
};

[[gnu::always_inline]] inline float centered_squares(const float* in, int64_t count, float mean) {
  return fold_row(CenteredSquares(mean), in, count);
}

[[gnu::always_inline]] inline void normalize_row(const float* in, int64_t count, float mean, float factor,
                                                 const RowParameters& parameters, float* out) {
  const float* scale = parameters.scale;
  const float* shift = parameters.shift;
  const bool moving = parameters.moving;
  if (moving && scale && shift) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - mean) * factor * scale[i] + shift[i];
  } else if (moving && scale) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - mean) * factor * scale[i];
  } else {
    const float scaled = scale ? factor * *scale : factor;
    const float shifted = shift ? *shift : 0.0F;
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - mean) * scaled + shifted;
  }
}

[[gnu::always_inline]] inline void normalize_rows(const float* in, int64_t rows, int64_t count, float epsilon,
                                                  const float* scale, const float* shift, float* out, float* means,
                                                  float* factors) {
  const auto size = static_cast<float>(count);
  for (int64_t r = 0; r < rows; ++r, in += count, out += count) {
    const float mean = fold_row(Sum{}, in, count) / size;
    const float factor = 1 / std::sqrt(fold_row(CenteredSquares(mean), in, count) / size + epsilon);
    if (means) means[r] = mean;
    if (factors) factors[r] = factor;
    if (shift) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - mean) * factor * scale[i] + shift[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - mean) * factor * scale[i];
    }
  }
}

[[gnu::always_inline]] inline void centered_squares_of_columns(const float* in, int64_t rows, int64_t stride,
                                                               int64_t columns, const float* mean, float* total) {
  for (int64_t c = 0; c < columns; ++c) total[c] = 0;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* row = in + r * stride;
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) {
      const float a = row[c] - mean[c];
      const float b = row[c + stride] - mean[c];
      const float d = row[c + 2 * stride] - mean[c];
      const float e = row[c + 3 * stride] - mean[c];
      total[c] += (a * a + b * b) + (d * d + e * e);
    }
  }
  for (; r < rows; ++r) {
    const float* row = in + r * stride;
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) total[c] += (row[c] - mean[c]) * (row[c] - mean[c]);
  }
}

[[gnu::always_inline]] inline void normalize_columns(const float* in, int64_t rows, int64_t stride, int64_t columns,
                                                     const float* mean, const float* factor, const float* shift,
                                                     float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = in + r * stride;
    float* to = out + r * stride;
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) to[c] = (row[c] - mean[c]) * factor[c] + shift[c];
  }
}

}  // namespace

float centered_squares_f32(const float* in, int64_t count, float mean) {
  return simd<centered_squares>(in, count, mean);
}

void normalize_row_f32(const float* in, int64_t count, float mean, float factor, const RowParameters& parameters,
                       float* out) {
  simd<normalize_row>(in, count, mean, factor, parameters, out);
}

void normalize_rows_f32(const float* in, int64_t rows, int64_t count, float epsilon, const float* scale,
                        const float* shift, float* out, float* means, float* factors) {
  simd<normalize_rows>(in, rows, count, epsilon, scale, shift, out, means, factors);
}

void centered_squares_of_columns_f32(const float* in, int64_t rows, int64_t stride, int64_t columns, const float* mean,
                                     float* total) {
  simd<centered_squares_of_columns>(in, rows, stride, columns, mean, total);
}

void normalize_columns_f32(const float* in, int64_t rows, int64_t stride, int64_t columns, const float* mean,
                           const float* factor, const float* shift, float* out) {
  simd<normalize_columns>(in, rows, stride, columns, mean, factor, shift, out);
}

}  // namespace pli::compute
