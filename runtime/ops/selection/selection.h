#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// TopK, CumSum, NonZero. In the order of TopK NaN is larger than every number, and of equal elements the first comes
/// first.
Family selection_family();

}  // namespace pli::ops
