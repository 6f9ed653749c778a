#include "passes/absorb_following.h"

namespace pli::passes {

/// Linear -> BatchNormalization   =>   Linear with other weights
///
/// where Linear is a Conv, ConvTranspose, Gemm or MatMul (+ Add), and BatchNormalization at inference is, channel by
/// channel,
///
///     y = scale / sqrt(variance + epsilon) * (x - mean) + bias
///
/// (Ioffe and Szegedy, 2015). The guards are those of read_batch_norm and match_linear.
int64_t fold_batch_norm(Context& context) {
  int64_t changes = 0;
  for (const ir::NodeId id : context.graph.nodes()) {
    if (!context.graph.alive(id) || !context.graph.node(id).is("BatchNormalization")) continue;
    changes += fold_affine(context, id, read_batch_norm);
  }
  return changes;
}

}  // namespace pli::passes
