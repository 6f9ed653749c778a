#pragma once

#include "runtime/compute/kernel.h"
#include "runtime/compute/post_op.h"
#include "runtime/compute/weight_cache.h"

namespace pli::compute {

/// result = scale * (a b + bias), float32 or float64. All of one rank of at least 2; dimensions before the last two are
/// equal or 1 (broadcast). Any strides in the last two dimensions of a and b, so that a transposed operand is a matter
/// of its description. Inputs of the kernel: 0 a, 1 b, then bias and post-op operands where they are named; output 0:
/// the result, row-major.
struct MatMulProblem {
  TensorDesc a;                        // [..., M, K]
  TensorDesc b;                        // [..., K, N]
  TensorDesc result;                   // [..., M, N]
  const Tensor* b_constant = nullptr;  // the payload of b, when it is known: may be packed, and stored in a half
  bool has_bias = false;               // [N], row-major
  size_t bias_operand = 2;             // the kernel's input that holds it
  float scale = 1;
  PostOps post_ops;
  WeightCache* cache = nullptr;
  int64_t most_scratch_bytes = INT64_MAX;  // where there is a kernel that takes less
};

/// kUnsupported where oneDNN has no implementation.
std::unique_ptr<Kernel> make_matmul(const MatMulProblem& problem);

}  // namespace pli::compute
