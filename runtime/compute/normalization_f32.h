#pragma once

#include <cstdint>

namespace pli::compute {

// The hot loops of normalizations, on floats. Sums are over at most a few thousand elements: the caller adds up pieces.

/// sum((x - mean)^2) of a contiguous row.
float centered_squares_f32(const float* in, int64_t count, float mean);

/// out = (in - mean) * factor * scale + shift. A null scale or shift: 1, 0. They move with the row, or are one number
/// each.
struct RowParameters {
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool moving = false;
};
void normalize_row_f32(const float* in, int64_t count, float mean, float factor, const RowParameters& parameters,
                       float* out);

/// LayerNormalization of contiguous rows of `count` elements, with a scale for each. A null shift: 0. The statistics of
/// the rows go to `means` and `factors` (1 / sqrt(variance + epsilon)), which may be null.
void normalize_rows_f32(const float* in, int64_t rows, int64_t count, float epsilon, const float* scale,
                        const float* shift, float* out, float* means, float* factors);

/// total[c] = the sum over rows, `stride` apart, of (in[c] - mean[c])^2.
void centered_squares_of_columns_f32(const float* in, int64_t rows, int64_t stride, int64_t columns, const float* mean,
                                     float* total);

/// out[c] = (in[c] - mean[c]) * factor[c] + shift[c] in every row; in and out have the same layout.
void normalize_columns_f32(const float* in, int64_t rows, int64_t stride, int64_t columns, const float* mean,
                           const float* factor, const float* shift, float* out);

}  // namespace pli::compute
