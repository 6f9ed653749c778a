#pragma once

#include "runtime/ops/operator.h"

#include <map>
#include <string>

namespace pli::ops {

/// Runs one node on constant inputs through its kernel, so that folding and running can't disagree. Null: an input that
/// is omitted, or of which only the type counts. One thread. kUnsupported when Pli can't run the node; kResourceLimit
/// when an output passes the limits.
std::vector<Tensor> evaluate(const ir::Graph& graph, const ir::Node& node, std::span<const Tensor* const> inputs,
                             const Limits& limits);

/// Whether the node's outputs can be computed now: Pli runs it, it is a function of its inputs (no random numbers), and
/// each input is constant, or what counts of its type is known.
bool has_constant_inputs(const ir::Graph& graph, const ir::Node& node);

/// What folding constants may take over a whole graph: a small file must not ask for much.
struct FoldingBudget {
  int64_t bytes = 0;  // of new constants, unless who folds gives some back
  int64_t work = 0;   // multiply-adds, as an upper bound tells them

  static constexpr int64_t kForEachByte = 2;  // of a constant
  /// Twice the graph's constants, which is what a model whose weights are all shared or rearranged once needs, and some
  /// small results; some seconds of work.
  static FoldingBudget of(const ir::Graph& graph, const Limits& limits);
};

/// What keeps a node of constant inputs from being folded.
enum class FoldingLimit {
  kNone,
  kNode,      // its results are larger than both its operands and limits.folded_bytes
  kAllNodes,  // budget.bytes
  kWork,      // budget.work
};

/// The outputs of a node of constant inputs whose output types are known, the cost taken from `budget`. Nothing where
/// they can't be computed or the cost passes a limit: then that is `passed`, if given. Errors as above.
std::optional<std::vector<Tensor>> fold_constant(const ir::Graph& graph, const ir::Node& node, const Limits& limits,
                                                 FoldingBudget& budget, FoldingLimit* passed = nullptr);

/// Nodes that break the standard, and how.
using BrokenNodes = std::map<ir::NodeId, std::string>;

/// Infers the type of every value of the graph from its inputs, initializers and operators, in place. What is inferred
/// replaces what was declared; declared types stay where nothing can be inferred, as behind a node that breaks the
/// standard. Returns those nodes.
[[nodiscard]] BrokenNodes infer_types(ir::Graph& graph, const Limits& limits);

}  // namespace pli::ops
