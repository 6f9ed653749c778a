#pragma once

#include "runtime/compute/matmul.h"

namespace pli::compute {

/// A product by the kernel of panels, both factors of which come with the call; float32, scale 1. Null where panels,
/// which cost as much as the product where there are few rows, are not worth it, where they take more memory than they
/// may, or for what it can't do behind the product. What is added has to lie as the result does.
std::unique_ptr<Kernel> make_batched_product(const MatMulProblem& problem, bool whatever_it_costs);

}  // namespace pli::compute
