#pragma once

#include "passes/pass.h"

#include <span>

namespace pli::passes {

/// Every pass, in the order in which they run.
std::span<const Pass> passes();

/// Runs the passes on the model until nothing changes any more. kInvalidArgument: an unknown pass name in the options.
/// On an error the model is left in any state.
Report run(ir::Model& model, const OptimizeOptions& options, Purpose purpose = Purpose::kWriting);

}  // namespace pli::passes
