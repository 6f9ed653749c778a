#pragma once

#include "passes/pass.h"
#include "passes/refusal.h"
#include "runtime/ops/normalization/batch_normalization.h"

namespace pli::passes {

/// A node that computes y = scale * x + shift with constant numbers, one pair for each channel of x or one for all of
/// it.
struct AffineNode {
  ir::NodeId node;
  ir::ValueId x, y;
  ir::ValueId shift_origin;   // the constant that a shift is named after
  ops::ChannelAffine affine;  // a single scale and shift (axis -1): for all channels
  bool uniform() const { return affine.axis < 0; }
};

/// Add, Sub, Mul or Div.
bool is_arithmetic(const ir::Node& node);

/// A binary arithmetic node one of whose operands is constant.
struct ConstantOperand {
  ir::ValueId x, constant;
  bool constant_first = false;
  Shape shape;  // of the constant, aligned to the dimensions of x: as many, each that of x or 1
};

/// Reads Add, Sub, Mul or Div with a constant operand of a float type that is broadcast to the other, and not the other
/// way round.
std::optional<ConstantOperand> constant_operand(const ir::Graph& graph, const ir::Node& node, Refusal& why);

/// Reads a BatchNormalization at inference.
std::optional<AffineNode> read_batch_norm(const Context& context, ir::NodeId id, Refusal& why);

/// Reads Add, Sub, Mul or Div whose constant operand is a scalar or varies along one axis of the other.
std::optional<AffineNode> read_arithmetic(const Context& context, ir::NodeId id, Refusal& why);

/// It is an input with a default: constant as soon as the defaults are frozen.
bool is_overridable(const ir::Graph& graph, ir::ValueId id);

/// "; fold before quantizing" where a node that stands in the way says that whoever made the model could have done so;
/// else nothing.
std::string how_to_mend(const ir::Node& between);

/// "is an input of the model", ...: what a value is when it is not constant.
std::string why_not_constant(const ir::Graph& graph, ir::ValueId id);

/// An Add of a constant that varies along the last axis of x, in the model's own opset. The output is left to be named.
ir::NodeSpec add_of(const ir::Graph& graph, ir::ValueId x, ir::ValueId constant);

}  // namespace pli::passes
