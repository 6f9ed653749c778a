#pragma once

#include <cstddef>
#include <vector>

namespace pli::compute {

/// One thing that a kernel does to its result before it stores it. Several apply in order.
struct PostOp {
  enum class Kind {
    kRelu,         // x < 0 ? alpha x : x
    kClip,         // min(max(x, alpha), beta)
    kSigmoid,
    kTanh,
    kElu,          // x < 0 ? alpha (exp(x) - 1) : x
    kHardSwish,    // x min(max(x + 3, 0), 6) / 6
    kSwish,        // x sigmoid(alpha x)
    kGeluErf,
    kGeluTanh,
    kLinear,       // alpha x + beta
    kAdd,          // + input `operand`, of the result's shape and layout
    kAddInPlace,   // + what the result's memory holds before the call
    kAddChannel,   // + input `operand`, one element for each channel (dimension 1 of the result)
    kMulChannel,   // * input `operand`, likewise
    kAddRow,       // + input `operand`, one element for each place of the result's last dimension
  };
  Kind kind = Kind::kRelu;
  float alpha = 0;
  float beta = 0;
  size_t operand = 0;  // index into the kernel's inputs
};
using PostOps = std::vector<PostOp>;

}  // namespace pli::compute
