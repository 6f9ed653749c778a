#pragma once

#include "runtime/compute/convolution.h"

namespace pli::compute {

/// The same in float64: source and result row-major, no post-ops. As a product of the weights and a matrix that is read
/// from the image as it goes.
std::unique_ptr<Kernel> make_convolution_f64(const ConvolutionProblem& problem);

}  // namespace pli::compute
