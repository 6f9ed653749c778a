#pragma once

#include "runtime/compute/convolution_form.h"

namespace pli::compute {

/// A convolution of float32 in which every channel is a group of its own, with one filter. Null where it is none.
std::unique_ptr<Kernel> make_depthwise_convolution(const KnownConvolution& convolution);

}  // namespace pli::compute
