#pragma once

#include "runtime/ir/graph.h"

#include <optional>

namespace pli::tools {

/// Where the elements of `value` are indices (of Gather and its like, also behind Cast, Reshape and other nodes that
/// leave the numbers as they are): the length of the shortest dimension that they index. Nothing where they are no
/// indices.
std::optional<int64_t> index_limit(const ir::Graph& graph, ir::ValueId value);

}  // namespace pli::tools
