#include "runtime/ops/linear/convolution.h"

#include <algorithm>
#include <array>

namespace pli::ops {

namespace {

constexpr int64_t kLargest = INT32_MAX;

int64_t times(int64_t a, int64_t b) {
  const auto product = checked_mul(a, b);
  if (!product) fail(ErrorCode::kInvalidModel, "{} x {} is too large", a, b);
  return *product;
}

int64_t plus(int64_t a, int64_t b) {
  const auto sum = checked_add(a, b);
  if (!sum) fail(ErrorCode::kInvalidModel, "{} + {} is too large", a, b);
  return *sum;
}

/// -1 when not known.
int64_t known(const ir::Type& type, size_t axis) {
  return type.dims && (*type.dims)[axis].known() ? (*type.dims)[axis].value() : -1;
}

/// The number of spatial dimensions as operands and attributes tell it; 0 when nothing does.
size_t spatial_rank_of(const ir::Node& node, const ir::Type& x, const ir::Type& weight) {
  for (const ir::Type* type : {&x, &weight})
    if (type->dims && type->dims->size() < 3)
      fail(ErrorCode::kInvalidModel, "{} has rank {}, where at least 3 is expected",
           type == &x ? "the input" : "the weight", type->rank());
  if (x.dims && weight.dims && x.rank() != weight.rank())
    fail(ErrorCode::kInvalidModel, "the weight has rank {}, the input rank {}", weight.rank(), x.rank());
  if (x.dims) return x.dims->size() - 2;
  if (weight.dims) return weight.dims->size() - 2;
  for (const std::string_view name : {"kernel_shape", "strides", "dilations"})
    if (const Shape values = node.ints_or(name, {}); !values.empty()) return values.size();
  return 0;
}

void check_types(const ir::Type& x, const ir::Type& other, std::string_view what) {
  if (x.dtype != DataType::kUndefined && other.dtype != DataType::kUndefined && x.dtype != other.dtype)
    fail(ErrorCode::kInvalidModel, "the {} is {}, the input {}", what, to_string(other.dtype), to_string(x.dtype));
}

void read_channels(ConvView& view, const ir::Graph& graph) {
  const ir::Type& x = graph.type(view.x);
  const ir::Type& weight = graph.type(view.weight);
  view.channels = known(x, 1);
  const int64_t first = known(weight, 0);
  const int64_t second = known(weight, 1);
  const int64_t of_all = view.transposed ? first : (second < 0 ? -1 : times(second, view.group));
  if (view.channels >= 0 && view.channels % view.group != 0)
    fail(ErrorCode::kInvalidModel, "group {} does not divide {} input channels", view.group, view.channels);
  if (view.channels >= 0 && of_all >= 0 && view.channels != of_all)
    fail(ErrorCode::kInvalidModel, "the weight is for {} input channels in {} groups, the input has {}", of_all,
         view.group, view.channels);
  if (view.channels < 0) view.channels = of_all;
  if (view.transposed && view.channels >= 0 && view.channels % view.group != 0)
    fail(ErrorCode::kInvalidModel, "group {} does not divide {} input channels", view.group, view.channels);

  view.filters = view.transposed ? (second < 0 ? -1 : times(second, view.group)) : first;
  if (view.filters >= 0 && view.filters % view.group != 0)
    fail(ErrorCode::kInvalidModel, "group {} does not divide {} filters", view.group, view.filters);
  if (view.channels == 0 || view.filters == 0) fail(ErrorCode::kInvalidModel, "there are no channels");
  if (!view.bias) return;
  const ir::Type& bias = graph.type(view.bias);
  check_types(x, bias, "bias");
  if (bias.dims && bias.rank() != 1) fail(ErrorCode::kInvalidModel, "the bias has rank {}, not 1", bias.rank());
  const int64_t length = known(bias, 0);
  if (length >= 0 && view.filters >= 0 && length != view.filters)
    fail(ErrorCode::kInvalidModel, "the bias has {} elements, where {} filters are", length, view.filters);
  if (view.filters < 0) view.filters = length;
}

/// The sizes of the kernel, from kernel_shape and the weight; nothing while one is not known.
std::optional<Shape> kernel_of(const ConvView& view, const ir::Node& node, const ir::Type& weight) {
  Shape kernel = node.ints_or("kernel_shape", {});
  if (kernel.empty())
    kernel.assign(view.spatial_rank, -1);
  else if (std::ranges::any_of(kernel, [](int64_t size) { return size < 1; }))
    fail(ErrorCode::kInvalidModel, "kernel_shape {} has a dimension below 1", to_string(kernel));
  if (kernel.size() != view.spatial_rank)
    fail(ErrorCode::kInvalidModel, "kernel_shape {} for {} spatial dimensions", to_string(kernel), view.spatial_rank);
  for (size_t i = 0; i < kernel.size(); ++i) {
    const int64_t size = known(weight, i + 2);
    if (size < 0) continue;
    if (kernel[i] >= 0 && kernel[i] != size)
      fail(ErrorCode::kInvalidModel, "kernel_shape {} differs from the weight's {} in dimension {}", to_string(kernel),
           size, i);
    kernel[i] = size;
  }
  if (std::ranges::find(kernel, -1) != kernel.end()) return std::nullopt;
  return kernel;
}

void read_output_form(ConvView& view, const ir::Node& node) {
  const size_t rank = view.spatial_rank;
  view.output_padding = node.ints_or("output_padding", Shape(rank, 0));
  if (view.output_padding.size() != rank)
    fail(ErrorCode::kInvalidModel, "output_padding {} has {} elements for {} spatial dimensions",
         to_string(view.output_padding), view.output_padding.size(), rank);
  for (const int64_t padding : view.output_padding)
    if (padding < 0 || padding > kLargest)
      fail(ErrorCode::kInvalidModel, "output_padding {} where 0 to {} is expected", padding, kLargest);
  Shape& shape = view.output_shape;
  shape = node.ints_or("output_shape", {});
  if (shape.empty()) return;
  if (shape.size() != rank)
    fail(ErrorCode::kInvalidModel, "output_shape {} has {} elements for {} spatial dimensions", to_string(shape),
         shape.size(), rank);
  for (const int64_t size : shape)
    if (size < 1 || size > kLargest)
      fail(ErrorCode::kInvalidModel, "output_shape {} where 1 to {} is expected", size, kLargest);
}

struct TransposeSizes {
  int64_t output, pad_begin, pad_end;
};

/// One spatial dimension of a ConvTranspose. Where the output's size is given, by output_shape or as a multiple of the
/// input's by auto_pad, the pads follow: the larger half at the end for SAME_UPPER, at the begin otherwise.
TransposeSizes transpose_sizes(const ConvView& view, size_t i, int64_t size) {
  const Window& window = *view.window;
  if (size < 1) fail(ErrorCode::kInvalidModel, "spatial dimension {} is empty", i);
  const int64_t whole = plus(plus(times(window.strides[i], size - 1), view.output_padding[i]), window.extent(i));
  const bool upper = window.auto_pad == Window::AutoPad::kSameUpper;
  const bool given = !view.output_shape.empty();
  TransposeSizes sizes{0, window.pads_begin[i], window.pads_end[i]};
  if (!given && !upper && window.auto_pad != Window::AutoPad::kSameLower) {
    sizes.output = whole - sizes.pad_begin - sizes.pad_end;
  } else {
    sizes.output = given ? view.output_shape[i] : times(size, window.strides[i]);
    const int64_t total = whole - sizes.output;
    const int64_t half = total / 2;
    sizes.pad_begin = total < 0 ? 0 : (upper ? half : total - half);
    sizes.pad_end = total - sizes.pad_begin;
  }
  if (sizes.output < 1) fail(ErrorCode::kInvalidModel, "the pads leave nothing of spatial dimension {}", i);
  return sizes;
}

std::vector<ir::Type> infer_conv(const InferContext& context) {
  context.check_inputs(2, 3);
  if (context.node.outputs.size() != 1)
    fail(ErrorCode::kInvalidModel, "{} outputs, not 1", context.node.outputs.size());
  const ConvView view = ConvView::of(context.graph, context.node);
  const ir::Type& x = context.type(0);
  if (view.spatial_rank == 0) return {ir::Type::tensor(x.dtype)};
  ir::Dims dims(view.spatial_rank + 2);
  if (x.dims) dims[0] = (*x.dims)[0];
  if (view.filters >= 0) dims[1] = view.filters;
  for (size_t i = 0; i < view.spatial_rank; ++i)
    if (view.window || !view.output_shape.empty())
      dims[i + 2] = view.output_dim(i, x.dims ? (*x.dims)[i + 2] : ir::Dim{});
  return {ir::Type::tensor(x.dtype, std::move(dims))};
}

/// A convolution in which each channel is a group, with one filter that is known.
bool is_depthwise(const ir::Graph& graph, const ir::Node& node) {
  const int64_t group = node.int_or("group", 1);
  const Tensor* const weight = graph.constant_of(node.input(1));
  const auto dims = graph.type(node.inputs[0]).shape();
  return group > 1 && weight && dims && group == (*dims)[1] && group == weight->shape()[0];
}

/// Not to be widened first.
bool is_stored_in_float32(const ir::Graph& graph, ir::ValueId id) { return graph.type(id).dtype == DataType::kFloat32; }

bool is_pointwise(const Tensor& weight) {
  return std::ranges::all_of(weight.shape().subspan(2), [](int64_t size) { return size == 1; });
}

/// The kernels of float64 want images row by row. Filters that are known take some of an image's channels where they
/// lie, and those of one pixel give pixels that are spaced.
Layouts convolution_layouts(const PrepareContext& context) {
  if (context.inputs[0].dtype == DataType::kFloat64) return row_major_layouts(context);
  Layouts layouts = channels_last_layouts(context);
  if (context.node.is("ConvTranspose") || !context.constants[1]) return layouts;
  const bool is_dense = context.node.int_or("group", 1) == 1;
  const bool takes_steps = is_dense || is_depthwise(context.graph, context.node);
  if (is_stored_in_float32(context.graph, context.node.inputs[0]) && takes_steps &&
      compute::pixel_step(context.inputs[0]))
    layouts.inputs[0] = context.inputs[0];
  const bool adds = std::ranges::any_of(
      context.epilogues, [](const Epilogue& epilogue) { return epilogue.kind != Epilogue::Kind::kActivation; });
  if (context.spaces_result && is_dense && is_pointwise(*context.constants[1]) && !adds &&
      context.outputs[0].size() > 0) {
    TensorDesc spaced = compute::spaced_channels_last(context.outputs[0].dtype, context.outputs[0].dims);
    if (compute::span_bytes(spaced) <= context.limits.tensor_bytes) layouts.outputs[0] = std::move(spaced);
  }
  return layouts;
}

}  // namespace

bool wants_spaced_pixels(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is("Conv") || node.inputs.size() < 2 || !is_depthwise(graph, node)) return false;
  const Tensor& weight = *graph.constant_of(node.inputs[1]);
  const int64_t channels = weight.shape()[0];
  return is_stored_in_float32(graph, node.inputs[0]) && compute::spaced(channels) != channels && !is_pointwise(weight);
}

ConvView ConvView::of(const ir::Graph& graph, const ir::Node& node) {
  ConvView view;
  view.transposed = node.is("ConvTranspose");
  view.x = node.input(0);
  view.weight = node.input(1);
  view.bias = node.input(2);
  if (!view.x || !view.weight) fail(ErrorCode::kInvalidModel, "the {} is missing", view.x ? "weight" : "input");
  const ir::Type& x = graph.type(view.x);
  const ir::Type& weight = graph.type(view.weight);
  check_types(x, weight, "weight");
  view.group = node.int_or("group", 1);
  if (view.group < 1 || view.group > kLargest) fail(ErrorCode::kInvalidModel, "group is {}", view.group);
  view.spatial_rank = spatial_rank_of(node, x, weight);
  if (view.spatial_rank == 0) return view;
  if (view.transposed) read_output_form(view, node);
  if (auto kernel = kernel_of(view, node, weight))
    view.window = Window::of(node, *kernel);
  else
    (void)Window::of(node, Shape(view.spatial_rank, 1));  // the other attributes are checked all the same
  read_channels(view, graph);
  return view;
}

ir::Dim ConvView::output_dim(size_t i, const ir::Dim& input) const {
  if (!transposed) return window->output_dim(i, input);
  if (!output_shape.empty()) return output_shape[i];
  if (input.known()) return transpose_sizes(*this, i, input.value()).output;
  const bool same = window->auto_pad == Window::AutoPad::kSameUpper || window->auto_pad == Window::AutoPad::kSameLower;
  return same && window->strides[i] == 1 ? input : ir::Dim{};
}

Window ConvView::resolved(std::span<const int64_t> spatial) const {
  if (!transposed) return window->resolved(spatial);
  Window result = *window;
  result.auto_pad = Window::AutoPad::kNotSet;
  for (size_t i = 0; i < spatial_rank; ++i) {
    const TransposeSizes sizes = transpose_sizes(*this, i, spatial[i]);
    result.pads_begin[i] = sizes.pad_begin;
    result.pads_end[i] = sizes.pad_end;
  }
  return result;
}

ir::NodeSpec ConvView::with_weights(const ir::Node& node, ir::ValueId new_weight, ir::ValueId new_bias) const {
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {x, new_weight};
  if (new_bias) spec.inputs.push_back(new_bias);
  return spec;
}

Family convolution_family() {
  static constexpr std::array<Operator, 2> kOperators{{
      {.type = "Conv",
       .since = 1,
       .until = kNewestOpset,
       .types = kF32 | kF64,
       .infer = infer_conv,
       .prepare = prepare_convolution,
       .layout = convolution_layouts,
       .epilogues = kTakesActivation | kTakesLinear | kTakesAdd,
       .absorbed_inputs = 0b110},
      {.type = "ConvTranspose",
       .since = 1,
       .until = kNewestOpset,
       .types = kF32 | kF64,
       .infer = infer_conv,
       .prepare = prepare_convolution,
       .layout = convolution_layouts,
       .absorbed_inputs = 0b110},
  }};
  return kOperators;
}

}  // namespace pli::ops
