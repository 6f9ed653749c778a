#pragma once

#include "passes/pass.h"

namespace pli::passes {

/// Both are a Conv of one group, or products of the same kind, with constant weights, and the product of these is
/// smaller than both together: what is stored, and what is computed for each result. The second reads the first.
bool is_worth_merging(const Context& context, ir::NodeId first, ir::NodeId second);

}  // namespace pli::passes
