#include "passes/affine/move_affine.h"

namespace pli::passes {

/// Linear -> BatchNormalization   =>   Linear with other weights
/// BatchNormalization -> Linear   =>   Linear with other weights
///
/// where BatchNormalization at inference is, channel by channel,
///
///     y = scale / sqrt(variance + epsilon) * (x - mean) + bias
///
/// (Ioffe and Szegedy, 2015). What counts as linear and what may stand between say the tables of absorb.cpp and
/// carry.cpp.
int64_t fold_batch_norm(Context& context) {
  const auto takes = [](const Context& c, ir::NodeId id) { return c.graph.node(id).is("BatchNormalization"); };
  return move_affines(context, takes, read_batch_norm);
}

}  // namespace pli::passes
