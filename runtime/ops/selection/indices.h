#pragma once

#include "runtime/core/dispatch.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

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

/// An input that holds indices, of either type.
class Indices {
 public:
  /// kUnsupported unless the input's elements are int32 or int64.
  static bool are_wide(const TensorDesc& desc) {
    return with_index_type(desc.dtype, []<class Index>(Index) { return std::is_same_v<Index, int64_t>; });
  }

  Indices(const void* data, bool wide) : data_(data), wide_(wide) {}

  int64_t operator[](int64_t i) const {
    return wide_ ? static_cast<const int64_t*>(data_)[i] : static_cast<const int32_t*>(data_)[i];
  }

 private:
  const void* data_;
  bool wide_;
};

/// kInvalidArgument, naming the index, unless each of `count` indices from `first` on, `step` apart, is in
/// [-bound, bound).
inline void check_indices(const Indices& indices, int64_t count, int64_t bound, int64_t first = 0, int64_t step = 1) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = indices[first + i * step];
    if (index < -bound || index >= bound)
      fail(ErrorCode::kInvalidArgument, "index {} is outside of a dimension of {}", index, bound);
  }
}

/// kInvalidModel, naming the index, where input 1 is constant and holds tuples whose element d is outside of
/// [-bounds[d], bounds[d]) for a bound that is known.
inline void check_constant_tuples(const InferContext& context, std::span<const ir::Dim> bounds) {
  const Tensor* indices = context.constant(1);
  if (!indices) return;
  const std::vector<int64_t> values = to_int64s(*indices);
  for (size_t i = 0; i < values.size(); ++i) {
    const ir::Dim& bound = bounds[i % bounds.size()];
    if (bound.known() && (values[i] < -bound.value() || values[i] >= bound.value()))
      fail(ErrorCode::kInvalidModel, "index {} is outside of a dimension of {}", values[i], bound.value());
  }
}
inline void check_constant_indices(const InferContext& context, const ir::Dim& bound) {
  check_constant_tuples(context, std::span(&bound, 1));
}

/// A checked index, counted from the end when negative.
inline int64_t from_end(int64_t index, int64_t bound) { return index < 0 ? index + bound : index; }

}  // namespace pli::ops
