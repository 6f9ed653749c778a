#pragma once

#include "runtime/ir/inline_subgraph.h"
#include "runtime/ops/operator.h"

namespace pli::ops {

/// If, which runs when its condition follows from constants and shapes: then the branch takes its place.
Family if_family();

/// The attribute that holds the branch to take; nothing for other nodes, while the condition is not known, or when
/// there is no such branch.
std::optional<std::string_view> chosen_branch(const ir::Graph& graph, const ir::Node& node);

/// Puts the chosen branch, of which there has to be one, in the place of the node.
ir::InlinedSubgraph take_branch(ir::Graph& graph, ir::NodeId id);

}  // namespace pli::ops
