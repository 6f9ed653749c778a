#pragma once

#include <memory>

namespace pli::compute {

/// Packed weights that the kernels of a session share, whatever plan they belong to. Its content is the adapter's
/// matter.
class WeightCache;

std::shared_ptr<WeightCache> make_weight_cache();

}  // namespace pli::compute
