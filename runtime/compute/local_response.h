#pragma once

#include "runtime/compute/kernel.h"

namespace pli::compute {

/// y = x / (bias + alpha / size * s)^beta, s being the sum of x^2 over the `size` channels (dimension 1) around, the
/// larger half behind when size is even. float32 and float64. Input and output are both laid out as `desc` says.
struct LocalResponse {
  int64_t size = 1;
  double alpha = 0;
  double beta = 0;
  double bias = 0;
};
std::unique_ptr<Kernel> make_local_response(const LocalResponse& response, const TensorDesc& desc);

}  // namespace pli::compute
