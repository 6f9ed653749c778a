#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Cast and CastLike between the floating-point types of 16 to 64 bits, the integers of 8 to 64 bits, and bool.
///
/// From floating point to integers a value is truncated; beyond the range it becomes the nearest integer, and NaN
/// becomes 0. From wide to narrow integers the upper bits are dropped. Everything but 0 is true. Into floating point a
/// value is rounded.
Family cast_family();

/// A kernel that converts input 0 to output 0: equal dimensions, any layouts. kUnsupported for other element types.
std::unique_ptr<Kernel> make_cast(const TensorDesc& from, const TensorDesc& to);

}  // namespace pli::ops
