#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// MaxUnpool.
Family unpooling_family();

}  // namespace pli::ops
