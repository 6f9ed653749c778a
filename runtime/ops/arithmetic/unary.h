#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Abs, Neg, Sign, Ceil, Floor, Round, Sqrt, Reciprocal, Exp, Log, Erf, the trigonometric and hyperbolic functions and
/// their inverses, Not, BitwiseNot, IsNaN, IsInf.
Family unary_family();

}  // namespace pli::ops
