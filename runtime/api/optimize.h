#pragma once

#include <pli/optimize.h>

namespace pli {

/// optimize for a model that is run and never written: see passes::Purpose.
OptimizedModel optimize_to_run(Model&& model, const OptimizeOptions& options);

}  // namespace pli
