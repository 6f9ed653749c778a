#pragma once

#include "runtime/compute/kernel.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace pli::compute {

/// How a dimension is resampled: position i of the result is the sum over t of weights[i * count + t] times position
/// indices[i * count + t] of the source. No weights: the dimension stays as it is.
struct Taps {
  int64_t count = 0;
  std::vector<int64_t> indices;
  std::vector<double> weights;
};

/// Resamples float32 or float64, one dimension after the other. `from` and `to` are dense and have their dimensions in
/// the same order of memory; taps[i] says how dimension i is made. kUnsupported for other types.
std::unique_ptr<Kernel> make_resample(const TensorDesc& from, const TensorDesc& to, const std::vector<Taps>& taps);

}  // namespace pli::compute
