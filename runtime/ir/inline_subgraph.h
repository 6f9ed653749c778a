#pragma once

#include "runtime/ir/graph.h"

namespace pli::ir {

/// What a nested graph became in the graph around it.
struct InlinedSubgraph {
  std::vector<NodeId> nodes;                            // parallel to the nested graph's
  std::vector<ValueId> outputs;                         // likewise
  std::vector<std::pair<ValueId, std::string>> values;  // new ones, and what the nested graph calls them
};

/// Copies what a nested graph without inputs holds into `graph`, before the node `before`. New values get names that no
/// graph of the model has. kInvalidModel when the nested graph has inputs.
InlinedSubgraph inline_subgraph(Graph& graph, const Subgraph& subgraph, NodeId before);

}  // namespace pli::ir
