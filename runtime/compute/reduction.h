#pragma once

#include "runtime/compute/kernel.h"

namespace pli::compute {

enum class Reduction { kSum, kMean, kMax, kMin, kProd, kL1, kL2, kLogSum, kLogSumExp, kSumSquare };

/// y = reduction of x over the dimensions whose size in `output` is 1, in any layouts; the ranks are equal. float32,
/// float64 and the integers, integer sums modulo 2^bits. NaN wins over every number in kMax and kMin. Over no elements:
/// the identity of the operation; for kMean NaN, or 0 of an integer.
std::unique_ptr<Kernel> make_reduction(Reduction reduction, const TensorDesc& input, const TensorDesc& output);

/// y (int64) = the index along `axis`, which is not empty, of the largest (smallest) x; of several equal ones the
/// first, or the last. NaN counts as the largest, and as the smallest.
std::unique_ptr<Kernel> make_arg_reduction(bool largest, bool last, const TensorDesc& input, size_t axis,
                                           const TensorDesc& output);

}  // namespace pli::compute
