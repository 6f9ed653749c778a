#pragma once

#include "passes/affine.h"
#include "passes/pass.h"

namespace pli::passes {

/// Which output channel each element of a weight belongs to. The weight is seen as [groups, rows, columns, inner]; its
/// element (g, r, c, i) belongs to channel g * columns + c.
struct ChannelMap {
  int64_t groups = 1, rows = 1, columns = 1, inner = 1;
  int64_t channels() const { return groups * columns; }
};

/// A linear node, read so that every kind of it takes up scale and shift alike.
struct LinearNode {
  ir::NodeId node;       // Conv, ConvTranspose, Gemm or MatMul
  ir::NodeId bias_node;  // the Add of a constant behind a MatMul; none: the node adds the bias itself, or there is none
  ir::ValueId result;    // of the node, or of bias_node
  std::string_view how;  // the rule's name when it takes up what follows it
  ir::ValueId weight, bias;  // bias: none when there is none
  double bias_factor = 1;    // Gemm's beta
  ChannelMap map;
  int64_t axis = 1;  // of the result's channels
};

/// A linear node and the Transposes by which all of its result, used nowhere else, reaches an affine node.
struct LinearMatch {
  LinearNode linear;
  std::vector<ir::NodeId> transposes;  // in the order of the data
};

/// The linear node that could take up `affine`, whose numbers run along the channels of its result.
std::optional<LinearMatch> match_linear(const Context& context, const AffineNode& affine, Refusal& why);

/// Whether the node keeps to the standard: what does not has no meaning that a fold could keep.
bool is_sound(const Context& context, ir::NodeId id, Refusal& why);

}  // namespace pli::passes
