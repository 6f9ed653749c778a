#include "runtime/compute/tensor_desc.h"

#include <algorithm>
#include <numeric>

namespace pli::compute {

namespace {

/// Dense strides for dimensions visited from the innermost to the outermost.
template <class InnermostFirst>
PerAxis dense_strides(std::span<const int64_t> dims, const InnermostFirst& order) {
  PerAxis strides(dims.size());
  int64_t stride = 1;
  for (const size_t axis : order) {
    strides[axis] = stride;
    stride *= std::max<int64_t>(dims[axis], 1);
  }
  return strides;
}

/// Axes from the innermost (smallest stride) to the outermost; equal strides keep the later axis further in.
SmallVector<size_t, 6> innermost_first(const TensorDesc& desc) {
  SmallVector<size_t, 6> order(desc.dims.size());
  std::iota(order.rbegin(), order.rend(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t axis) { return desc.strides[axis]; });
  return order;
}

}  // namespace

PerAxis plain_strides(std::span<const int64_t> dims) {
  SmallVector<size_t, 6> order(dims.size());
  std::iota(order.rbegin(), order.rend(), size_t{0});
  return dense_strides(dims, order);
}

PerAxis channels_last_strides(std::span<const int64_t> dims) {
  if (dims.size() < 3) return plain_strides(dims);
  SmallVector<size_t, 6> order{1};
  for (size_t axis = dims.size(); axis-- > 2;) order.push_back(axis);
  order.push_back(0);
  return dense_strides(dims, order);
}

TensorDesc plain(DataType dtype, PerAxis dims) {
  auto strides = plain_strides(dims);
  return {dtype, std::move(dims), std::move(strides)};
}

TensorDesc channels_last(DataType dtype, PerAxis dims) {
  auto strides = channels_last_strides(dims);
  return {dtype, std::move(dims), std::move(strides)};
}

int64_t spaced(int64_t size) {
  // Of 64 sets, with lines of 16 numbers, as many as 8 are met then, each with 8 lines or a few more.
  constexpr int64_t kCrowding = 128, kLine = 16;
  return size % kCrowding == 0 ? size + kLine : size;
}

TensorDesc spaced_channels_last(DataType dtype, PerAxis dims) {
  PerAxis apart = dims;
  apart[1] = spaced(dims[1]);
  return {dtype, std::move(dims), channels_last_strides(apart)};
}

TensorDesc laid_out_like(DataType dtype, PerAxis dims, const TensorDesc& like) {
  if (dims.size() != like.dims.size()) return plain(dtype, std::move(dims));
  auto strides = dense_strides(dims, innermost_first(like));
  return {dtype, std::move(dims), std::move(strides)};
}

bool same_layout(const TensorDesc& a, const TensorDesc& b) {
  if (a.dims != b.dims) return false;
  for (size_t i = 0; i < a.dims.size(); ++i)
    if (a.dims[i] > 1 && a.strides[i] != b.strides[i]) return false;
  return true;
}

bool is_plain(const TensorDesc& desc) { return same_layout(desc, plain(desc.dtype, desc.dims)); }

bool is_channels_last(const TensorDesc& desc) { return same_layout(desc, channels_last(desc.dtype, desc.dims)); }

std::optional<int64_t> equal_step(const TensorDesc& desc, std::span<const size_t> axes) {
  int64_t step = 0, places = 1;
  for (const size_t axis : axes) {
    if (desc.dims[axis] == 1) continue;
    if (places == 1) step = desc.strides[axis];
    if (step == 0 || desc.strides[axis] != step * places) return std::nullopt;
    places *= desc.dims[axis];
  }
  return step;
}

std::optional<int64_t> pixel_step(const TensorDesc& desc) {
  const size_t rank = desc.dims.size();
  if (rank < 3 || std::ranges::find(desc.dims, 0) != desc.dims.end()) return std::nullopt;
  const int64_t channels = desc.dims[1];
  if (channels > 1 && desc.strides[1] != 1) return std::nullopt;
  SmallVector<size_t, 6> axes;
  for (size_t axis = rank; axis-- > 2;) axes.push_back(axis);
  axes.push_back(0);
  const auto step = equal_step(desc, axes);
  if (step == 0) return channels;
  return step && *step >= channels ? step : std::nullopt;
}

bool is_dense(const TensorDesc& desc) {
  return same_layout(desc, {desc.dtype, desc.dims, dense_strides(desc.dims, innermost_first(desc))});
}

int64_t span_bytes(const TensorDesc& desc) {
  int64_t last = 0;
  for (size_t i = 0; i < desc.dims.size(); ++i) {
    if (desc.dims[i] == 0) return 0;
    last += (desc.dims[i] - 1) * desc.strides[i];
  }
  const auto bytes = packed_bytes(desc.dtype, last + 1);
  if (!bytes) fail(ErrorCode::kUnsupported, "elements of type {}", to_string(desc.dtype));
  return *bytes;
}

}  // namespace pli::compute
