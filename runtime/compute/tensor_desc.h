#pragma once

#include "runtime/core/small_vector.h"
#include "runtime/core/tensor.h"

#include <cstdint>
#include <optional>
#include <span>

namespace pli::compute {

/// A tensor in memory: element type, dimensions in ONNX's order (N, C, spatial...), and a stride in elements for each.
/// The memory layout is the strides: channels-last is a permutation of them, a transposed tensor another.
/// dtype kUndefined: an omitted optional operand.
struct TensorDesc {
  DataType dtype = DataType::kUndefined;
  PerAxis dims;
  PerAxis strides;

  bool present() const { return dtype != DataType::kUndefined; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t size() const { return *checked_size(dims); }
  bool operator==(const TensorDesc&) const = default;
};

/// Row-major strides, ONNX's own layout.
PerAxis plain_strides(std::span<const int64_t> dims);
/// Channels innermost (N, spatial..., C); rank 3 and more, else row-major.
PerAxis channels_last_strides(std::span<const int64_t> dims);

TensorDesc plain(DataType dtype, PerAxis dims);
TensorDesc channels_last(DataType dtype, PerAxis dims);

/// Numbers from one array of so many numbers to the next, for arrays that are read side by side: more than that where
/// they would be so large a power of two apart that they meet in a few sets of the first cache, and drive each other
/// out of it.
int64_t spaced(int64_t size);
/// Channels-last, pixels spaced.
TensorDesc spaced_channels_last(DataType dtype, PerAxis dims);
/// `dims` laid out densely in the order of dimensions that `like` has, outermost first (largest stride first).
TensorDesc laid_out_like(DataType dtype, PerAxis dims, const TensorDesc& like);

/// The same elements at the same places: strides compared only where a dimension is larger than 1.
bool same_layout(const TensorDesc& a, const TensorDesc& b);
bool is_plain(const TensorDesc& desc);
bool is_channels_last(const TensorDesc& desc);
/// Elements from one to the next of all places along `axes`, innermost first, where they lie at equal distances;
/// nothing where they do not or where one stands for several. 0 where there is one place only.
std::optional<int64_t> equal_step(const TensorDesc& desc, std::span<const size_t> axes);
/// Elements from a pixel of images to the next, where the channels of a pixel lie side by side and pixels at equal
/// distances, as in channels-last images and in some of their channels. Nothing elsewhere.
std::optional<int64_t> pixel_step(const TensorDesc& desc);
/// Every element of the memory is used once: some permutation of a dense array.
bool is_dense(const TensorDesc& desc);

/// Bytes from the first to behind the last element.
int64_t span_bytes(const TensorDesc& desc);

}  // namespace pli::compute
