#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Equal, Less, LessOrEqual, Greater, GreaterOrEqual; And, Or, Xor; BitwiseAnd, BitwiseOr, BitwiseXor, BitShift; Where.
Family comparison_family();

}  // namespace pli::ops
