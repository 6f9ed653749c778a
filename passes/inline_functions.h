#pragma once

#include "passes/pass.h"

namespace pli::passes {

/// Puts what functions hold in the place of their calls, in the graph and in all that its nodes hold. Returns the
/// number of calls. In what is to be written, calls stay that a runtime could take for operators of its own.
int64_t inline_calls(ir::Graph& graph, Purpose purpose);

}  // namespace pli::passes
