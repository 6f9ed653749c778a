#pragma once

#include "runtime/core/tensor.h"

#include <cstdint>

/// float16 and bfloat16 in bulk: what to_float, to_float16 and to_bfloat16 give, but that of a NaN's payload stays what
/// there is room for. By the processor's own instructions where it has them (F16C).
namespace pli::compute {

void widen(const Float16* from, float* to, int64_t count);
void widen(const Bfloat16* from, float* to, int64_t count);
/// Rounded to nearest, a tie to even, overflow to infinity.
void narrow(const float* from, Float16* to, int64_t count);
void narrow(const float* from, Bfloat16* to, int64_t count);

/// The elements of a tensor of float16 or bfloat16 as floats. kInternal for other types.
Tensor widened(const Tensor& tensor);
/// The elements of a tensor of float32 as float16 or bfloat16. kInternal for other types.
Tensor narrowed(const Tensor& tensor, DataType dtype);

}  // namespace pli::compute
