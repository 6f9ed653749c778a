#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Add, Sub, Mul, Div, Pow, Mod, and of any number of operands Sum, Mean, Max, Min.
///
/// Integers wrap around on overflow. Division by zero and its remainder give 0, as in NumPy.
Family binary_family();

}  // namespace pli::ops
