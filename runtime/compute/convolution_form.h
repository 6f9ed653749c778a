#pragma once

#include "runtime/compute/convolution.h"

namespace pli::compute {

/// A convolution as oneDNN wants it: 1-D as 2-D, weights with an explicit dimension of groups where there is more than
/// one, [groups,] M / groups, C / groups, kernel...; dilations count the gap. Source and result channels-last; for
/// kernels of ours, pixels at any equal distances.
struct ConvolutionForm {
  bool transposed = false, has_bias = false;
  TensorDesc source, result, weight;
  PerAxis strides, dilations, pads_begin, pads_end;
  PostOps post_ops;

  bool operator==(const ConvolutionForm&) const = default;
  int64_t groups() const { return weight.rank() > result.rank() ? weight.dims[0] : 1; }
  int64_t kernel(size_t spatial) const { return weight.dims[weight.dims.size() - strides.size() + spatial]; }
  /// Numbers from a pixel of the source to the next.
  int64_t source_step() const { return pixel_step(source).value_or(source.dims[1]); }
  int64_t result_step() const { return pixel_step(result).value_or(result.dims[1]); }
  /// The distance from a filter's first tap to behind its last.
  int64_t extent(size_t spatial) const { return (kernel(spatial) - 1) * (dilations[spatial] + 1) + 1; }
};

ConvolutionForm form_of(const ConvolutionProblem& problem);

/// A convolution with known weights, as kernels of ours compute it. Operands of the kernel as those of
/// make_convolution.
struct KnownConvolution {
  ConvolutionForm form;            // not transposed
  const Tensor* weight = nullptr;  // form.weight describes it; may be stored in a half
  const Tensor* bias = nullptr;    // null: an operand, where the form has one
  size_t bias_operand = 2;
  WeightCache* cache = nullptr;
};

/// The bias of a kernel of ours.
class ConvolutionBias {
 public:
  explicit ConvolutionBias(const KnownConvolution& convolution);
  /// One number for each filter; null where there is no bias.
  const float* of(const RunArgs& args) const { return operand_ ? args.input<float>(*operand_) : known_; }

 private:
  Tensor tensor_;
  const float* known_ = nullptr;
  std::optional<size_t> operand_;
};

/// A part of a convolution that is one by itself.
struct ConvolutionSlice {
  ConvolutionForm form;
  int64_t source_bytes = 0, result_bytes = 0;  // where the part's begin; likewise in what is added to the result
};

/// At most so many parts, of the images or of rows. None where it is not worth dividing, or
/// can't be.
std::vector<ConvolutionSlice> slices_of(const ConvolutionForm& form, int parts);

}  // namespace pli::compute
