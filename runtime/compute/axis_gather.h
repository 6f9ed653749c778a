#pragma once

#include "runtime/compute/tensor_desc.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pli::compute {

/// A copy that looks its source up dimension by dimension: element (i, j, ...) of the result is element (tables[0][i],
/// tables[1][j], ...) of the source, or a fill value where one of the tables says kFill. Any layouts; runs of memory
/// that the tables leave together are moved as rows. Immutable.
class AxisGather {
 public:
  static constexpr int64_t kFill = -1;

  /// One table a dimension, as long as `to`'s dimension, each entry kFill or an index of `from`'s.
  AxisGather(const TensorDesc& from, const TensorDesc& to, std::vector<std::vector<int64_t>> tables);

  /// `fill`: one element; not read where no table says kFill. In parallel.
  void run(const void* from, void* to, const void* fill) const;

 private:
  /// A dimension of the result: by how many elements each step advances there, and where each step is in the source.
  struct Axis {
    int64_t step = 0;
    std::vector<int64_t> from{0};  // elements, or kFill
  };

  template <class T>
  void gather(const T* from, T* to, const T* fill) const;

  DataType dtype_;
  int64_t row_ = 1;          // elements that are contiguous on both sides
  std::vector<Axis> outer_;  // outermost first
  Axis inner_;
  int64_t blocks_ = 0;  // steps of all outer dimensions together
};

}  // namespace pli::compute
