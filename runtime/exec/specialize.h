#pragma once

#include "runtime/ir/graph.h"
#include "runtime/ops/evaluate.h"

#include <pli/limits.h>

#include <set>
#include <span>
#include <vector>

namespace pli::exec {

/// Graph inputs whose values decide shapes, how kernels are made or which branch of an If is taken, such as the shape
/// that Reshape takes. Their values are part of a plan's key. Of a nested graph: its captures.
std::set<ir::ValueId> find_value_inputs(const ir::Graph& graph);

/// What a plan is compiled for: one tensor for each graph input, of which only shape and type count unless the input is
/// one of `value_inputs`. Null: an input that takes its default.
struct Binding {
  std::vector<const Tensor*> inputs;  // parallel to graph.inputs()
  const std::set<ir::ValueId>* value_inputs = nullptr;
};

/// Infers every type, makes constant what follows from constants and known dimensions, as far as that goes, and puts
/// the branch that is taken in the place of an If.
void infer_and_fold(ir::Graph& graph, const Limits& limits);

/// Makes every type of `graph` concrete for these inputs and every value constant that follows from constants and
/// shapes, as far as `budget` goes. Returns the nodes that are left to run, in order: those that an output needs and
/// that are not constant. kUnsupported: lists every operator that can't be run, or names the value whose shape, or the
/// If whose branch, depends on data.
std::vector<ir::NodeId> specialize(ir::Graph& graph, const Binding& binding, const Limits& limits,
                                   ops::FoldingBudget budget);

/// The nodes that some output needs, constants not looked behind, in order.
std::vector<ir::NodeId> needed_nodes(const ir::Graph& graph);

/// kUnsupported, with every operator of `nodes` that Pli can't run.
void check_supported(const ir::Graph& graph, std::span<const ir::NodeId> nodes);

}  // namespace pli::exec
