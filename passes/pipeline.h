#pragma once

#include "passes/pass.h"

#include <span>
#include <vector>

namespace pli::passes {

/// Every pass, in the order in which they run.
std::span<const Pass> passes();

/// Those that the options ask for. kInvalidArgument: an unknown pass name, or a last pass that does not run.
std::vector<Pass> selected(const OptimizeOptions& options);

/// Runs the passes on the model until nothing changes any more. kInvalidArgument: as for `selected`. On an
/// error the model is left in any state.
Report run(ir::Model& model, const OptimizeOptions& options, Purpose purpose = Purpose::kWriting);

}  // namespace pli::passes
