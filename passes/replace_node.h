#pragma once

#include "runtime/ir/graph.h"

#include <functional>

namespace pli::passes {

/// Puts the node of `spec`, whose outputs are left to be named, in the place of node `id`: its results have the names
/// and types of that one's. Who read the first result reads finish(it) from now on, if that is given.
ir::NodeId replace_node(ir::Graph& graph, ir::NodeId id, ir::NodeSpec spec,
                        const std::function<ir::ValueId(ir::ValueId)>& finish = {});

/// Gives the node this attribute, in the place of the one of that name, if it has one.
void set_attribute(ir::NodeSpec& spec, std::string name, ir::AttributeValue value);

}  // namespace pli::passes
