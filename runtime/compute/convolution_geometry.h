#pragma once

#include "runtime/compute/convolution_form.h"
#include "runtime/compute/sliced.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace pli::compute {

/// One spatial dimension of a convolution.
struct ConvolutionAxis {
  int64_t source = 1, result = 1, kernel = 1, stride = 1, dilation = 1, pad = 0, pad_end = 0;

  /// The places of the result at which a whole filter lies in the source.
  Range inside() const {
    const int64_t room = source + pad - (kernel - 1) * dilation - 1;
    const int64_t begin = std::min((pad + stride - 1) / stride, result);
    return {begin, room < 0 ? begin : std::clamp(room / stride + 1, begin, result)};
  }

  /// The taps that lie in the source at some place of the result.
  Range taps_used() const {
    Range used{kernel, 0};
    for (int64_t place = 0; place < result && used.size() < kernel; ++place) {
      const Range here = taps_at(place);
      if (here.size() > 0) used = {std::min(used.begin, here.begin), std::max(used.end, here.end)};
    }
    return used.size() > 0 ? used : Range{0, 0};
  }

  /// The places of the source that filters meet at these of the result.
  Range source_of(Range places) const {
    if (places.size() <= 0 || kernel == 0) return {0, 0};
    const int64_t begin = std::clamp<int64_t>(places.begin * stride - pad, 0, source);
    const int64_t end = (places.end - 1) * stride - pad + (kernel - 1) * dilation + 1;
    return {begin, std::clamp(end, begin, source)};
  }

  /// At most so many places of the source meet filters at `count` adjacent places of the result.
  int64_t most_met(int64_t count) const {
    return std::clamp<int64_t>((count - 1) * stride + (kernel - 1) * dilation + 1, 0, source);
  }

  /// The taps that lie in the source when the filter is at a place of the result.
  Range taps_at(int64_t place) const { return inside_from(place * stride - pad, dilation, kernel); }

  /// Of `count` places from `first` on, `step` apart, those that lie in the source.
  Range inside_from(int64_t first, int64_t step, int64_t count) const {
    const auto before = [&](int64_t distance) { return distance <= 0 ? 0 : std::min(parts_of(distance, step), count); };
    return {before(-first), before(source - first)};
  }
};

/// The sizes of a convolution of up to three spatial dimensions; those that there are not have one place.
struct ConvolutionGeometry {
  static constexpr size_t kAxes = 3;
  std::array<ConvolutionAxis, kAxes> axes;                    // depth, height, width
  int64_t images = 0, groups = 1, channels = 0, filters = 0;  // of all groups
  int64_t taps = 1, depth = 0;
  int64_t pixels = 1, source_pixels = 1;     // of an image
  int64_t source_step = 0, result_step = 0;  // numbers from a pixel to the next

  explicit ConvolutionGeometry(const ConvolutionForm& form) {
    images = form.result.dims[0];
    groups = form.groups();
    channels = form.source.dims[1];
    filters = form.result.dims[1];
    depth = channels / groups;
    source_step = form.source_step();
    result_step = form.result_step();
    const size_t rank = form.strides.size();
    for (size_t i = 0; i < rank; ++i)
      axes[kAxes - rank + i] = {form.source.dims[i + 2], form.result.dims[i + 2], form.kernel(i),  form.strides[i],
                                form.dilations[i] + 1,   form.pads_begin[i],      form.pads_end[i]};
    count();
  }

  void count() {
    taps = pixels = source_pixels = 1;
    for (const ConvolutionAxis& axis : axes) {
      taps *= axis.kernel;
      pixels *= axis.result;
      source_pixels *= axis.source;
    }
  }

  bool is_padded() const {
    return std::ranges::any_of(axes, [](const ConvolutionAxis& axis) { return axis.pad > 0 || axis.pad_end > 0; });
  }
  bool has_lines_only() const { return axes[0].source == 1 && axes[0].result == 1; }
  bool is_depthwise() const { return groups > 1 && groups == channels && groups == filters; }
};

}  // namespace pli::compute
