#pragma once

#include "runtime/compute/matmul.h"

namespace pli::compute {

/// The same in float64. Of post-ops only sums with an operand.
std::unique_ptr<Kernel> make_matmul_f64(const MatMulProblem& problem);

}  // namespace pli::compute
