#pragma once

#include "passes/layout/permutation.h"
#include "runtime/ir/graph.h"

#include <optional>

namespace pli::passes {

/// Where a node meets a value that is to be permuted.
struct Port {
  bool is_output = false;
  size_t index = 0;
};

/// How the rows of a matrix are ordered anew: they are counted along axes of these sizes, which change places.
struct RowOrder {
  Shape sizes;
  Permutation p;
};

/// What a node becomes that works on permuted values. Permutations are parallel to its inputs and outputs; an empty one
/// leaves the value as it is.
struct Turn {
  std::vector<Permutation> inputs, outputs;
  std::vector<ir::Attribute> attributes{};                           // others than the node has, or more
  std::vector<std::pair<size_t, std::optional<Tensor>>> operands{};  // inputs that become constants, or are omitted
  bool becomes_reshape = false;                                      // by the shape among `operands`, whatever it was
  /// The one result is a list with an element for each axis of input 0: these of them, in this order, are wanted.
  std::vector<int64_t> listed{};
  /// What the one result has along its last axis comes in another order: those who read it have weights, whose rows
  /// have to be ordered likewise.
  std::optional<RowOrder> rows{};
};

/// The constant whose rows are multiplied with what this use has along its last axis; none where there is no such.
ir::ValueId weight_of_rows(const ir::Graph& graph, ir::Use use);

/// What the node has to become when the value at this port is permuted by `p`, which is no identity. Nothing where the
/// node does not work along other axes as it does along its own. A constant operand of fewer dimensions than its
/// permutation has is to be given as many, by ones in front.
std::optional<Turn> turn(const ir::Graph& graph, const ir::Node& node, Port port, const Permutation& p);

}  // namespace pli::passes
