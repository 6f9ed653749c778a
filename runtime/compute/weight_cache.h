#pragma once

#include <pli/tensor.h>

#include <cstdint>
#include <memory>

namespace pli::compute {

/// Packed weights that the kernels of a session share, whatever plan they belong to: each is there as long as a kernel
/// uses it. Its content is the adapter's matter.
class WeightCache;

std::shared_ptr<WeightCache> make_weight_cache();

/// Nobody but the kernels of this session reads `weight`: once it is packed into another layout its memory holds
/// that one or is given back, and the packed one stays, for whatever layout is wanted later.
void release_when_packed(WeightCache& cache, const Tensor& weight);

/// What the weights take that are there now, beside the tensors that they were made from.
int64_t packed_bytes(const WeightCache& cache);

}  // namespace pli::compute
