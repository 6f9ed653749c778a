#pragma once

#include "passes/pass.h"

#include <optional>
#include <vector>

namespace pli::passes {

/// The constants of a convolution or product that does what two did.
struct Combined {
  Shape shape;                 // of the weight
  std::vector<double> weight;  // row-major
  std::vector<double> bias;    // empty: there is none
};

struct Constants {
  ir::ValueId weight, bias;
};

/// A weight that a node's own constants allow to be combined with another: constant, of a float type, not stored as
/// integers, and nothing refers to it or to the bias beside the graph's nodes.
bool may_be_combined(const ir::Graph& graph, ir::ValueId weight, ir::ValueId bias);

/// Stores them in the place of `old`, a bias that is new beside its weight; they are rounded once, to the type of the
/// old weight, also where more is folded into them later. `stays`: the old weight does. Nothing where a number is not
/// finite or the budget does not allow it.
std::optional<Constants> store(Context& context, const Combined& combined, const Constants& old, bool stays);

}  // namespace pli::passes
