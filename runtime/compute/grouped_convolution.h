#pragma once

#include "runtime/compute/convolution_form.h"

namespace pli::compute {

/// A convolution of float32 in which every channel is a group of its own, with one filter, or in which a group has a
/// few channels and so few filters that vectors of them are all its columns. Null where it is neither.
std::unique_ptr<Kernel> make_grouped_convolution(const KnownConvolution& convolution);

}  // namespace pli::compute
