#pragma once

#include "passes/pass.h"

#include <span>

namespace pli::passes {

/// Lets go of the originals of large folded weights around `nodes` that nothing is left to be folded into: neither an
/// affine nor a parallel convolution is connected with the node but through other nodes with weights. What looks as if
/// it might be one counts, so that a weight is rounded once however many folds it takes up; a region of many nodes is
/// not looked through.
void release_originals(Context& context, std::span<const ir::NodeId> nodes);

}  // namespace pli::passes
