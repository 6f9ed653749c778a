#pragma once

#include "runtime/compute/kernel.h"

#include <array>
#include <cstdint>

namespace pli::compute {

/// How the window of a pool moves along one spatial dimension: it starts at output * stride - pad_begin and reads
/// `kernel` positions, `dilation` apart. What lies outside of the input is skipped.
struct PoolAxis {
  int64_t input = 1;
  int64_t output = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
};

struct Pool {
  enum class Kind {
    kMax,      // NaN when one is NaN; the lowest value when the window is empty
    kAverage,  // 0 when the window is empty
    kLp,       // (sum |x|^p)^(1/p)
  };
  Kind kind = Kind::kMax;
  std::array<PoolAxis, 3> axes;  // depth, height, width; those that the tensor does not have stay as they are made
  bool count_include_pad =
      false;  // kAverage divides by the positions in input and padding, not only by those in the input
  double p = 2;
  bool column_major_indices = false;
};

/// Pools `input` (N, C, one to three spatial dimensions) of float32, float64 or integers (kLp: floats) in any layout;
/// channels-last float32 is fast, but for kLp. `indices` (int64; may be omitted, kMax only) get the position of the
/// first largest element in the input, counted in row-major order, or with the first spatial dimension running fastest
/// and the last slowest; -1 when the window is empty.
std::unique_ptr<Kernel> make_pool(const Pool& pool, const TensorDesc& input, const TensorDesc& output,
                                  const TensorDesc& indices);

}  // namespace pli::compute
