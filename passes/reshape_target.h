#pragma once

#include "runtime/ir/graph.h"

#include <optional>

namespace pli::passes {

/// From this version on the shape is an input of Reshape, before an attribute.
inline constexpr int64_t kShapeAsInput = 5;

/// A shape by which a Reshape gives these dimensions of what has the dimensions `from`: 0 copies one that stays, -1
/// stands for one that is not known. Nothing where that is not enough: without elements -1 stands for nothing, so that
/// both are used only where `infers`, that is where the model has a -1 already.
std::optional<std::vector<int64_t>> reshape_target(const ir::Dims& from, const ir::Dims& to, bool infers);

/// The shape of a Reshape has a -1, as far as it is known. False of other nodes.
bool infers_dimension(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::passes
