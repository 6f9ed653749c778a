#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// DepthToSpace and SpaceToDepth (in any layout), Trilu, ReverseSequence.
Family rearrange_family();

}  // namespace pli::ops
