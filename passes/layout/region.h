#pragma once

#include "passes/layout/turn.h"
#include "passes/pass.h"

#include <unordered_map>
#include <unordered_set>

namespace pli::passes {

/// A Transpose, seen from the value that it takes or gives.
struct TransposeSide {
  ir::NodeId node;
  bool gives = false;
  auto operator<=>(const TransposeSide&) const = default;
};

/// The permutation of a sound Transpose of a value whose rank is known; empty for other nodes, and where it moves
/// nothing.
Permutation permutation_of(const Context& context, ir::NodeId id);

/// What a Transpose of a value of these dimensions costs. All others together do not come to one that moves elements;
/// among those, and among the others, the larger one costs more. It moves none where only dimensions of 1 change
/// places: then a Reshape by a constant shape does the same.
int64_t cost_of_transpose(const ir::Graph& graph, const ir::Dims& dims, const Permutation& p);
/// That shape; nothing where elements move.
std::optional<std::vector<int64_t>> shape_instead(const ir::Graph& graph, const ir::Dims& dims, const Permutation& p);

/// Values that hang together by nodes that work along any axes, and how each is to be permuted, so that all of these
/// nodes may be turned, or any of them, with a Transpose wherever a value is needed both as it is and permuted.
class Region {
 public:
  /// From the value on the other side of a Transpose, which is to be as on this side.
  Region(const Context& context, const TransposeSide& seed);

  /// Chooses the nodes to be turned so that the Transposes that are left cost the least. False when there is no choice
  /// that costs less than what is there now, or finding it takes more steps than are left of `work`.
  bool choose(int64_t& work);

  struct Member {
    ir::NodeId node;
    Turn turn;
    bool chosen = false;
  };
  const std::vector<Member>& members() const { return members_; }
  /// Of a value that has a part in it: how it is to be permuted. Empty for others.
  const Permutation& layout(ir::ValueId value) const;
  /// The value that the permuted one is, where a Transpose of it makes this one. None otherwise.
  ir::ValueId source(ir::ValueId value) const;
  /// A Transpose at its border that gives the permuted value, and goes if that is there.
  bool takes_permuted(ir::Use use, ir::ValueId value) const;
  /// Another Transpose that reads a member's result, and is to become one of the permuted value.
  bool is_joined(ir::NodeId transpose) const { return joined_.contains(transpose.index); }
  /// The Transposes at its border, by the side that it meets.
  const std::vector<TransposeSide>& border() const { return border_; }
  /// Nodes and values that what is done to it could change.
  void for_each_touched(const std::function<void(ir::NodeId)>& node,
                        const std::function<void(ir::ValueId)>& value) const;
  /// Steps that growing it took.
  int64_t work() const { return work_; }

 private:
  enum class Maker { kMember, kSource, kTranspose, kOther };
  Maker maker_of(ir::ValueId value) const;
  void grow(ir::ValueId value);
  void meet(ir::NodeId id, Port port, ir::ValueId value);
  bool admits(const ir::Node& node, const Turn& turn) const;
  bool can_be_joined(ir::Use use) const;

  const Context& context_;
  const ir::Graph& graph_;
  std::vector<Member> members_;
  std::unordered_map<int32_t, size_t> member_of_;     // by node
  std::unordered_map<int32_t, Permutation> layouts_;  // by value
  std::vector<ir::ValueId> values_;                   // in the order in which they were found
  std::vector<TransposeSide> border_;
  std::unordered_map<int32_t, bool> met_;  // Transposes: by the value that they give
  std::unordered_set<int32_t> refused_;    // nodes
  std::unordered_set<int32_t> joined_;     // nodes
  int64_t work_ = 0;
};

/// A constant that becomes another for nothing: it is stored as it is used, and nobody else needs it or it is small.
bool is_free_constant(const Context& context, ir::ValueId value);

}  // namespace pli::passes
