#pragma once

#include "runtime/ir/graph.h"

#include <pli/model.h>

namespace pli {

ModelMetadata read_metadata(const ir::Model& model);

}  // namespace pli
