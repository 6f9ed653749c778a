#pragma once

#include "runtime/compute/kernel.h"
#include "runtime/compute/post_op.h"
#include "runtime/compute/weight_cache.h"

namespace pli::compute {

/// A convolution, or its transpose, of images of float32 or float64 with 1 to 3 spatial dimensions. Inputs of the
/// kernel: 0 source, 1 weight, 2 bias (where present), then what post-ops name; output 0: the result. Source and result
/// channels-last, pixels at any equal distances (of the result: kernels of ours); in float64 row-major. Constants may
/// be stored as float16 or bfloat16 where the rest is float32.
struct ConvolutionProblem {
  bool transposed = false;
  TensorDesc source;               // [N, C, spatial...]
  TensorDesc result;               // [N, M, spatial...]
  PerAxis weight_dims;             // [M, C / groups, kernel...]; transposed: [C, M / groups, kernel...]; row-major
  const Tensor* weight = nullptr;  // constant: packed once; null: read at each call
  bool has_bias = false;           // [M]
  const Tensor* bias = nullptr;    // likewise
  int64_t groups = 1;
  PerAxis strides, dilations, pads_begin, pads_end;  // one for each spatial dimension; dilations start at 1
  PostOps post_ops;                                  // what they add is described as the result
  WeightCache* cache = nullptr;                      // where packed weights are shared; may be null
  bool exact = false;                                // sums are made of their own products: NaN reaches what reads it
  int64_t most_scratch_bytes = INT64_MAX;            // where there is a kernel that takes less
};

/// By a kernel of ours where there is one, else by oneDNN: kUnsupported where it has none. The constant weight and bias
/// have to outlive the kernel.
std::unique_ptr<Kernel> make_convolution(const ConvolutionProblem& problem);

}  // namespace pli::compute
