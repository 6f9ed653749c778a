#pragma once

#include "runtime/compute/convolution_form.h"

namespace pli::compute {

/// A convolution of float32 as sums over the pixels that its filters meet, by kernels that take sizes when they run.
/// Null where it is not for it: groups of few filters, filters of very many taps.
std::unique_ptr<Kernel> make_direct_convolution(const KnownConvolution& convolution);

}  // namespace pli::compute
