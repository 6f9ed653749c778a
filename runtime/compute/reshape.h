#pragma once

#include "runtime/compute/kernel.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace pli::compute {

/// The strides under which `from`'s memory, as it lies, is the tensor reshaped to `dims`: the same elements in
/// row-major order of their indices. Nothing when no strides can say that. The products of both shapes are equal.
std::optional<std::vector<int64_t>> reshape_strides(const TensorDesc& from, std::span<const int64_t> dims);

/// Copies input 0, of any layout, to output 0: other dimensions of the same product and any layout, elements in
/// row-major order of their indices. One pass wherever the two shapes have a common refinement (a channel shuffle in
/// channels-last, say), else two through scratch memory.
std::unique_ptr<Kernel> make_reshape_copy(const TensorDesc& from, const TensorDesc& to);

}  // namespace pli::compute
