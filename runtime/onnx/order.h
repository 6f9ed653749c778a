#pragma once

#include "runtime/onnx/proto.h"

#include <vector>

namespace pli {

/// The nodes of a graph, by index, in an order in which everything is made before it is used, also by graphs nested in
/// nodes. An order that is right already stays; otherwise a node moves no further back than what it waits for.
/// kInvalidModel, naming a node, when there is a cycle or a name is given to two values.
std::vector<int> order_nodes(const onnx::GraphProto& graph);

}  // namespace pli
