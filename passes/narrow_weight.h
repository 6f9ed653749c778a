#pragma once

#include "runtime/ir/graph.h"

#include <optional>

namespace pli::passes {

/// How a constant is stored in fewer bits than it is used in: a Cast, CastLike or DequantizeLinear widens it, and nodes
/// that only move elements (Transpose, Reshape, ...) may follow.
struct NarrowWeight {
  ir::NodeId cast;
  ir::ValueId stored;
  bool shared = false;  // some value between the stored one and the constant is used elsewhere too
};

/// Nothing when the constant is stored as it is, or computed from what is stored by other nodes.
std::optional<NarrowWeight> narrow_weight(const ir::Graph& graph, ir::ValueId constant);

/// Where a new weight takes the place of an old one, that stays beside it: somebody else uses it, it is the result of
/// an Identity, which shares it, or it belongs to an enclosing graph.
bool weight_stays(const ir::Graph& graph, ir::ValueId weight);

/// The node makes of a stored constant a larger one, or moves what such a node has made: computing it once and for all
/// would make the file larger. (Of small ones it would be no smaller for the node.)
bool widens_weight(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::passes
