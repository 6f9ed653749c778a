#pragma once

#include "passes/linear.h"

namespace pli::passes {

/// Folds an affine node into the weights of the linear node before it:
///
///     scale * (W x + b) + shift   =>   (scale W) x + (scale b + shift)
///
/// in double, rounded once to the type of W. Everything is checked before anything is changed. Gives the name of the
/// node that took it up.
std::optional<std::string> absorb_following(Context& context, const AffineNode& affine, const LinearMatch& match,
                                            Refusal& why);

/// Reads node `id` as an affine one and folds it where that can be done; logs what became of it. Returns whether it was
/// folded.
bool fold_affine(Context& context, ir::NodeId id,
                 std::optional<AffineNode> (*read)(const Context& context, ir::NodeId id, Refusal& why));

}  // namespace pli::passes
