#pragma once

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace pli::ops {

/// A tensor around one of its dimensions: `outer` blocks of `axis` rows of `inner` elements each, row-major.
struct AxisSplit {
  int64_t outer = 1;
  int64_t axis = 1;
  int64_t inner = 1;

  AxisSplit(std::span<const int64_t> dims, size_t at) : axis(dims[at]) {
    for (size_t i = 0; i < at; ++i) outer *= dims[i];
    for (size_t i = at + 1; i < dims.size(); ++i) inner *= dims[i];
  }
  AxisSplit(int64_t outer_count, int64_t axis_count, int64_t inner_count)
      : outer(outer_count), axis(axis_count), inner(inner_count) {}
};

/// kInvalidArgument, naming the index, unless each of `count` indices, `step` apart, is in [-bound, bound).
template <class Index>
void check_indices(const Index* indices, int64_t count, int64_t bound, int64_t step = 1) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = indices[i * step];
    if (index < -bound || index >= bound)
      fail(ErrorCode::kInvalidArgument, "index {} is outside of a dimension of {}", index, bound);
  }
}

/// A checked index, counted from the end when negative.
inline int64_t from_end(int64_t index, int64_t bound) { return index < 0 ? index + bound : index; }

}  // namespace pli::ops
