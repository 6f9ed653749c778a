#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Scatter, ScatterElements, ScatterND: a copy of the data with some elements replaced by, or combined with, updates.
/// They are applied in order, so that of several updates of one element the last stays. An index that is out of range
/// is kInvalidArgument, before anything is written.
Family scatter_family();

}  // namespace pli::ops
