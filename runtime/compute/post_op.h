#pragma once

#include "runtime/compute/tensor_desc.h"

#include <cstddef>
#include <vector>

namespace pli::compute {

/// One thing that a kernel does to its result before it stores it. Several apply in order.
struct PostOp {
  enum class Kind {
    kRelu,  // x < 0 ? alpha x : x
    kClip,  // min(max(x, alpha), beta)
    kSigmoid,
    kTanh,
    kElu,        // x < 0 ? alpha (exp(x) - 1) : x
    kHardSwish,  // x min(max(x + 3, 0), 6) / 6
    kSwish,      // x sigmoid(alpha x)
    kGeluErf,
    kGeluTanh,
    kLinear,      // alpha x + beta
    kAdd,         // + input `operand`
    kAddInPlace,  // + what the result's memory holds before the call
  };
  Kind kind = Kind::kRelu;
  float alpha = 0;
  float beta = 0;
  size_t operand = 0;      // index into the kernel's inputs
  TensorDesc description;  // of the operand: the result's rank, each dimension the result's or 1
  bool operator==(const PostOp&) const = default;
};
using PostOps = std::vector<PostOp>;

}  // namespace pli::compute
