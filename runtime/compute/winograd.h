#pragma once

#include "runtime/compute/convolution_form.h"

namespace pli::compute {

/// A convolution of float32 by filters of 3x3 with stride 1, with fewer multiplications than the direct one needs. NaN
/// and infinity in the source reach all of a tile. Null where it is not for it, or does not pay.
std::unique_ptr<Kernel> make_winograd_convolution(const KnownConvolution& convolution);

}  // namespace pli::compute
