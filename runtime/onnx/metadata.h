#pragma once

#include "runtime/ir/graph.h"

#include <pli/model.h>

namespace pli {

ModelMetadata read_metadata(const ir::Model& model);

/// Nodes of a function, those of its nested graphs left out.
int64_t node_count(const ir::Function& function);

}  // namespace pli
