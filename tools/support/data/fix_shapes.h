#pragma once

#include "tools/support/data/inputs.h"

#include <pli/model.h>

namespace pli::tools {

/// The model with the shapes of --shape and the dimensions of --dim for good: what is symbolic in its inputs, outputs
/// and values becomes these numbers. kInvalidArgument for what the model does not have.
Model fix_shapes(const Model& model, const InputOptions& options);

}  // namespace pli::tools
