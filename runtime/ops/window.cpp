#include "runtime/ops/window.h"

#include "runtime/core/error.h"

#include <algorithm>

namespace pli::ops {

namespace {

/// Sizes beyond this are no sizes of tensors; sums and products of a few of them stay far from overflow.
constexpr int64_t kLargest = int64_t{1} << 31;

Window::AutoPad auto_pad_of(const ir::Node& node) {
  const std::string text = node.string_or("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return Window::AutoPad::kNotSet;
  if (text == "SAME_UPPER") return Window::AutoPad::kSameUpper;
  if (text == "SAME_LOWER") return Window::AutoPad::kSameLower;
  if (text == "VALID") return Window::AutoPad::kValid;
  fail(ErrorCode::kInvalidModel, "auto_pad \"{}\" is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID", text);
}

void check_list(std::string_view what, std::span<const int64_t> list, size_t length, int64_t least) {
  if (list.size() != length)
    fail(ErrorCode::kInvalidModel, "{} {} has {} elements where {} are expected", what, to_string(list), list.size(),
         length);
  for (const int64_t value : list)
    if (value < least || value > kLargest)
      fail(ErrorCode::kInvalidModel, "{} {} where {} to {} is expected", what, value, least, kLargest);
}

}  // namespace

Window Window::of(const ir::Node& node, PerAxis kernel) {
  const size_t rank = kernel.size();
  Window window;
  window.kernel = std::move(kernel);
  window.strides = node.ints_or("strides", Shape(rank, 1));
  window.dilations = node.ints_or("dilations", Shape(rank, 1));
  window.auto_pad = auto_pad_of(node);
  check_list("kernel_shape", window.kernel, rank, 1);
  check_list("strides", window.strides, rank, 1);
  check_list("dilations", window.dilations, rank, 1);
  for (size_t i = 0; i < rank; ++i)
    if (window.extent(i) > kLargest)
      fail(ErrorCode::kInvalidModel, "kernel {} with dilation {} reaches too far", window.kernel[i],
           window.dilations[i]);

  Shape pads(2 * rank, 0);
  if (window.auto_pad == AutoPad::kNotSet) pads = node.ints_or("pads", std::move(pads));
  check_list("pads", pads, 2 * rank, 0);
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  return window;
}

ir::Dim Window::output_dim(size_t axis, const ir::Dim& input) const {
  const bool same = auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower;
  const int64_t padding = pads_begin[axis] + pads_end[axis];
  const int64_t stride = strides[axis];
  if (!input.known()) {
    const bool keeps_size = stride == 1 && (same || padding == extent(axis) - 1);
    return keeps_size ? input : ir::Dim{};
  }

  const int64_t size = input.value();
  if (size < 1 || size > INT64_MAX / 2)
    fail(ErrorCode::kInvalidModel, "a window can't slide over spatial dimension {} of size {}", axis, size);
  if (same) return (size - 1) / stride + 1;
  const int64_t room = size + padding - extent(axis) + (ceil_mode ? stride - 1 : 0);
  if (room < 0)
    fail(ErrorCode::kInvalidModel,
         "kernel {} with dilation {} does not fit into spatial dimension {} of size {} with pads {} and {}",
         kernel[axis], dilations[axis], axis, size, pads_begin[axis], pads_end[axis]);
  const int64_t count = room / stride + 1;
  const bool last_starts_outside = ceil_mode && (count - 1) * stride >= size + pads_begin[axis];
  return last_starts_outside ? count - 1 : count;
}

ir::Dims Window::output_dims(const ir::Dims& spatial) const {
  if (spatial.size() != rank())
    fail(ErrorCode::kInvalidModel, "kernel_shape {} on an input of {} spatial dimensions", to_string(kernel),
         spatial.size());
  ir::Dims result;
  for (size_t i = 0; i < rank(); ++i) result.push_back(output_dim(i, spatial[i]));
  return result;
}

Window Window::resolved(std::span<const int64_t> spatial) const {
  Window window = *this;
  window.auto_pad = AutoPad::kNotSet;
  if (auto_pad != AutoPad::kSameUpper && auto_pad != AutoPad::kSameLower) return window;
  window.ceil_mode = false;
  for (size_t i = 0; i < rank(); ++i) {
    const int64_t output = output_dim(i, spatial[i]).value();
    const int64_t total = std::max<int64_t>((output - 1) * strides[i] + extent(i) - spatial[i], 0);
    const int64_t smaller = total / 2;
    window.pads_begin[i] = auto_pad == AutoPad::kSameUpper ? smaller : total - smaller;
    window.pads_end[i] = total - window.pads_begin[i];
  }
  return window;
}

}  // namespace pli::ops
