#include "runtime/compute/vector_math.h"

namespace pli::compute::detail {

const Bounds kExpBounds{-104, 89};       // beyond them exp(x) is 0 and infinite
const Bounds kNormalExpBounds{-88, 89};  // so that n is from -127 to 128
const Bounds kExpm1Bounds{-25, 88.3f};   // beyond them it is -1, and 2^n is no number
const float kMostTanh = 20;              // of twice the argument: from there on it is 1
const float kMostErf = 4;                // the same
const float kMostGelu = 7.5f;            // from there on the result is x, or nearly 0

}  // namespace pli::compute::detail
