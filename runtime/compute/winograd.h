#pragma once

#include "runtime/compute/convolution_form.h"

namespace pli::compute {

/// A convolution of float32 by filters of 3x3 with stride 1, with fewer multiplications than the direct one needs. NaN
/// and infinity in the source reach all of a tile. Null where it is not for it, does not pay, or takes more scratch
/// memory than it may.
std::unique_ptr<Kernel> make_winograd_convolution(const KnownConvolution& convolution, int64_t most_scratch_bytes);

}  // namespace pli::compute
