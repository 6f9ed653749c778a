#pragma once

#include "passes/layout/region.h"

namespace pli::passes {

/// The size of the constants that the chosen nodes need in another order.
int64_t bytes_of_constants(const Context& context, const Region& region);

/// Where a node of the graph stands among the others.
using Position = std::function<size_t(ir::NodeId)>;

/// Turns the nodes that were chosen.
void turn_region(Context& context, const Region& region, const Position& position);

/// A new Transpose of `value`, before another node.
ir::ValueId add_transpose(ir::Graph& graph, ir::ValueId value, const Permutation& p, const std::string& name,
                          ir::NodeId before);

}  // namespace pli::passes
