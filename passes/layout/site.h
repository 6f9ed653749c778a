#pragma once

#include "passes/layout/axis_groups.h"
#include "passes/layout/turn.h"
#include "runtime/ops/operator.h"

/// What the lines of the table of turn.cpp share: they are for it alone.
namespace pli::passes {

using Answer = std::optional<Turn>;

/// A node with a permuted value at one of its ports.
struct Site {
  const ir::Graph& graph;
  const ir::Node& node;
  Port port;
  const Permutation& p;

  const ir::Dims* dims(ir::ValueId value) const {
    return value && graph.type(value).dims ? &*graph.type(value).dims : nullptr;
  }
  int64_t rank(ir::ValueId value) const { return value ? graph.type(value).rank() : -1; }
  int64_t rank() const { return rank(node.input(0)); }
  int64_t opset() const { return graph.opset(""); }
  bool at_data() const { return port.is_output || port.index == 0; }
  int64_t axis(int64_t fallback) const { return ops::normalize_axis(node.int_or("axis", fallback), rank()); }
};

ir::Attribute with(const char* name, ir::AttributeValue value);

/// A list of integers of the type that another operand of the node has.
Tensor list_like(const Site& s, size_t input, const std::vector<int64_t>& values);

/// The first `data` inputs and all outputs alike; they have as many dimensions each.
Answer alike(const Site& s, size_t data);

/// Input 0 and output 0 have the axes that the groups say; what is known of either side tells the other.
struct BothSides {
  Permutation in, out;
};
std::optional<BothSides> both_sides(const Site& s, const AxisGroups& groups);
Turn turn_of(const Site& s, BothSides sides);

/// A list of axes is an attribute or input 1, as the node has it.
void set_axes(const Site& s, Turn& turn, const std::vector<int64_t>& axes);

/// How an operand that is broadcast has to be permuted when the result is by `p`. Ones that it lacks in front have to
/// stay in front, unless it is constant: then it is given them.
std::optional<Permutation> permuted_operand(const ir::Dims& dims, const Permutation& p, bool is_constant);

// Along one axis or several, which become others: along_axes.cpp.
Answer turn_softmax(const Site& s);
Answer turn_lp_normalization(const Site& s);
Answer turn_concat(const Site& s);
Answer turn_split(const Site& s);
Answer turn_top_k(const Site& s);
Answer turn_gather_elements(const Site& s);
Answer turn_quantization(const Site& s);
Answer turn_cum_sum(const Site& s);
Answer turn_reduction(const Site& s);
Answer turn_arg(const Site& s);
Answer turn_gather(const Site& s);
Answer turn_layer_normalization(const Site& s);

// Numbers for each axis, and other axes on the other side: sizes.cpp.
Answer turn_slice(const Site& s);
Answer turn_pad(const Site& s);
Answer turn_resize(const Site& s);
Answer turn_tile(const Site& s);
Answer turn_expand(const Site& s);
Answer turn_squeeze(const Site& s);
Answer turn_unsqueeze(const Site& s);
Answer turn_reshape(const Site& s);
Answer turn_shape(const Site& s);
Answer turn_size(const Site& s);

}  // namespace pli::passes
