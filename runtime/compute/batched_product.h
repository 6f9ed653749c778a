#pragma once

#include "runtime/compute/matmul.h"

namespace pli::compute {

/// A product by the kernel of panels, both factors of which come with the call; float32. Null where it has no use for
/// panels, which cost as much as the product where there are few rows, or can't do what follows.
std::unique_ptr<Kernel> make_batched_product(const MatMulProblem& problem);

}  // namespace pli::compute
