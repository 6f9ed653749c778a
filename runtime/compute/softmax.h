#pragma once

#include "runtime/compute/kernel.h"

namespace pli::compute {

/// What is done to each group of elements.
enum class GroupFunction {
  kSoftmax,     // exp(x) / sum(exp(x))
  kLogSoftmax,  // its logarithm
  kHardmax,     // 1 at the first of the largest, else 0
  kL1,          // x / sum(|x|); 0 where that is 0
  kL2,          // x / sqrt(sum(x^2)), likewise
};

/// Applies `function` to the groups of elements that differ in the dimensions `axes` only. float32 and float64. Input
/// and output are both laid out as `desc` says, in any dense layout.
std::unique_ptr<Kernel> make_group_function(GroupFunction function, const TensorDesc& desc,
                                            std::span<const int64_t> axes);

}  // namespace pli::compute
