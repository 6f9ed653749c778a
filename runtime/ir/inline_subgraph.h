#pragma once

#include "runtime/ir/graph.h"

namespace pli::ir {

/// What a nested graph, or the body of a function, became in the graph around it.
struct InlinedSubgraph {
  std::vector<NodeId> nodes;                            // parallel to the nested graph's
  std::vector<ValueId> outputs;                         // likewise
  std::vector<std::pair<ValueId, std::string>> values;  // new ones, and what the nested graph calls them
};

/// Copies what a nested graph without inputs holds into `graph`, before the node `before`. New values get names that no
/// graph of the model has. kInvalidModel when the nested graph has inputs.
InlinedSubgraph inline_subgraph(Graph& graph, const Subgraph& subgraph, NodeId before);

/// What keeps the body of the function that a node calls from taking the node's place; nothing when nothing does.
std::optional<std::string> why_not_inlined(const Graph& graph, const Node& call);

/// Puts the body of a function in the place of the node that calls it, References replaced by what the call gives.
/// Names of the body follow that of the call; the results keep theirs. kInternal when there is a reason why not.
InlinedSubgraph inline_call(Graph& graph, NodeId call);

}  // namespace pli::ir
