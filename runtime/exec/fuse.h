#pragma once

#include "runtime/core/small_vector.h"
#include "runtime/ops/operator.h"

#include <span>
#include <string>
#include <vector>

namespace pli::exec {

/// Nodes that one kernel computes: a root, and what is done to its first output before it is stored.
struct Group {
  ir::NodeId root;
  SmallVector<ir::NodeId, 4> nodes;      // the root first
  std::vector<ops::Epilogue> epilogues;  // their operands index `operands`
  SmallVector<ir::ValueId, 2> operands;
  ir::ValueId result;  // takes the place of the root's first output
};

/// What may be taken into the operator before it.
enum class Fusion {
  kNone,  // nothing: every node is a group of its own
  kSums,  // biases and residual sums, which keep NaN and infinity
  kAll,   // activations as well, of which some make a number of NaN; convolutions may spread it
};

/// Groups for all of `nodes`, each where its last node stands, so that everything that it reads is there.
std::vector<Group> fuse(const ir::Graph& graph, std::span<const ir::NodeId> nodes, Fusion fusion);

/// A fused Relu, Clip or HardSigmoid, which `node` would be, makes a number of NaN.
bool drops_nan_when_fused(const ir::Graph& graph, const ir::Node& node);

/// "Conv + Add + Relu".
std::string describe(const ir::Graph& graph, const Group& group);

}  // namespace pli::exec
