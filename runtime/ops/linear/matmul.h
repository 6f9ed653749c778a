#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Gemm: alpha * A' * B' + beta * C, A' being A or its transpose and C broadcast to the result's shape [M, N].
struct GemmView {
  ir::ValueId a, b, c;  // c: none when omitted
  bool trans_a = false;
  bool trans_b = false;
  float alpha = 1;
  float beta = 1;
  int64_t m = -1, k = -1, n = -1;  // -1: not known

  /// kInvalidModel when attributes and operands contradict each other.
  static GemmView of(const ir::Graph& graph, const ir::Node& node);

  /// `node` once more with another B, and `new_c` added as it is (beta 1); all else stays. Without `new_c`, which is
  /// for a node that adds nothing, C goes where the operator set lets it. The outputs are left to be named.
  ir::NodeSpec with_weights(const ir::Graph& graph, const ir::Node& node, ir::ValueId new_b, ir::ValueId new_c) const;
};

/// The type of NumPy's matmul for two operand shapes, the batch dimensions broadcast; no dimensions where a rank is not
/// known. kInvalidModel when they do not fit.
std::optional<ir::Dims> matmul_dims(const std::optional<ir::Dims>& a, const std::optional<ir::Dims>& b);

Family matmul_family();

// In matmul_kernel.cpp.
std::unique_ptr<Kernel> prepare_gemm(const PrepareContext& context);
std::unique_ptr<Kernel> prepare_matmul(const PrepareContext& context);

}  // namespace pli::ops
