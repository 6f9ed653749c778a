#pragma once

#include "runtime/ops/operator.h"

#include <map>
#include <string>

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

/// What folding constants may take over a whole graph: a small file must not ask for much.
struct FoldingBudget {
  int64_t bytes = 0;  // of new constants beside those that they replace
  int64_t work = 0;   // multiply-adds, as an upper bound tells them

  /// Twice the graph's constants, which is what a model whose weights are all shared or rearranged once needs, and some
  /// small results; some seconds of work.
  static FoldingBudget of(const ir::Graph& graph, const Limits& limits);
};

/// evaluate_constant for a node whose output types are known, its cost taken from `budget`. Nothing as well when the
/// cost passes the budget, or when the results are larger than both the operands and limits.folded_bytes.
std::optional<std::vector<Tensor>> fold_constant(const ir::Graph& graph, const ir::Node& node, const Limits& limits,
                                                 FoldingBudget& budget);

/// Nodes that break the standard, and how.
using BrokenNodes = std::map<ir::NodeId, std::string>;

/// Infers the type of every value of the graph from its inputs, initializers and operators, in place. What is inferred
/// replaces what was declared; declared types stay where nothing can be inferred, as behind a node that breaks the
/// standard. Returns those nodes.
[[nodiscard]] BrokenNodes infer_types(ir::Graph& graph, const Limits& limits);

}  // namespace pli::ops
