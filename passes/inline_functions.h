#pragma once

#include "runtime/ir/graph.h"

namespace pli::passes {

/// Puts what functions hold in the place of their calls, in the graph and in all that its nodes hold. Returns the
/// number of calls.
int64_t inline_calls(ir::Graph& graph);

}  // namespace pli::passes
