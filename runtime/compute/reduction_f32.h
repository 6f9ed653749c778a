#pragma once

#include "runtime/compute/reduction.h"

#include <cstdint>

namespace pli::compute {

// The hot loops of reductions, on floats; not for kProd and kLogSumExp. They join elements as floats, in several
// chains: the caller cuts long reductions into pieces of at most these sizes and joins the results in double.

inline constexpr int64_t kRowPiece = 4096;     // elements of a row
inline constexpr int64_t kColumnsPiece = 256;  // rows

/// The elements of a contiguous row as one.
float fold_row_f32(Reduction reduction, const float* in, int64_t count);

/// Contiguous rows, `stride` apart, as one row: total[c] = in[c] joined with in[c + stride], ...
void fold_columns_f32(Reduction reduction, const float* in, int64_t rows, int64_t stride, int64_t columns,
                      float* total);

}  // namespace pli::compute
