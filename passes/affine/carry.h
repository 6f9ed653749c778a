#pragma once

#include "passes/affine/affine.h"
#include "passes/refusal.h"

#include <string_view>
#include <vector>

namespace pli::passes {

/// Which way an affine moves through a node.
enum class Way {
  kBack,   // from a result to the operands
  kForth,  // from an operand to the results
};

/// An affine at a node that could let it through.
struct Crossing {
  const ir::Graph& graph;
  const ir::Node& node;
  Way way;
  size_t port;  // where it comes from: back the output, forth the input
};

/// What a node asks for in order to let an affine through: that it holds at each of these places instead. Where no
/// place is asked for, nothing changes.
struct Carried {
  std::vector<std::pair<size_t, Affine>> places;  // back: inputs, forth: outputs
  /// Constant operands that become others: input, numbers in the operand's own shape.
  std::vector<std::pair<size_t, std::vector<double>>> operands;
};

/// The operators that let an affine through, each both ways.
std::vector<std::string_view> carriers();

/// Whether anything lets an affine through this kind of node.
bool may_carry(const ir::Node& node);

/// `why` says in words what stands against it.
std::optional<Carried> carry(const Crossing& crossing, const Affine& affine, std::string& why);

}  // namespace pli::passes
