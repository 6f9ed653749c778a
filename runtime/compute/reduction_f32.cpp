#include "runtime/compute/reduction_f32.h"

#include "runtime/compute/fold_row.h"
#include "runtime/compute/lanes.h"
#include "runtime/compute/reduction_operations.h"

#include <array>

namespace pli::compute {

namespace {

/// `V` at one column of eight rows, joined as a tree.
template <class V, class Operation>
[[gnu::always_inline]] inline void fold_eight(Operation op, std::array<V, 8>& rows) {
  for (V& row : rows) op.map(row);
  for (size_t step = 1; step < 8; step *= 2)
    for (size_t k = 0; k < 8; k += 2 * step) op.join(rows[k], rows[k + step]);
}

template <class Operation>
[[gnu::always_inline]] inline void fold_columns(Operation op, const float* in, int64_t rows, int64_t stride,
                                                int64_t columns, float* total) {
  for (int64_t c = 0; c < columns; ++c) total[c] = static_cast<float>(Operation::kIdentity);
  const int64_t whole = columns - columns % kLanes;
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8) {
    const float* at = in + r * stride;
    for (int64_t c = 0; c < whole; c += kLanes) {
      std::array<Lanes, 8> group;
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) load(group[static_cast<size_t>(k)], at + k * stride + c);
      fold_eight(op, group);
      Lanes sum;
      load(sum, total + c);
      op.join(sum, group[0]);
      store(total + c, sum);
    }
    for (int64_t c = whole; c < columns; ++c) {
      std::array<float, 8> group;
      for (int k = 0; k < 8; ++k) group[static_cast<size_t>(k)] = at[k * stride + c];
      fold_eight(op, group);
      op.join(total[c], group[0]);
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      float value = in[r * stride + c];
      op.map(value);
      op.join(total[c], value);
    }
  }
}

[[gnu::always_inline]] inline float fold_row_by(Reduction reduction, const float* in, int64_t count) {
  return with_operation(
      reduction, [&](auto op) __attribute__((always_inline)) { return fold_row(op, in, count); });
}

[[gnu::always_inline]] inline void fold_columns_by(Reduction reduction, const float* in, int64_t rows, int64_t stride,
                                                   int64_t columns, float* total) {
  with_operation(
      reduction, [&](auto op) __attribute__((always_inline)) { fold_columns(op, in, rows, stride, columns, total); });
}

}  // namespace

float fold_row_f32(Reduction reduction, const float* in, int64_t count) {
  return simd<fold_row_by>(reduction, in, count);
}

void fold_columns_f32(Reduction reduction, const float* in, int64_t rows, int64_t stride, int64_t columns,
                      float* total) {
  simd<fold_columns_by>(reduction, in, rows, stride, columns, total);
}

}  // namespace pli::compute
