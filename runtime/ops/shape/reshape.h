#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Identity, Dropout, Reshape, Flatten, Squeeze, Unsqueeze: the same elements in row-major order under other
/// dimensions. No work where strides can say it; else one copy, which keeps channels innermost where they end up in
/// dimension 1 of an image.
Family reshape_family();

/// A Dropout that only passes its input on: it is not told to train, or to drop nothing. The mask may still be used.
/// Versions before 7 always pass as that: their is_test tells the phase in which the model was exported, not what to do
/// now.
bool is_passing_dropout(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::ops
