#pragma once

#include "passes/affine/absorb.h"
#include "passes/affine/carry.h"
#include "passes/affine/write_affine.h"

#include <algorithm>
#include <set>

namespace pli::passes {

/// An affine node that goes, and which way its affine went.
struct Removal {
  AffineNode affine;
  Way way;
};

struct PlannedAbsorption {
  Absorption absorption;
  ir::NodeId user;  // back: the node that asked
};

/// A constant operand that becomes another.
struct Operand {
  ir::Use use;
  Shape shape;
  std::vector<double> numbers;
};

/// Everything that is to be done, in the order in which it was found.
struct Plan {
  std::vector<Removal> removals;
  std::vector<PlannedAbsorption> absorptions;
  std::vector<std::pair<AffineNode, Affine>> merges;  // an affine node that becomes another
  std::vector<Operand> operands;                      // constants that become others
  int64_t casts = 0;
};

/// Looks for a way to move an affine to where weights take it up, and makes the plan.
class Search {
 public:
  Search(Context& context, const AffineNode& seed) : context_(context), graph_(context.graph), seed_(seed) {}

  /// What makes the operand of `use` is to give affine(of what it gives).
  bool back(ir::Use use, const Affine& affine);
  /// Who reads `value` is to do with it where it had affine(value).
  bool forth(ir::ValueId value, const Affine& affine);
  /// The node is not needed any more.
  void remove(const AffineNode& affine, Way way) {
    touch(affine.node);
    plan_.removals.push_back({affine, way});
  }

  /// Fewer affine nodes are left than there were, or as many and fewer BatchNormalizations.
  bool improves() const;
  const Plan& plan() const { return plan_; }
  const Refusal& why() const { return why_; }
  /// Found somebody with weights, or who lets others through, though it may not take this affine.
  bool met_taker() const { return met_taker_; }

 private:
  struct Mark {
    size_t removals, absorptions, merges, operands;
    int64_t casts;
    std::set<ir::NodeId> touched;
  };
  Mark mark() const {
    return {plan_.removals.size(), plan_.absorptions.size(),
            plan_.merges.size(),   plan_.operands.size(),
            plan_.casts,           touched_};
  }
  void return_to(const Mark& mark) {
    plan_.removals.erase(plan_.removals.begin() + static_cast<std::ptrdiff_t>(mark.removals), plan_.removals.end());
    plan_.absorptions.resize(mark.absorptions);
    plan_.merges.erase(plan_.merges.begin() + static_cast<std::ptrdiff_t>(mark.merges), plan_.merges.end());
    plan_.operands.resize(mark.operands);
    plan_.casts = mark.casts;
    touched_ = mark.touched;
  }

  /// False when the plan has asked this node before: it could not do both.
  bool touch(ir::NodeId id) { return touched_.insert(id).second; }
  bool look(const Affine& affine);
  bool work(int64_t count, int64_t each);
  bool keeps_range(const ir::Node& node, Way way);
  bool refuse(std::string_view code, const std::string& reason) {
    why_.because(code, "{}", reason);
    return false;
  }
  std::optional<AffineNode> affine_node(ir::NodeId id, ir::ValueId x);
  /// What has been joined since, further on, takes two nodes where this BatchNormalization would be one.
  bool could_be_one_node(size_t merges, const AffineNode& own, const Affine& joined) const {
    if (!graph_.node(own.node).is("BatchNormalization") || !fits_batch_norm(graph_, own, joined)) return false;
    return std::ranges::any_of(plan_.merges.begin() + static_cast<std::ptrdiff_t>(merges), plan_.merges.end(),
                               [&](const auto& merge) { return nodes_of(merge.second) > 1; });
  }
  bool forth_into(ir::Use use, const Affine& affine);
  bool carry_on(const Carried& carried, ir::NodeId id, Way way);

  Context& context_;
  const ir::Graph& graph_;
  const AffineNode& seed_;
  Plan plan_;
  Refusal why_;
  std::set<ir::NodeId> touched_;
  int visited_ = 0;
  bool met_taker_ = false;
};

}  // namespace pli::passes
