#pragma once

#include "runtime/onnx/proto.h"

#include <pli/limits.h>

namespace pli {

/// Checks the model's local functions: each is there once, none calls itself, however indirectly, and what their calls
/// expand to keeps to the limit on nodes. kInvalidModel, kResourceLimit.
void check_functions(const onnx::ModelProto& model, const Limits& limits);

}  // namespace pli
