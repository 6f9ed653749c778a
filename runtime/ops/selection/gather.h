#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Gather, GatherElements, GatherND, Compress, OneHot. An index that is out of range when running is kInvalidArgument,
/// before anything is written.
Family gather_family();

}  // namespace pli::ops
