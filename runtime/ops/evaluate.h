#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Runs one node on constant inputs through its kernel, so that folding and running can't disagree. Inputs that are
/// omitted are absent pointers. One thread. kUnsupported when Pli can't run the node; kResourceLimit when an output
/// passes the limits.
std::vector<Tensor> evaluate(const ir::Graph& graph, const ir::Node& node, std::span<const Tensor* const> inputs,
                             const Limits& limits);

/// The outputs of a node whose inputs are all constant, or of Shape and Size of a value whose dimensions are known;
/// nothing when that is not so, or when the node is not a function of its inputs (random numbers). Errors as above.
std::optional<std::vector<Tensor>> evaluate_constant(const ir::Graph& graph, const ir::Node& node,
                                                     const Limits& limits);

/// Infers the type of every value of the graph from its inputs, initializers and operators, in place. What is inferred
/// replaces what was declared; declared types stay where nothing can be inferred. kInvalidModel, naming the node, on a
/// contradiction.
void infer_types(ir::Graph& graph, const Limits& limits);

}  // namespace pli::ops
