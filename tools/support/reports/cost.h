#pragma once

#include "runtime/ir/graph.h"

#include <cstdint>
#include <optional>

namespace pli::tools {

/// What one node takes, as far as its types are known.
struct NodeCost {
  /// Floating-point operations of Conv, ConvTranspose, Gemm and MatMul, a multiplication and an addition counting two;
  /// 0 for all other operators, which next to these cost memory traffic only.
  std::optional<int64_t> flops;
  /// Bytes of the operands, weights among them, and of the results, each once.
  std::optional<int64_t> bytes;
};

/// kInvalidModel when attributes and operands contradict each other.
NodeCost cost_of(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::tools
