#pragma once

#include "passes/affine/affine_node.h"

namespace pli::passes {

/// How many nodes say it: Mul, Add, both or none.
int64_t nodes_of(const Affine& affine);

/// Whether Mul and Add of the model's operator set can say it of a value of this type: its numbers are finite in it,
/// and before version 7 less is known of broadcasting.
bool can_write(const Context& context, const ir::Type& type, const Affine& affine);

/// Whether a BatchNormalization in the place of `node`, which is one, can say it.
bool fits_batch_norm(const ir::Graph& graph, const AffineNode& node, const Affine& affine);

/// What the nodes and constants that say an affine are called.
struct Written {
  ir::NodeId like;            // the node whose result the last one's is named after
  std::string node_name;      // of the last one; empty: none
  ir::ValueId constant;       // that the new one takes the place of; none:
  std::string constant_name;  // what it is called then,
  ir::ValueId origin;         // and what it was made from
};

/// Adds the nodes before `place`; gives their result, which is x where there are none.
ir::ValueId write_affine(Context& context, const Affine& affine, ir::ValueId x, ir::NodeId place, const Written& as);

/// Gives the BatchNormalization `id` this scale and bias, mean 0 and variance 1. Gives the node that it has become.
ir::NodeId write_batch_norm(Context& context, ir::NodeId id, const Affine& affine);

}  // namespace pli::passes
