#pragma once

#include "runtime/compute/tensor_desc.h"

namespace pli::compute {

/// A weight as [groups,] filters, channels, kernel... into panels of 16 filters, in parallel: to[group][filters /
/// 16][kernel...][channels][16], zeros for filters that are not there.
void pack_panels(const float* from, const TensorDesc& weight, bool has_groups, float* to);

}  // namespace pli::compute
