#pragma once

#include "runtime/ops/operator.h"

#include <span>
#include <string>
#include <vector>

namespace pli::exec {

/// Nodes that one kernel computes: a root, and what is done to its first output before it is stored.
struct Group {
  ir::NodeId root;
  std::vector<ir::NodeId> nodes;         // the root first
  std::vector<ops::Epilogue> epilogues;  // their operands index `operands`
  std::vector<ir::ValueId> operands;
  ir::ValueId result;  // takes the place of the root's first output
};

/// Groups for all of `nodes`, each where its last node stands, so that everything that it reads is there.
/// With `enabled` off every node is a group of its own.
std::vector<Group> fuse(const ir::Graph& graph, std::span<const ir::NodeId> nodes, bool enabled);

/// "Conv + Add + Relu".
std::string describe(const ir::Graph& graph, const Group& group);

}  // namespace pli::exec
