#pragma once

#include "passes/affine/affine_node.h"
#include "passes/affine/scaled_weight.h"

#include <span>

namespace pli::passes {

/// What becomes of a node that takes an affine up: its weight is multiplied, its bias another.
struct Absorption {
  ir::NodeId node;
  std::string how;               // the rule, such as "conv_absorbs_following"
  ir::ValueId weight;            // the operand that is multiplied
  std::optional<Spread> factor;  // none: it stays
  ir::ValueId bias;              // the operand that is replaced; none: there is none yet
  std::optional<Spread> new_bias;
  std::optional<Affine> rest;  // what the node has no place for: it remains to be done to the result
};

/// Where an affine stands that a node is asked to take up.
enum class Side {
  kBehind,  // on its result
  kFront,   // on one of its operands
};

/// An operator with constants that take an affine up.
struct Absorber {
  std::string_view op_type;
  std::string_view name;  // in Absorption::how
  /// On the result: y' = scale y + shift.
  std::optional<Absorption> (*behind)(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
  /// On operand `input`: the node is given x where it was given scale x + shift. Null: never.
  std::optional<Absorption> (*front)(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                     Refusal& why);
  /// The node once more with these constants; a bias that is none is left out. The outputs are left to be named.
  ir::NodeSpec (*rebuilt)(const ir::Graph& graph, const ir::Node& node, ir::ValueId weight, ir::ValueId bias);
};

/// The table of them.
std::span<const Absorber> absorbers();

/// Null when the operator has no such constants.
const Absorber* absorber_of(const ir::Node& node);

/// Everything is checked, nothing changed.
std::optional<Absorption> absorb_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
std::optional<Absorption> absorb_in_front(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                          Refusal& why);

}  // namespace pli::passes
