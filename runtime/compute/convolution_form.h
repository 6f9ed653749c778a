#pragma once

#include "runtime/compute/convolution.h"

#include <optional>

namespace pli::compute {

/// A convolution as oneDNN wants it: 1-D as 2-D, weights with an explicit dimension of groups where there is more than
/// one, [groups,] M / groups, C / groups, kernel...; dilations count the gap. Source and result channels-last.
struct ConvolutionForm {
  bool transposed = false, has_bias = false;
  TensorDesc source, result, weight;
  Shape strides, dilations, pads_begin, pads_end;
  PostOps post_ops;

  bool operator==(const ConvolutionForm&) const = default;
  int64_t groups() const { return weight.rank() > result.rank() ? weight.dims[0] : 1; }
  int64_t kernel(size_t spatial) const { return weight.dims[weight.dims.size() - strides.size() + spatial]; }
  /// The distance from a filter's first tap to behind its last.
  int64_t extent(size_t spatial) const { return (kernel(spatial) - 1) * (dilations[spatial] + 1) + 1; }
};

ConvolutionForm form_of(const ConvolutionProblem& problem);

/// A part of a convolution that is one by itself.
struct ConvolutionSlice {
  ConvolutionForm form;
  int64_t source_bytes = 0, result_bytes = 0;  // where the part's begin; likewise in what is added to the result
  /// Of a part of the channels, which is computed to a dense strip: the first.
  std::optional<int64_t> first_channel{};
  int64_t channels = 0;  // of the whole
};

/// At most so many parts, of the images, of rows or of the result's channels. None where it is not worth dividing, or
/// can't be.
std::vector<ConvolutionSlice> slices_of(const ConvolutionForm& form, int parts);

}  // namespace pli::compute
