#pragma once

#include "runtime/compute/post_op.h"
#include "runtime/ops/operator.h"

namespace pli::ops {

/// A context's epilogues as what a kernel of runtime/compute does to its result.
compute::PostOps to_post_ops(const PrepareContext& context);

}  // namespace pli::ops
