#include "passes/absorb_following.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// An Add or Sub right behind a MatMul is its bias already: MatMul has no other place for one.
bool is_bias(const Context& context, const AffineNode& affine) {
  const bool shifts_only = std::ranges::all_of(affine.affine.scale, [](double scale) { return scale == 1; });
  if (!shifts_only) return false;
  Refusal ignored;
  const auto match = match_linear(context, affine, ignored);
  return match && context.graph.node(match->linear.node).is("MatMul") && !match->linear.bias_node;
}

}  // namespace

/// Linear -> Mul, Add, Sub or Div by a constant, one number or one for each channel   =>   Linear with other weights
///
/// x * c, x + c, x - c, c - x and x / c are affine in x; c / x is not. What TensorFlow's exports make of
/// BatchNormalization is such a Mul and Add. The guards are those of read_arithmetic and match_linear.
int64_t fold_channel_affine(Context& context) {
  int64_t changes = 0;
  for (const ir::NodeId id : context.graph.nodes()) {
    Refusal why;
    if (!context.graph.alive(id) || context.broken.contains(id)) continue;
    const auto affine = read_arithmetic(context, id, why);
    if ((!affine && why.code != code::kNonFinite) || (affine && is_bias(context, *affine))) continue;
    changes += fold_affine(context, id, read_arithmetic);
  }
  return changes;
}

}  // namespace pli::passes
