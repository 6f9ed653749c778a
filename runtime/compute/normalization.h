#pragma once

#include "runtime/compute/kernel.h"

namespace pli::compute {

/// y = (x - mean) / d * scale + shift, mean and variance of x being those of a group of elements: of those that differ
/// in the grouped dimensions only. d = sqrt(variance + epsilon), or sqrt(variance) + epsilon.
struct Normalization {
  TensorDesc desc;            // of x and y, in any layout; float32 or float64
  std::vector<bool> grouped;  // for each dimension
  double epsilon = 0;
  bool epsilon_outside_root = false;
  std::vector<int64_t> parameter_strides;  // for each dimension: what a step moves in scale and shift
};

/// Inputs: x, and scale and shift of x's type; these may be omitted (1, 0). Outputs: y, and of every group, in the
/// order of its memory, mean and 1 / d, in x's type; these may be omitted.
std::unique_ptr<Kernel> make_normalization(const Normalization& normalization);

}  // namespace pli::compute
