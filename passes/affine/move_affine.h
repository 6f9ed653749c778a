#pragma once

#include "passes/affine/affine_node.h"

namespace pli::passes {

using Reader = std::optional<AffineNode> (*)(const Context& context, ir::NodeId id, Refusal& why);

/// Moves the affines of all nodes that `takes` names and `read` reads to where weights take them up, and removes the
/// nodes; logs what became of each. Returns how many were moved.
///
/// A node whose affine is moved back asks what makes its operand to give the result already scaled and shifted; one
/// whose affine is moved forward asks everybody who reads its result to do with the operand. Who is asked absorbs it
/// (the table of absorb.cpp), or lets it through and asks on (that of carry.cpp), or is affine itself and joins it. A
/// plan is made first, and carried out when nothing stands against it and fewer affine nodes are left, or as many and
/// fewer BatchNormalizations. Everything that can goes back before anything goes forward.
int64_t move_affines(Context& context, bool (*takes)(const Context& context, ir::NodeId id), Reader read);

}  // namespace pli::passes
