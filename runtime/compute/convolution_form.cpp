#include "runtime/compute/convolution_form.h"

#include "runtime/compute/halves.h"
#include "runtime/compute/sliced.h"
#include "runtime/core/checked.h"

#include <algorithm>

namespace pli::compute {

namespace {

/// The weight's elements in oneDNN's order: strides over ONNX's row-major array.
TensorDesc weight_form(const ConvolutionProblem& problem) {
  const auto row_major = plain_strides(problem.weight_dims);
  PerAxis kernel(problem.weight_dims.begin() + 2, problem.weight_dims.end());
  PerAxis kernel_strides(row_major.begin() + 2, row_major.end());
  if (kernel.size() == 1) {
    kernel.insert(kernel.begin(), 1);
    kernel_strides.insert(kernel_strides.begin(), kernel.back());
  }
  const int64_t groups = problem.groups;
  const int64_t first = problem.weight_dims[0] / groups;
  const int64_t second = problem.weight_dims[1];
  TensorDesc desc{DataType::kFloat32, {}, {}};
  if (groups > 1) {
    desc.dims.push_back(groups);
    desc.strides.push_back(first * row_major[0]);
  }
  const auto put = [&](int64_t dim, int64_t stride) {
    desc.dims.push_back(dim);
    desc.strides.push_back(stride);
  };
  if (problem.transposed) {
    put(second, row_major[1]);
    put(first, row_major[0]);
  } else {
    put(first, row_major[0]);
    put(second, row_major[1]);
  }
  desc.dims.insert(desc.dims.end(), kernel.begin(), kernel.end());
  desc.strides.insert(desc.strides.end(), kernel_strides.begin(), kernel_strides.end());
  return desc;
}

// --- slices ----------------------------------------------------------------------------------------------------------

constexpr size_t kFirstSpatial = 2;

/// Multiply-adds that take as long as those of a large product. With few channels to a group most of the time is not
/// spent on them.
int64_t work_of(const ConvolutionForm& form) {
  constexpr int64_t kDepthwise = 4;
  const TensorDesc& outer = form.transposed ? form.source : form.result;
  if (outer.size() == 0) return 0;
  const int64_t for_each = form.weight.size() / outer.dims[1] * (form.groups() > 1 ? kDepthwise : 1);
  return checked_mul(outer.size(), for_each).value_or(INT64_MAX);
}

/// Whether the convolution is a product of matrices: each pixel of the result sees just that of the source.
bool is_pointwise(const ConvolutionForm& form) {
  const auto all = [](const PerAxis& list, int64_t value) {
    return std::ranges::all_of(list, [&](int64_t each) { return each == value; });
  };
  for (size_t i = 0; i < form.strides.size(); ++i)
    if (form.kernel(i) != 1) return false;
  return !form.transposed && form.groups() == 1 && all(form.strides, 1) && all(form.pads_begin, 0) &&
         all(form.pads_end, 0);
}

/// All pixels of all images as one row.
TensorDesc as_one_row(const TensorDesc& desc) {
  PerAxis dims(desc.dims.size(), 1);
  dims[1] = desc.dims[1];
  dims.back() = desc.size() / std::max<int64_t>(desc.dims[1], 1);
  return channels_last(desc.dtype, dims);
}

/// Only [begin, end) along an axis. By how many bytes it is moved.
int64_t narrow(TensorDesc& desc, size_t axis, Range range) {
  const int64_t bytes = range.begin * desc.strides[axis] * static_cast<int64_t>(sizeof(float));
  desc.dims[axis] = range.size();
  desc = channels_last(desc.dtype, desc.dims);
  return bytes;
}

ConvolutionSlice images(const ConvolutionForm& form, Range range) {
  ConvolutionSlice slice{form};
  slice.source_bytes = narrow(slice.form.source, 0, range);
  slice.result_bytes = narrow(slice.form.result, 0, range);
  return slice;
}

/// What rows [begin, end) of the result read lies in rows [first, last) of the padded source.
bool narrow_rows(ConvolutionSlice& slice, size_t axis, Range rows) {
  ConvolutionForm& form = slice.form;
  const size_t i = axis - kFirstSpatial;
  const int64_t stride = form.strides[i], extent = form.extent(i), size = form.source.dims[axis];
  int64_t& before = form.pads_begin[i];
  int64_t& after = form.pads_end[i];
  Range read{};
  if (form.transposed) {  // row y of the result gets something from rows x with x * stride - before <= y < ... + extent
    const auto up = [&](int64_t n) { return n <= 0 ? 0 : (n + stride - 1) / stride; };
    read = {up(rows.begin + before - extent + 1), std::min(size, (rows.end - 1 + before) / stride + 1)};
    before += rows.begin - read.begin * stride;
    after = (read.size() - 1) * stride + extent - before - rows.size();
  } else {
    const int64_t first = rows.begin * stride - before, last = (rows.end - 1) * stride - before + extent;
    // Rows that only the next part reads do no harm: some kernels want whole strides.
    read = {std::max<int64_t>(first, 0), std::min(last + stride - 1, size)};
    before = std::max<int64_t>(-first, 0);
    after = std::max<int64_t>(last - size, 0);
  }
  if (read.size() < 1 || before < 0 || after < 0) return false;
  slice.source_bytes += narrow(form.source, axis, read);
  slice.result_bytes += narrow(form.result, axis, rows);
  return true;
}

}  // namespace

ConvolutionBias::ConvolutionBias(const KnownConvolution& convolution) {
  if (const Tensor* const bias = convolution.bias) {
    tensor_ = is_half(bias->dtype()) ? widened(*bias) : *bias;
    known_ = tensor_.data<float>().data();
  } else if (convolution.form.has_bias) {
    operand_ = convolution.bias_operand;
  }
}

ConvolutionForm form_of(const ConvolutionProblem& problem) {
  ConvolutionForm form{problem.transposed,   problem.has_bias, problem.source,    problem.result,
                       weight_form(problem), problem.strides,  problem.dilations, problem.pads_begin,
                       problem.pads_end,     problem.post_ops};
  if (problem.strides.size() == 1) {
    const auto add_height = [](TensorDesc& desc) {
      desc.dims.insert(desc.dims.begin() + 2, 1);
      desc.strides.insert(desc.strides.begin() + 2, desc.dims.back() * desc.strides.back());
    };
    add_height(form.source);
    add_height(form.result);
    form.strides.insert(form.strides.begin(), 1);
    form.dilations.insert(form.dilations.begin(), 1);
    form.pads_begin.insert(form.pads_begin.begin(), 0);
    form.pads_end.insert(form.pads_end.begin(), 0);
  }
  for (int64_t& dilation : form.dilations) --dilation;
  return form;
}

std::vector<ConvolutionSlice> slices_of(const ConvolutionForm& given, int parts) {
  constexpr int64_t kLeastWork = 1 << 18;  // multiply-adds that are worth a part
  // With fewer rows, or pixels where each is a row, reading the weights once for each part costs more than it brings.
  constexpr int64_t kLeastRows = 7, kLeastRowsOfGroups = 2, kLeastPixels = 24;
  std::vector<ConvolutionSlice> slices;
  if (parts < 2 || work_of(given) < kLeastWork) return slices;
  const bool pointwise = is_pointwise(given);
  ConvolutionForm form = given;
  if (pointwise) {
    form.source = as_one_row(form.source);
    form.result = as_one_row(form.result);
  }
  const int64_t batch = form.result.dims[0];
  if (batch >= parts) {
    for (int64_t i = 0; i < parts; ++i) slices.push_back(images(form, range_of_part(batch, i, parts)));
    return slices;
  }
  size_t axis = kFirstSpatial;
  const auto is_one = [&](size_t i) { return form.result.dims[i] == 1 && form.source.dims[i] == 1; };
  while (axis + 1 < form.result.dims.size() && is_one(axis)) ++axis;  // what is outside decides where rows lie
  const int64_t rows = form.result.dims[axis];
  const int64_t least_rows = pointwise ? kLeastPixels : form.groups() > 1 ? kLeastRowsOfGroups : kLeastRows;
  const int64_t row_parts = std::clamp<int64_t>(rows / least_rows, 1, (parts + batch - 1) / batch);
  if (row_parts * batch < 2) return slices;
  for (int64_t image = 0; image < batch; ++image)
    for (int64_t i = 0; i < row_parts; ++i) {
      ConvolutionSlice slice = images(form, {image, image + 1});
      if (row_parts > 1 && !narrow_rows(slice, axis, range_of_part(rows, i, row_parts))) return {};
      slices.push_back(std::move(slice));
    }
  return slices;
}

}  // namespace pli::compute
