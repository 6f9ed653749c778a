#pragma once

#include "passes/affine/affine.h"
#include "passes/pass.h"
#include "passes/refusal.h"

namespace pli::passes {

/// A node that computes y = scale * x + shift with constant numbers.
struct AffineNode {
  ir::NodeId node;
  size_t operand = 0;  // which input x is
  ir::ValueId x, y;
  ir::ValueId origin;  // the constant that what becomes of its shift is named after
  Affine affine;
};

/// Add, Sub, Mul, Div or Neg.
bool is_arithmetic(const ir::Node& node);

/// Reads a BatchNormalization at inference.
std::optional<AffineNode> read_batch_norm(const Context& context, ir::NodeId id, Refusal& why);

/// Reads Add, Sub, Mul or Div by a constant that is broadcast to the other operand, or Neg.
std::optional<AffineNode> read_arithmetic(const Context& context, ir::NodeId id, Refusal& why);

/// Either.
std::optional<AffineNode> read_affine(const Context& context, ir::NodeId id, Refusal& why);

/// It is an input with a default: constant as soon as the defaults are frozen.
bool is_overridable(const ir::Graph& graph, ir::ValueId id);

/// "; fold before quantizing" where a node that stands in the way says that whoever made the model could have done so;
/// else nothing.
std::string how_to_mend(const ir::Node& between);

/// "is an input of the model", ...: what a value is when it is not constant.
std::string why_not_constant(const ir::Graph& graph, ir::ValueId id);

}  // namespace pli::passes
