#include "runtime/ops/shape/reshape.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/reshape.h"
#include "runtime/ops/dims.h"

#include <algorithm>

namespace pli::ops {

namespace {

using compute::RunArgs;

// --- what they share -------------------------------------------------------------------------------------------------

std::optional<std::vector<View>> view_reshape(const PrepareContext& context) {
  const TensorDesc& output = context.outputs[0];
  auto strides = compute::reshape_strides(context.inputs[0], output.dims);
  if (!strides) return std::nullopt;
  return std::vector{View{{output.dtype, output.dims, *strides}}};
}

/// The innermost part of the input's memory becomes the innermost part of dimension 1 of an image.
bool becomes_channels(const TensorDesc& from, std::span<const int64_t> dims) {
  if (dims.size() < 4 || dims.size() > 5 || compute::is_plain(from) || from.size() == 0) return false;
  int64_t innermost_stride = INT64_MAX, step = 1,
          innermost_step = 1;  // steps count elements in row-major order of indices
  for (size_t i = from.dims.size(); i-- > 0;) {
    if (from.dims[i] > 1 && from.strides[i] < innermost_stride) {
      innermost_stride = from.strides[i];
      innermost_step = step;
    }
    step *= from.dims[i];
  }
  const int64_t pixels = *checked_size(dims.subspan(2));
  return innermost_step >= pixels && innermost_step < pixels * dims[1];
}

/// The input as it comes. The output channels-last where that is how its memory arrives, else row-major.
Layouts layout_reshape(const PrepareContext& context) {
  Layouts layouts{context.inputs, {}};
  const TensorDesc& output = context.outputs[0];
  layouts.outputs.push_back(becomes_channels(context.inputs[0], output.dims)
                                ? compute::channels_last(output.dtype, output.dims)
                                : compute::plain(output.dtype, output.dims));
  return layouts;
}

std::unique_ptr<Kernel> prepare_reshape(const PrepareContext& context) {
  return compute::make_reshape_copy(context.inputs[0], context.outputs[0]);
}

/// The product of all; a symbol times ones stays itself.
ir::Dim product(std::span<const ir::Dim> dims) {
  ir::Dim result{1};
  for (const ir::Dim& dim : dims) result = multiply(result, dim);
  return result;
}

// --- Identity, Dropout -----------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_identity(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  return {context.type(0)};
}

std::vector<ir::Type> infer_dropout(const InferContext& context) {
  context.check_inputs(1, context.opset >= 12 ? 3 : 1);
  context.check_outputs(1, 2);
  const ir::Type& type = context.type(0);
  ir::Type mask = type;
  if (context.opset >= 10) mask.dtype = DataType::kBool;
  return {type, mask};
}

std::optional<std::vector<View>> view_dropout(const PrepareContext& context) {
  const bool mask = context.outputs.size() > 1 && context.outputs[1].present();
  if (mask || !is_passing_dropout(context.graph, context.node)) return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

Layouts layout_dropout(const PrepareContext& context) {
  Layouts layouts{context.inputs, context.outputs};
  layouts.outputs[0].strides =
      compute::laid_out_like(DataType::kFloat32, context.inputs[0].dims, context.inputs[0]).strides;
  return layouts;
}

/// A copy, and a mask that keeps every element: the value 1 of the mask's type.
std::unique_ptr<Kernel> prepare_dropout(const PrepareContext& context) {
  if (!is_passing_dropout(context.graph, context.node)) fail(ErrorCode::kUnsupported, "Dropout in training mode");
  const compute::StridedCopy copy(context.inputs[0].dtype, context.inputs[0].dims, context.inputs[0].strides,
                                  context.outputs[0].strides);
  if (context.outputs.size() < 2 || !context.outputs[1].present())
    return compute::make_kernel([copy](const RunArgs& args) { copy.run(args.inputs[0], args.outputs[0]); });
  const TensorDesc& mask = context.outputs[1];
  Tensor keep(DataType::kBool, {1});
  if (is_float(mask.dtype))
    keep = from_doubles(mask.dtype, {1}, std::vector{1.0});
  else
    keep.mutable_data<bool>()[0] = true;
  const compute::StridedCopy fill(mask.dtype, mask.dims, std::vector<int64_t>(mask.dims.size()), mask.strides);
  return compute::make_kernel([copy, fill, keep](const RunArgs& args) {
    copy.run(args.inputs[0], args.outputs[0]);
    fill.run(keep.bytes().data(), args.outputs[1]);
  });
}

// --- Reshape ---------------------------------------------------------------------------------------------------------

/// From this version on the shape is an input of Reshape, before an attribute.
constexpr int64_t kShapeAsInput = 5;

/// The dimension that -1 stands for: what `input` has and the other dimensions of `output` (at `free`) do not. A symbol
/// that both have cancels out.
ir::Dim remaining_dim(const ir::Dims& input, const ir::Dims& output, size_t free) {
  int64_t have = 1, given = 1;
  ir::Dims unknown, others;  // of input and output, not cancelled
  for (const ir::Dim& dim : input) {
    if (!dim.known())
      unknown.push_back(dim);
    else
      have = multiply(have, dim).value();
  }
  for (size_t i = 0; i < output.size(); ++i) {
    if (i == free) continue;
    const ir::Dim& dim = output[i];
    if (dim.known())
      given = multiply(given, dim).value();
    else if (const auto same = std::ranges::find(unknown, dim); same != unknown.end())
      unknown.erase(same);
    else
      others.push_back(dim);
  }
  if (given == 0) fail(ErrorCode::kInvalidModel, "-1 stands for no dimension where another is 0");
  if (others.empty() && unknown.size() == 1 && have == given) return unknown.front();
  if (!others.empty() || !unknown.empty())
    return divide_exactly(multiply(have, product(unknown)), multiply(given, product(others)));
  if (have % given != 0) fail(ErrorCode::kInvalidModel, "{} elements can't be reshaped to rows of {}", have, given);
  return have / given;
}

/// `target`: the shape that is asked for, unknown where it is known only at run time.
ir::Dims reshaped_dims(const ir::Type& input, const ir::Dims& target, bool allow_zero) {
  const std::string shape = ir::to_string(ir::Type::tensor(DataType::kInt64, target));
  ir::Dims dims(target.size());
  std::optional<size_t> free;
  bool has_zero = false;
  for (size_t i = 0; i < target.size(); ++i) {
    const int64_t wanted = target[i].known() ? target[i].value() : 1;
    has_zero = has_zero || wanted == 0;
    if (!target[i].known()) {
      dims[i] = target[i];
    } else if (wanted == -1) {
      if (free) fail(ErrorCode::kInvalidModel, "the shape {} has more than one -1", shape);
      free = i;
    } else if (wanted < 0) {
      fail(ErrorCode::kInvalidModel, "the shape {} has a negative dimension", shape);
    } else if (wanted > 0 || allow_zero) {
      dims[i] = wanted;
    } else if (input.dims) {
      if (i >= input.dims->size())
        fail(ErrorCode::kInvalidModel, "the shape {} copies dimension {} of an input of rank {}", shape, i,
             input.rank());
      dims[i] = (*input.dims)[i];
    }
  }
  if (allow_zero && free && has_zero)
    fail(ErrorCode::kInvalidModel, "the shape {} has both 0 and -1 with allowzero", shape);
  if (free && input.dims) dims[*free] = remaining_dim(*input.dims, dims, *free);
  const auto before = input.shape();
  const auto after = ir::Type::tensor(input.dtype, dims).shape();
  if (before && after && checked_size(*before) != checked_size(*after))
    fail(ErrorCode::kInvalidModel, "{} can't be reshaped to {}", to_string(*before), shape);
  return dims;
}

std::vector<ir::Type> infer_reshape(const InferContext& context) {
  const size_t operands = context.opset < kShapeAsInput ? 1 : 2;
  context.check_inputs(operands, operands);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (context.opset < kShapeAsInput) {
    if (!context.node.attribute("shape")) fail(ErrorCode::kInvalidModel, "attribute shape is missing");
    const Shape target = context.node.ints_or("shape", {});
    return {ir::Type::tensor(input.dtype, reshaped_dims(input, ir::Dims(target.begin(), target.end()), false))};
  }
  const bool allow_zero = context.opset >= 14 && context.node.int_or("allowzero", 0) != 0;
  const auto unknown = dims_of_shape(context, 1);
  if (const auto target = constant_ints(context.graph, context.node, 1))
    return {ir::Type::tensor(input.dtype, reshaped_dims(input, ir::Dims(target->begin(), target->end()), allow_zero))};
  if (!unknown) return {ir::Type::tensor(input.dtype)};
  const auto& elements = context.graph.value(context.node.inputs[1]).elements;
  const bool told = elements && elements->size() == unknown->size();  // -1 and 0 included
  return {ir::Type::tensor(input.dtype, reshaped_dims(input, told ? *elements : *unknown, allow_zero))};
}

// --- Flatten, Squeeze, Unsqueeze -------------------------------------------------------------------------------------

std::vector<ir::Type> infer_flatten(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (!input.dims) return {ir::Type::tensor(input.dtype, ir::Dims(2))};
  const int64_t rank = input.rank();
  int64_t axis = context.node.int_or("axis", 1);
  if (axis < -rank || axis > rank)
    fail(ErrorCode::kInvalidModel, "axis {} is outside of a tensor of rank {}", axis, rank);
  if (axis < 0) axis += rank;
  const std::span<const ir::Dim> dims(*input.dims);
  const auto split = static_cast<size_t>(axis);
  return {ir::Type::tensor(input.dtype, ir::Dims{product(dims.first(split)), product(dims.subspan(split))})};
}

/// Whether the axes are given at all, and, when they are known, which. An attribute before opset 13, an input since.
struct Axes {
  bool given = false;
  std::optional<std::vector<int64_t>> values;
};

Axes axes_of(const InferContext& context) {
  context.check_outputs(1, 1);
  if (context.opset < 13) {
    context.check_inputs(1, 1);
    if (!context.node.attribute("axes")) return {};
    return {true, context.node.ints_or("axes", {})};
  }
  context.check_inputs(1, 2);
  if (!context.has(1)) return {};
  return {true, constant_ints(context.graph, context.node, 1)};
}

std::vector<ir::Type> infer_squeeze(const InferContext& context) {
  const Axes axes = axes_of(context);
  const ir::Type& input = context.type(0);
  if (!input.dims || (axes.given && !axes.values)) return {ir::Type::tensor(input.dtype)};
  const ir::Dims& dims = *input.dims;
  std::vector<int64_t> removed;
  if (axes.given) {
    removed = normalize_axes(*axes.values, input.rank());
  } else {
    for (size_t i = 0; i < dims.size(); ++i) {
      if (!dims[i].known()) return {ir::Type::tensor(input.dtype)};
      if (dims[i].value() == 1) removed.push_back(static_cast<int64_t>(i));
    }
  }
  ir::Dims kept;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (std::ranges::find(removed, static_cast<int64_t>(i)) == removed.end())
      kept.push_back(dims[i]);
    else if (dims[i].known() && dims[i].value() != 1)
      fail(ErrorCode::kInvalidModel, "dimension {} is {}, not 1", i, dims[i].value());
  }
  return {ir::Type::tensor(input.dtype, std::move(kept))};
}

std::vector<ir::Type> infer_unsqueeze(const InferContext& context) {
  const Axes axes = axes_of(context);
  if (!axes.given) fail(ErrorCode::kInvalidModel, "the axes are missing");
  const ir::Type& input = context.type(0);
  if (!input.dims || !axes.values) return {ir::Type::tensor(input.dtype)};
  const int64_t rank = input.rank() + static_cast<int64_t>(axes.values->size());
  (void)unknown_dims(context, rank);
  std::vector<bool> inserted(static_cast<size_t>(rank));
  for (const int64_t axis : normalize_axes(*axes.values, rank)) inserted[static_cast<size_t>(axis)] = true;
  ir::Dims dims;
  auto next = input.dims->begin();
  for (const bool one : inserted) dims.push_back(one ? ir::Dim(1) : *next++);
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

constexpr uint32_t kSecond = 0b10;

constexpr Operator kOperators[] = {
    {"Identity", 1, kNewestOpset, kMovable, infer_identity, prepare_reshape, layout_reshape, view_reshape},
    {"Dropout", 1, kNewestOpset, kNoStrings, infer_dropout, prepare_dropout, layout_dropout, view_dropout, 0b110},
    {"Reshape", 1, kNewestOpset, kMovable, infer_reshape, prepare_reshape, layout_reshape, view_reshape, kSecond},
    {"Flatten", 1, kNewestOpset, kMovable, infer_flatten, prepare_reshape, layout_reshape, view_reshape},
    {"Squeeze", 1, 12, kMovable, infer_squeeze, prepare_reshape, layout_reshape, view_reshape},
    {"Squeeze", 13, kNewestOpset, kMovable, infer_squeeze, prepare_reshape, layout_reshape, view_reshape, kSecond},
    {"Unsqueeze", 1, 12, kMovable, infer_unsqueeze, prepare_reshape, layout_reshape, view_reshape},
    {"Unsqueeze", 13, kNewestOpset, kMovable, infer_unsqueeze, prepare_reshape, layout_reshape, view_reshape, kSecond},
};

}  // namespace

Family reshape_family() { return kOperators; }

bool is_passing_dropout(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is("Dropout")) return false;
  const ir::ValueId training = node.input(2);
  if (!training) return true;
  const Tensor* mode = graph.constant_of(training);
  if (mode && mode->dtype() == DataType::kBool && mode->size() == 1 && to_int64s(*mode)[0] == 0) return true;
  const Tensor* ratio = graph.constant_of(node.input(1));
  return ratio && is_float(ratio->dtype()) && ratio->size() == 1 && to_doubles(*ratio)[0] == 0;
}

}  // namespace pli::ops
