#pragma once

#include "runtime/ir/graph.h"

namespace pli::exec {

/// Puts one node of the internal domain in the place of the several that exporters write for one activation:
///   x * Sigmoid(x)                          => Swish
///   x * HardSigmoid(x; 1/6, 1/2)            => HardSwish
///   x * Clip(x + 3; 0, 6) / 6               => HardSwish
///   x * (1 + Erf(x / sqrt(2))) * 0.5        => Gelu, the factors in any order
/// Only where nothing else reads what lies in between.
void join_activations(ir::Graph& graph);

}  // namespace pli::exec
