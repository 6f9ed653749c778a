#pragma once

#include "runtime/core/tensor.h"

namespace pli::compute {

/// Whether no element is NaN or infinite, as for types that have neither.
bool all_finite(const Tensor& tensor);

}  // namespace pli::compute
