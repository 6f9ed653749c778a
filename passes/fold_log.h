#pragma once

#include "passes/refusal.h"
#include "runtime/ir/graph.h"

#include <pli/optimize.h>

#include <map>
#include <set>

namespace pli::passes {

/// What becomes of each BatchNormalization of a model and of each other affine node that a pass looks at.
class FoldLog {
 public:
  /// Of a graph and those that its nodes hold. kInvalidArgument when options.keep names something that no node in them
  /// makes, unless `is_nested`: then it may be made elsewhere.
  FoldLog(const ir::Graph& graph, const OptimizeOptions& options, bool is_nested = false);

  /// The user wants this node left alone.
  bool kept_by_user(ir::NodeId id) const;

  /// A pass looks at this node: an entry of its own, if it has none.
  void consider(ir::NodeId id);
  /// About a BatchNormalization or a node that was considered; the node itself may be gone.
  void folded(ir::NodeId id, std::string into, std::string_view how);
  /// An affine without a code is forgotten.
  void refused(ir::NodeId id, Refusal why);

  /// What was said of one node is from now on said of another, which is what it has become.
  void became(ir::NodeId old, ir::NodeId made);

  /// The nested graph in attribute `branch` of `holder` has been put in its place, as `nodes`; the others of `holder`
  /// are gone, as it is.
  void inlined(const ir::Node& holder, std::string_view branch, std::span<const ir::NodeId> nodes);

  /// What was said of a graph that a node holds, in a log and report of its own.
  void nested(const ir::Graph& graph, const Report& report);

  /// BatchNormalizations that stay only because of defaults that may be overridden.
  int64_t kept_for_overridable() const;

  /// Every BatchNormalization in the model's order, then the other affines. `graph` is what the model has become.
  void write(const ir::Graph& graph, Report& report) const;

 private:
  struct Entry {
    Fold fold;
    ir::NodeId node;                          // none: in a nested graph, or gone with one
    std::shared_ptr<const ir::Graph> nested;  // that it is in
    bool freezing_helps = false;
  };

  Entry& entry(ir::NodeId id);

  const ir::Graph& graph_;
  std::set<ir::NodeId> keep_;
  std::map<const ir::Graph*, std::string> paths_;  // of nested graphs
  std::vector<Entry> batch_norms_;
  std::map<ir::NodeId, size_t> index_;    // into batch_norms_
  std::map<ir::NodeId, Fold> originals_;  // how the model calls what may turn out to be affine, before any pass renames
  std::map<ir::NodeId, Entry> affines_;
  std::vector<Fold> nested_affines_;
};

}  // namespace pli::passes
