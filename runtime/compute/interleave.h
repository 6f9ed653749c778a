#pragma once

#include "runtime/compute/kernel.h"

#include <memory>
#include <span>

namespace pli::compute {

/// Joins two to four tensors along `axis`, of which each has one element and the output's lie side by side: what comes
/// from equal places becomes neighbours, as when channels are shuffled. Null where it is not that, or where the rows
/// that are joined lie at unequal distances.
std::unique_ptr<Kernel> make_interleave(std::span<const TensorDesc> inputs, const TensorDesc& output, size_t axis);

}  // namespace pli::compute
