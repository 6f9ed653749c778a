#include "passes/affine/move_affine.h"

namespace pli::passes {

namespace {

/// Other arithmetic is not worth a line in the report.
bool is_affine(const Context& context, ir::NodeId id) {
  Refusal why;
  if (!is_arithmetic(context.graph.node(id)) || context.broken.contains(id)) return false;
  return read_arithmetic(context, id, why) || why.code == code::kNonFinite;
}

}  // namespace

/// Linear -> Mul, Add, Sub or Div by a constant, or Neg   =>   Linear with other weights
///
/// and the other way round. x * c, x + c, x - c, c - x, x / c and -x are affine in x; c / x is not. What TensorFlow's
/// exports make of BatchNormalization is such a Mul and Add.
int64_t fold_channel_affine(Context& context) { return move_affines(context, is_affine, read_arithmetic); }

}  // namespace pli::passes
