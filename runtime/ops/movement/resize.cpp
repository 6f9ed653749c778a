#include "runtime/ops/movement/resize.h"

#include "runtime/compute/axis_gather.h"
#include "runtime/compute/copy.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/resize_taps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace pli::ops {

namespace {

using compute::RunArgs;
using Mode = ResizeView::Mode;
using Coordinates = ResizeView::Coordinates;
using Nearest = ResizeView::Nearest;

template <class Value, size_t kCount>
Value word(const std::array<std::pair<std::string_view, Value>, kCount>& words, std::string_view attribute,
           std::string_view found) {
  for (const auto& [name, value] : words)
    if (name == found) return value;
  fail(ErrorCode::kInvalidModel, "there is no {} \"{}\"", attribute, found);
}

constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes{{
    {"nearest", Mode::kNearest},
    {"linear", Mode::kLinear},
    {"cubic", Mode::kCubic},
}};
constexpr std::array<std::pair<std::string_view, Coordinates>, 7> kCoordinates{{
    {"half_pixel", Coordinates::kHalfPixel},
    {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
    {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
    {"align_corners", Coordinates::kAlignCorners},
    {"asymmetric", Coordinates::kAsymmetric},
    {"tf_half_pixel_for_nn", Coordinates::kTfHalfPixelForNn},
    {"tf_crop_and_resize", Coordinates::kTfCropAndResize},
}};
constexpr std::array<std::pair<std::string_view, Nearest>, 4> kNearest{{
    {"round_prefer_floor", Nearest::kRoundPreferFloor},
    {"round_prefer_ceil", Nearest::kRoundPreferCeil},
    {"floor", Nearest::kFloor},
    {"ceil", Nearest::kCeil},
}};

/// From this version on Upsample has a scale for every axis, before one for rows and one for columns.
constexpr int64_t kScalesOfAllAxes = 7;

// --- sizes -----------------------------------------------------------------------------------------------------------

/// What a node asks for, for the axes that it names: scales or sizes, and regions.
struct Request {
  bool known = false;         // false: some operand is only known at run time
  std::vector<int64_t> axes;  // of an input of the rank asked about
  std::vector<float> scales;  // one an axis, or none
  std::vector<int64_t> sizes;
  std::vector<double> region;  // starts, then ends, or none
  std::string policy = "stretch";
};

/// The elements of a float operand; none when it is omitted or empty, nothing when it is only known at run time.
std::optional<std::vector<float>> constant_floats(const ir::Graph& graph, const ir::Node& node, size_t input) {
  if (!node.input(input)) return std::vector<float>();
  const Tensor* tensor = graph.constant_of(node.input(input));
  if (!tensor) return std::nullopt;
  if (tensor->size() == 0) return std::vector<float>();
  if (!is_float(tensor->dtype()) || tensor->shape().size() != 1)
    fail(ErrorCode::kInvalidModel, "input {} is {} {} where a list of floats is expected", input,
         to_string(tensor->dtype()), to_string(tensor->shape()));
  const auto values = to_doubles(*tensor);
  return std::vector<float>(values.begin(), values.end());
}

void check_request(const Request& request) {
  const size_t count = request.axes.size();
  if (request.scales.empty() == request.sizes.empty() && count > 0)
    fail(ErrorCode::kInvalidModel, "either scales or sizes are expected, not {}",
         request.sizes.empty() ? "none" : "both");
  const size_t given = std::max(request.scales.size(), request.sizes.size());
  if (given != count) fail(ErrorCode::kInvalidModel, "{} scales or sizes where {} are expected", given, count);
  for (const float scale : request.scales)
    if (!(scale > 0) || !std::isfinite(scale)) fail(ErrorCode::kInvalidModel, "a scale of {}", scale);
  for (const int64_t size : request.sizes)
    if (size < 0) fail(ErrorCode::kInvalidModel, "a size of {}", size);
  if (!request.region.empty() && request.region.size() != 2 * count)
    fail(ErrorCode::kInvalidModel, "a region of {} numbers where {} are expected", request.region.size(), 2 * count);
}

Request read_request(const ir::Graph& graph, const ir::Node& node, int64_t rank) {
  const int64_t opset = graph.opset("");
  Request request;
  request.axes.resize(static_cast<size_t>(rank));
  std::iota(request.axes.begin(), request.axes.end(), int64_t{0});
  if (opset >= 18) {
    request.axes = normalize_axes(node.ints_or("axes", request.axes), rank);
    request.policy = node.string_or("keep_aspect_ratio_policy", "stretch");
    if (request.policy != "stretch" && request.policy != "not_larger" && request.policy != "not_smaller")
      fail(ErrorCode::kInvalidModel, "there is no keep_aspect_ratio_policy \"{}\"", request.policy);
  }
  if (node.is("Upsample") && opset < kScalesOfAllAxes) {
    if (rank != 4) fail(ErrorCode::kInvalidModel, "an input of rank {} where 4 is expected", rank);
    for (const std::string_view name : {"height_scale", "width_scale"})
      if (!node.attribute(name)) fail(ErrorCode::kInvalidModel, "attribute {} is missing", name);
    request.scales = {1, 1, node.float_or("height_scale", 1), node.float_or("width_scale", 1)};
    request.known = true;
  } else if (node.is("Upsample") && opset < 9) {
    request.scales = node.floats_or("scales", {});
    request.known = true;
  } else {
    const bool regions = node.is("Resize") && opset >= 11;
    const auto scales = constant_floats(graph, node, regions ? 2 : 1);
    const auto region = regions ? constant_floats(graph, node, 1) : std::vector<float>();
    const bool has_sizes = regions && node.input(3);
    const auto sizes = has_sizes ? constant_ints(graph, node, 3) : std::vector<int64_t>();
    const bool crops = node.string_or("coordinate_transformation_mode", "") == "tf_crop_and_resize";
    request.known = scales && sizes && (region || !crops);
    if (scales) request.scales = *scales;
    if (sizes) request.sizes = *sizes;
    if (crops && region) request.region.assign(region->begin(), region->end());
    if (crops && region && region->empty()) fail(ErrorCode::kInvalidModel, "tf_crop_and_resize without a region");
  }
  if (request.known) check_request(request);
  return request;
}

/// A dimension times a scale, in float as PyTorch and ONNX's own inference have it, rounded down.
int64_t scaled(int64_t dim, float scale) {
  const float size = std::floor(static_cast<float>(dim) * scale);
  if (!(size < 0x1p62f)) fail(ErrorCode::kResourceLimit, "a dimension of {} times {}", dim, scale);
  return static_cast<int64_t>(size);
}

/// What not_larger and not_smaller make of the sizes: one scale for all axes.
double common_scale(const Request& request, std::span<const int64_t> dims) {
  const bool smallest = request.policy == "not_larger";
  double common = smallest ? INFINITY : 0;
  for (size_t i = 0; i < request.axes.size(); ++i) {
    const double scale =
        static_cast<double>(request.sizes[i]) / static_cast<double>(dims[static_cast<size_t>(request.axes[i])]);
    common = smallest ? std::min(common, scale) : std::max(common, scale);
  }
  return common;
}

/// Every dimension of an input with these known ones.
std::vector<ResizeAxis> resize_axes(const Request& request, std::span<const int64_t> dims) {
  std::vector<ResizeAxis> axes;
  for (const int64_t dim : dims) axes.push_back({dim, dim});
  const bool by_size = !request.sizes.empty();
  const bool keeps_ratio = by_size && request.policy != "stretch";
  const double common = keeps_ratio ? common_scale(request, dims) : 1;
  for (size_t i = 0; i < request.axes.size(); ++i) {
    ResizeAxis& axis = axes[static_cast<size_t>(request.axes[i])];
    if (keeps_ratio) {
      const double size = std::floor(static_cast<double>(axis.in) * common + 0.5);
      if (!(size < 0x1p62)) fail(ErrorCode::kInvalidModel, "a dimension of {} times {}", axis.in, common);
      axis.out = static_cast<int64_t>(size);
      axis.numerator = common;
    } else if (by_size) {
      axis.out = request.sizes[i];
      axis.numerator = static_cast<double>(axis.out);
      axis.denominator = static_cast<double>(axis.in);
    } else {
      axis.out = scaled(axis.in, request.scales[i]);
      axis.numerator = static_cast<double>(request.scales[i]);
    }
    if (axis.in == 0 && axis.out > 0) fail(ErrorCode::kInvalidModel, "a dimension of 0 can't become {}", axis.out);
    if (request.region.empty()) continue;
    axis.start = request.region[i];
    axis.end = request.region[i + request.axes.size()];
  }
  return axes;
}

std::vector<ir::Type> infer_resize(const InferContext& context) {
  if (context.node.is("Resize") && context.opset >= 11)
    context.check_inputs(1, 4);
  else
    context.check_inputs(context.opset < 9 ? 1 : 2, context.opset < 9 ? 1 : 2);
  context.check_outputs(1, 1);
  (void)ResizeView::of(context.graph, context.node);
  const ir::Type& input = context.type(0);
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  const Request request = read_request(context.graph, context.node, input.rank());
  ir::Dims dims = *input.dims;
  if (const auto shape = input.shape(); shape && request.known) {
    const auto axes = resize_axes(request, *shape);
    std::ranges::transform(axes, dims.begin(), [](const ResizeAxis& axis) { return ir::Dim(axis.out); });
    return {ir::Type::tensor(input.dtype, std::move(dims))};
  }
  for (size_t i = 0; i < request.axes.size(); ++i) {
    ir::Dim& dim = dims[static_cast<size_t>(request.axes[i])];
    if (request.known && !request.scales.empty())
      dim = request.scales[i] == 1 ? dim : dim.known() ? ir::Dim(scaled(dim.value(), request.scales[i])) : ir::Dim();
    else
      dim = request.known && request.policy == "stretch" ? ir::Dim(request.sizes[i]) : ir::Dim();
  }
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

// --- kernels ---------------------------------------------------------------------------------------------------------

std::vector<ResizeAxis> axes_of(const PrepareContext& context) {
  const Request request = read_request(context.graph, context.node, context.inputs[0].rank());
  if (!request.known) fail(ErrorCode::kUnsupported, "scales, sizes or region are only known at run time");
  return resize_axes(request, context.inputs[0].dims);
}

std::optional<std::vector<View>> view_resize(const PrepareContext& context) {
  const ResizeView view = ResizeView::of(context.graph, context.node);
  if (!std::ranges::all_of(axes_of(context), [&](const ResizeAxis& axis) { return view.keeps(axis); }))
    return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

/// Nearest: the input as it comes. The others: dense, channels-last or row-major.
Layouts layout_resize(const PrepareContext& context) {
  Layouts layouts = follow_layouts(context);
  if (ResizeView::of(context.graph, context.node).mode != Mode::kNearest) {
    TensorDesc& input = layouts.inputs[0];
    input = is_channels_innermost(input) ? compute::channels_last(input.dtype, input.dims)
                                         : compute::plain(input.dtype, input.dims);
    const TensorDesc& output = context.outputs[0];
    layouts.outputs[0] = compute::is_plain(input) ? compute::plain(output.dtype, output.dims)
                                                  : compute::channels_last(output.dtype, output.dims);
  }
  return layouts;
}

Tensor extrapolation_value(const ResizeView& view, DataType dtype) {
  if (is_float(dtype)) return from_doubles(dtype, {1}, std::vector{view.extrapolation});
  if (view.extrapolation != 0) fail(ErrorCode::kUnsupported, "extrapolation of {}", to_string(dtype));
  return Tensor(dtype, {1});
}

std::unique_ptr<Kernel> prepare_nearest(const PrepareContext& context, const ResizeView& view,
                                        const std::vector<ResizeAxis>& axes) {
  std::vector<std::vector<int64_t>> tables;
  for (const ResizeAxis& axis : axes) tables.push_back(nearest_positions(view, axis));
  return compute::make_kernel([gather = compute::AxisGather(context.inputs[0], context.outputs[0], tables),
                               fill = extrapolation_value(view, context.outputs[0].dtype)](const RunArgs& args) {
    gather.run(args.inputs[0], args.outputs[0], fill.bytes().data());
  });
}

/// A slab of the output that gets the extrapolation value.
struct Slab {
  compute::StridedCopy fill;
  int64_t offset;  // bytes
};

std::vector<Slab> extrapolated_slabs(const ResizeView& view, const std::vector<ResizeAxis>& axes,
                                     const TensorDesc& output) {
  std::vector<Slab> slabs;
  for (size_t d = 0; d < axes.size(); ++d)
    for (int64_t begin = 0; begin < axes[d].out;) {
      int64_t end = begin;
      while (end < axes[d].out && is_extrapolated(view, axes[d], end)) ++end;
      if (end > begin) {
        PerAxis dims = output.dims;
        dims[d] = end - begin;
        slabs.push_back({compute::StridedCopy(output.dtype, dims, std::vector<int64_t>(dims.size()), output.strides),
                         begin * output.strides[d] * bit_width(output.dtype) / 8});
      }
      begin = std::max(end, begin + 1);
    }
  return slabs;
}

/// Resamples, then overwrites what lies outside of the region.
class Interpolation final : public Kernel {
 public:
  Interpolation(std::unique_ptr<Kernel> resample, std::vector<Slab> slabs, Tensor value)
      : resample_(std::move(resample)), slabs_(std::move(slabs)), value_(std::move(value)) {}

  size_t scratch_bytes() const override { return resample_->scratch_bytes(); }
  void run(const RunArgs& args) const override {
    resample_->run(args);
    for (const Slab& slab : slabs_) slab.fill.run(value_.bytes().data(), args.output<std::byte>(0) + slab.offset);
  }

 private:
  std::unique_ptr<Kernel> resample_;
  std::vector<Slab> slabs_;
  Tensor value_;
};

std::unique_ptr<Kernel> prepare_resize(const PrepareContext& context) {
  const ResizeView view = ResizeView::of(context.graph, context.node);
  const std::vector<ResizeAxis> axes = axes_of(context);
  const TensorDesc& output = context.outputs[0];
  if (output.size() == 0) return compute::make_kernel([](const RunArgs&) {});
  if (view.mode == Mode::kNearest) return prepare_nearest(context, view, axes);
  if (view.antialias && std::ranges::any_of(axes, [](const ResizeAxis& axis) { return axis.scale() < 1; }))
    fail(ErrorCode::kUnsupported, "Resize with antialiasing");
  std::vector<compute::Taps> taps;
  for (const ResizeAxis& axis : axes) taps.push_back(resize_taps(view, axis));
  auto resample = compute::make_resample(context.inputs[0], output, taps);
  auto slabs = extrapolated_slabs(view, axes, output);
  if (slabs.empty()) return resample;
  return std::make_unique<Interpolation>(std::move(resample), std::move(slabs),
                                         extrapolation_value(view, output.dtype));
}

constexpr DataTypes kTypes = kNoStrings & ~kHalves;  // halves are interpolated as float32

constexpr Operator kOperators[] = {
    {"Upsample", 1, 9, kTypes, infer_resize, prepare_resize, layout_resize, view_resize, 0b10},
    {"Resize", 10, 10, kTypes, infer_resize, prepare_resize, layout_resize, view_resize, 0b10},
    {"Resize", 11, kNewestOpset, kTypes, infer_resize, prepare_resize, layout_resize, view_resize, 0b1110},
};

}  // namespace

Family resize_family() { return kOperators; }

ResizeView ResizeView::of(const ir::Graph& graph, const ir::Node& node) {
  ResizeView view;
  std::string mode = node.string_or("mode", "nearest");
  if (mode == "bilinear" && node.is("Upsample") && graph.opset("") < kScalesOfAllAxes) mode = "linear";
  view.mode = word(kModes, "mode", mode);
  if (node.is("Upsample") || graph.opset("") < 11) {
    if (view.mode == Mode::kCubic) fail(ErrorCode::kInvalidModel, "there is no mode \"cubic\" in this version");
    view.coordinates = Coordinates::kAsymmetric;
    view.nearest = Nearest::kSimple;
    return view;
  }
  view.coordinates = word(kCoordinates, "coordinate_transformation_mode",
                          node.string_or("coordinate_transformation_mode", "half_pixel"));
  view.nearest = word(kNearest, "nearest_mode", node.string_or("nearest_mode", "round_prefer_floor"));
  view.cubic_a = static_cast<double>(node.float_or("cubic_coeff_a", -0.75f));
  view.exclude_outside = node.int_or("exclude_outside", 0) != 0;
  view.antialias = node.int_or("antialias", 0) != 0;
  view.extrapolation = static_cast<double>(node.float_or("extrapolation_value", 0));
  return view;
}

}  // namespace pli::ops
