#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Normalizations by statistics of the input itself: InstanceNormalization, GroupNormalization, LayerNormalization,
/// MeanVarianceNormalization, LRN.
Family normalization_family();

}  // namespace pli::ops
