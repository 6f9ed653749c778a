#pragma once

#include "runtime/compute/thread_pool.h"
#include "runtime/compute/weight_cache.h"
#include "runtime/exec/fuse.h"
#include "runtime/exec/plan.h"
#include "runtime/exec/specialize.h"

#include <pli/session.h>

namespace pli::exec {

struct CompileOptions {
  std::shared_ptr<compute::ThreadPool> threads;
  Fusion fusion = Fusion::kAll;
  Precision precision = Precision::kFloat32;
  bool round_halves = false;  // each step rounds the halves that it gives, which may stay float32 otherwise
  Limits limits;
  ops::FoldingBudget folding;  // for each plan, and what its inputs add
  std::shared_ptr<compute::WeightCache> weights;
};

/// Makes the plan of `graph` for concrete inputs: makes it concrete, fuses, chooses layouts and implementations, packs
/// weights, plans the memory. kUnsupported, kInvalidModel, kResourceLimit as found on the way.
Plan compile(ir::Graph& graph, const Binding& binding, const CompileOptions& options);

}  // namespace pli::exec
