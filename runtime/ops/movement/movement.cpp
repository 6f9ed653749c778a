#include "runtime/ops/movement/movement.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/interleave.h"
#include "runtime/ops/dims.h"

#include <algorithm>
#include <numeric>

namespace pli::ops {

namespace {

using compute::CopyPiece;
using compute::make_copies;
using compute::StridedCopy;

int64_t width(const TensorDesc& desc) { return bit_width(desc.dtype) / 8; }

// --- Transpose -------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_transpose(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  ir::Dims dims;
  for (const int64_t axis : transpose_permutation(context.node, input.rank()))
    dims.push_back((*input.dims)[static_cast<size_t>(axis)]);
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

View transposed(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  View view{{input.dtype, context.outputs[0].dims, {}}};
  for (const int64_t axis : transpose_permutation(context.node, input.rank()))
    view.desc.strides.push_back(input.strides[static_cast<size_t>(axis)]);
  return view;
}

std::optional<std::vector<View>> view_transpose(const PrepareContext& context) {
  return std::vector{transposed(context)};
}

std::unique_ptr<Kernel> prepare_transpose(const PrepareContext& context) {
  return compute::make_copy(transposed(context).desc, context.outputs[0]);
}

// --- Concat ----------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_concat(const InferContext& context) {
  const size_t count = context.node.inputs.size();
  context.check_inputs(std::max<size_t>(count, 1), count);
  context.check_outputs(1, 1);
  ir::Type result = context.type(0);
  for (size_t i = 1; i < count; ++i) {
    const ir::Type& type = context.type(i);
    if (result.dtype == DataType::kUndefined)
      result.dtype = type.dtype;
    else if (type.dtype != DataType::kUndefined && type.dtype != result.dtype)
      fail(ErrorCode::kInvalidModel, "input {} is {} and input 0 {}", i, to_string(type.dtype),
           to_string(result.dtype));
    if (!result.dims || !type.dims) {
      result.dims = std::nullopt;
      continue;
    }
    if (type.rank() != result.rank())
      fail(ErrorCode::kInvalidModel, "input {} has rank {} and input 0 {}", i, type.rank(), result.rank());
    const auto axis = static_cast<size_t>(concat_axis(context.graph, context.node, result.rank()));
    for (size_t d = 0; d < result.dims->size(); ++d) {
      ir::Dim& dim = (*result.dims)[d];
      const ir::Dim& other = (*type.dims)[d];
      if (d == axis)
        dim = add(dim, other);
      else if (!dim.known())
        dim = other.known() || dim == other ? other : dim;
      else if (other.known() && dim.value() != other.value())
        fail(ErrorCode::kInvalidModel, "dimension {} is {} of input {} and {} before", d, other.value(), i,
             dim.value());
    }
  }
  if (result.dims) (void)concat_axis(context.graph, context.node, result.rank());
  return {ir::Type::tensor(result.dtype, result.dims)};
}

/// Whether a Reshape makes one dimension of the axis and the one before it, and nobody else reads the value.
bool is_merged(const PrepareContext& context, size_t axis) {
  const ir::ValueId joined = context.node.outputs[0];
  if (axis == 0 || !context.graph.has_single_use(joined)) return false;
  const ir::Use use = *context.graph.uses(joined).begin();
  if (use.index != 0 || !context.graph.node(use.node).is("Reshape")) return false;
  PerAxis merged = context.outputs[0].dims;
  merged[axis - 1] *= merged[axis];
  merged.erase(merged.begin() + axis);
  return context.graph.type(context.graph.node(use.node).outputs[0]).shape() == merged;
}

/// Channels that are shuffled lie in the order that they are to have, whatever lies between them in the inputs.
Layouts layout_concat(const PrepareContext& context) {
  Layouts layouts = follow_layouts(context);
  const TensorDesc& output = context.outputs[0];
  const auto axis = static_cast<size_t>(concat_axis(context.graph, context.node, output.rank()));
  const auto is_one = [&](const TensorDesc& input) { return input.dims[axis] == 1; };
  if (!std::ranges::all_of(context.inputs, is_one) || !is_merged(context, axis)) return layouts;
  const auto lead = std::ranges::find_if_not(context.inputs, compute::is_plain);
  TensorDesc like = lead != context.inputs.end() ? *lead : context.inputs[0];
  like.strides[axis] = like.strides[axis - 1];
  layouts.outputs[0] = compute::laid_out_like(output.dtype, output.dims, like);
  return layouts;
}

std::unique_ptr<Kernel> prepare_concat(const PrepareContext& context) {
  const TensorDesc& output = context.outputs[0];
  const auto axis = static_cast<size_t>(concat_axis(context.graph, context.node, output.rank()));
  if (auto kernel = compute::make_interleave(context.inputs, output, axis)) return kernel;
  std::vector<CopyPiece> pieces;
  int64_t offset = 0;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    const TensorDesc& input = context.inputs[i];
    if (input.size() > 0)
      pieces.push_back(
          {StridedCopy(input.dtype, input.dims, input.strides, output.strides), i, 0, 0, offset * width(output)});
    offset += input.dims[axis] * output.strides[axis];
  }
  return make_copies(std::move(pieces));
}

// --- Split -----------------------------------------------------------------------------------------------------------

/// The sizes of the outputs along the axis, which is `dim` long; unknown where they can't be told.
ir::Dims split_sizes(const InferContext& context, const ir::Dim& dim) {
  const auto outputs = static_cast<int64_t>(context.node.outputs.size());
  std::optional<std::vector<int64_t>> sizes;
  const bool as_input = context.opset >= 13;
  const bool given = as_input ? context.has(1) : context.node.attribute("split") != nullptr;
  if (given) {
    sizes = as_input ? constant_ints(context.graph, context.node, 1) : context.node.ints_or("split", {});
    if (!sizes) return ir::Dims(static_cast<size_t>(outputs));
    if (static_cast<int64_t>(sizes->size()) != outputs)
      fail(ErrorCode::kInvalidModel, "{} sizes for {} outputs", sizes->size(), outputs);
    ir::Dim sum{0};
    for (const int64_t size : *sizes) {
      if (size < 0) fail(ErrorCode::kInvalidModel, "a part of {} elements", size);
      sum = add(sum, size);
    }
    if (dim.known() && sum.value() != dim.value())
      fail(ErrorCode::kInvalidModel, "the parts have {} elements, the dimension {}", sum.value(), dim.value());
    return {sizes->begin(), sizes->end()};
  }
  const int64_t parts = context.opset >= 18 ? context.node.int_or("num_outputs", outputs) : outputs;
  if (parts != outputs) fail(ErrorCode::kInvalidModel, "num_outputs is {} for {} outputs", parts, outputs);
  if (!dim.known()) return ir::Dims(static_cast<size_t>(outputs));
  const int64_t part = dim.value() / parts + (dim.value() % parts != 0 ? 1 : 0);
  const int64_t last = dim.value() - part * (parts - 1);
  if (last < 0 || (last != part && context.opset < 18))
    fail(ErrorCode::kInvalidModel, "a dimension of {} can't be split into {} parts", dim.value(), parts);
  ir::Dims result(static_cast<size_t>(outputs), ir::Dim{part});
  result.back() = last;
  return result;
}

std::vector<ir::Type> infer_split(const InferContext& context) {
  context.check_inputs(1, context.opset >= 13 ? 2 : 1);
  context.check_outputs(1, context.node.outputs.size());
  const ir::Type& input = context.type(0);
  if (!input.dims) return std::vector<ir::Type>(context.node.outputs.size(), ir::Type::tensor(input.dtype));
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), input.rank()));
  std::vector<ir::Type> result;
  for (const ir::Dim& size : split_sizes(context, (*input.dims)[axis])) {
    ir::Dims dims = *input.dims;
    dims[axis] = size;
    result.push_back(ir::Type::tensor(input.dtype, std::move(dims)));
  }
  return result;
}

/// Where the parts lie in the input. Parts that nobody uses have a place as well, so every size is asked of the
/// inference.
std::vector<View> split_parts(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const auto axis = static_cast<size_t>(normalize_axis(context.node.int_or("axis", 0), input.rank()));
  const InferContext types{context.graph, context.node, context.limits, context.opset};
  std::vector<View> parts;
  int64_t offset = 0;
  for (const ir::Dim& size : split_sizes(types, input.dims[axis])) {
    if (!size.known()) fail(ErrorCode::kUnsupported, "the sizes of the parts are only known at run time");
    parts.push_back({{input.dtype, input.dims, input.strides}, offset});
    parts.back().desc.dims[axis] = size.value();
    offset += size.value() * input.strides[axis];
  }
  return parts;
}

std::optional<std::vector<View>> view_split(const PrepareContext& context) { return split_parts(context); }

std::unique_ptr<Kernel> prepare_split(const PrepareContext& context) {
  std::vector<CopyPiece> pieces;
  const std::vector<View> parts = split_parts(context);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& [desc, offset] = parts[i];
    if (context.outputs[i].present() && desc.size() > 0)
      pieces.push_back({StridedCopy(desc.dtype, desc.dims, desc.strides, context.outputs[i].strides), 0, i,
                        offset * width(desc), 0});
  }
  return make_copies(std::move(pieces));
}

// --- Slice -----------------------------------------------------------------------------------------------------------

/// What a Slice leaves of dimension `dim`, given at place i of its lists, whose ends are not constant.
ir::Dim sliced_dim(const InferContext& context, size_t i, const ir::Dim& dim) {
  const auto holds = [&](size_t input, int64_t value) {
    const auto list = constant_ints(context.graph, context.node, input);
    return list && i < list->size() && (*list)[i] == value;
  };
  const auto& ends = context.graph.value(context.node.inputs[2]).elements;
  if (!holds(1, 0) || (context.has(4) && !holds(4, 1)) || !ends || i >= ends->size()) return {};
  if (dim == (*ends)[i]) return dim;
  return dim.known() ? minimum(dim.value(), (*ends)[i]) : ir::Dim();
}

std::vector<ir::Type> infer_slice(const InferContext& context) {
  context.check_inputs(context.opset >= 10 ? 3 : 1, context.opset >= 10 ? 5 : 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  const auto view = SliceView::of(context.graph, context.node);
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  ir::Dims dims = *input.dims;
  if (!view) {
    const auto axes = constant_ints(context.graph, context.node, 3);
    if (!axes) return {ir::Type::tensor(input.dtype, ir::Dims(dims.size()))};
    const std::vector<int64_t> sliced = normalize_axes(*axes, input.rank());
    for (size_t i = 0; i < sliced.size(); ++i) {
      ir::Dim& dim = dims[static_cast<size_t>(sliced[i])];
      dim = sliced_dim(context, i, dim);
    }
    return {ir::Type::tensor(input.dtype, std::move(dims))};
  }
  Shape known;  // 0 for what is not known: the ranges of the others do not depend on it
  for (const ir::Dim& dim : dims) known.push_back(dim.known() ? dim.value() : 0);
  const std::vector<SliceRange> ranges = view->ranges(known);
  for (size_t d = 0; d < dims.size(); ++d)
    if (dims[d].known()) dims[d] = ranges[d].count;
  const std::vector<int64_t> axes = normalize_axes(view->axes, input.rank());
  for (size_t i = 0; i < axes.size(); ++i) {
    ir::Dim& dim = dims[static_cast<size_t>(axes[i])];
    const bool whole = view->starts[i] == 0 && view->steps[i] == 1 && view->ends[i] >= INT32_MAX;
    if (!dim.known() && !whole) dim = {};
  }
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

/// The part as strides, which are negative along a dimension that is walked backwards.
View sliced(const PrepareContext& context) {
  const auto slice = SliceView::of(context.graph, context.node);
  if (!slice) fail(ErrorCode::kUnsupported, "the slice is only known at run time");
  View view{context.inputs[0]};
  const std::vector<SliceRange> ranges = slice->ranges(context.inputs[0].dims);
  for (size_t d = 0; d < ranges.size(); ++d) {
    int64_t& stride = view.desc.strides[d];
    view.offset += ranges[d].start * stride;
    view.desc.dims[d] = ranges[d].count;
    stride *= ranges[d].step;
  }
  if (view.desc.size() == 0) view.offset = 0;
  return view;
}

std::optional<std::vector<View>> view_slice(const PrepareContext& context) {
  View view = sliced(context);
  if (std::ranges::any_of(view.desc.strides, [](int64_t stride) { return stride < 0; })) return std::nullopt;
  return std::vector{std::move(view)};
}

std::unique_ptr<Kernel> prepare_slice(const PrepareContext& context) {
  const auto [desc, offset] = sliced(context);
  return make_copies(
      {{StridedCopy(desc.dtype, desc.dims, desc.strides, context.outputs[0].strides), 0, 0, offset * width(desc), 0}});
}

// --- Expand, Tile ----------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_expand(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const auto unknown = dims_of_shape(context, 1);
  const ir::Type& input = context.type(0);
  const auto shape = constant_ints(context.graph, context.node, 1);
  if (!shape) return {ir::Type::tensor(input.dtype, broadcast(input.dims, unknown))};
  for (const int64_t dim : *shape)
    if (dim < 0) fail(ErrorCode::kInvalidModel, "dimension {} of the shape is negative", dim);
  return {ir::Type::tensor(input.dtype, broadcast(input.dims, ir::Dims(shape->begin(), shape->end())))};
}

std::optional<std::vector<View>> view_expand(const PrepareContext& context) {
  if (context.inputs[0].dims != context.outputs[0].dims) return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

std::unique_ptr<Kernel> prepare_expand(const PrepareContext& context) {
  const auto& [input, output] = std::pair(context.inputs[0], context.outputs[0]);
  std::vector<int64_t> strides(output.dims.size());  // 0 where the input is repeated
  const size_t shift = output.dims.size() - input.dims.size();
  for (size_t d = 0; d < input.dims.size(); ++d) strides[d + shift] = input.dims[d] == 1 ? 0 : input.strides[d];
  return make_copies({{StridedCopy(output.dtype, output.dims, strides, output.strides)}});
}

std::vector<ir::Type> infer_tile(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  check_rank(context, 1, 1);
  const ir::Type& input = context.type(0);
  const auto repeats = constant_ints(context.graph, context.node, 1);
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  if (!repeats) return {ir::Type::tensor(input.dtype, ir::Dims(input.dims->size()))};
  if (static_cast<int64_t>(repeats->size()) != input.rank())
    fail(ErrorCode::kInvalidModel, "{} repeats for an input of rank {}", repeats->size(), input.rank());
  ir::Dims dims = *input.dims;
  for (size_t d = 0; d < dims.size(); ++d) {
    if ((*repeats)[d] < 0) fail(ErrorCode::kInvalidModel, "dimension {} is repeated {} times", d, (*repeats)[d]);
    dims[d] = multiply(dims[d], (*repeats)[d]);
  }
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

/// A copy with a dimension of repetitions before each dimension.
std::unique_ptr<Kernel> prepare_tile(const PrepareContext& context) {
  const auto& [input, output] = std::pair(context.inputs[0], context.outputs[0]);
  if (output.size() == 0) return make_copies({});
  Shape dims;
  std::vector<int64_t> from, to;
  for (size_t d = 0; d < input.dims.size(); ++d) {
    dims.insert(dims.end(), {output.dims[d] / input.dims[d], input.dims[d]});
    from.insert(from.end(), {0, input.strides[d]});
    to.insert(to.end(), {input.dims[d] * output.strides[d], output.strides[d]});
  }
  return make_copies({{StridedCopy(output.dtype, dims, from, to)}});
}

constexpr Operator kOperators[] = {
    {"Transpose", 1, kNewestOpset, kMovable, infer_transpose, prepare_transpose, follow_layouts, view_transpose},
    {"Concat", 1, kNewestOpset, kMovable, infer_concat, prepare_concat, layout_concat},
    {"Split", 2, 12, kMovable, infer_split, prepare_split, follow_layouts, view_split},
    {"Split", 13, kNewestOpset, kMovable, infer_split, prepare_split, follow_layouts, view_split, 0b10},
    {"Slice", 1, 9, kMovable, infer_slice, prepare_slice, follow_layouts, view_slice},
    {"Slice", 10, kNewestOpset, kMovable, infer_slice, prepare_slice, follow_layouts, view_slice, 0b11110},
    {"Expand", 8, kNewestOpset, kMovable, infer_expand, prepare_expand, follow_layouts, view_expand, 0b10},
    {"Tile", 6, kNewestOpset, kMovable, infer_tile, prepare_tile, follow_layouts, nullptr, 0b10},
};

}  // namespace

Family movement_family() { return kOperators; }

std::vector<int64_t> transpose_permutation(const ir::Node& node, int64_t rank) {
  std::vector<int64_t> reversed(static_cast<size_t>(rank));
  std::iota(reversed.rbegin(), reversed.rend(), int64_t{0});
  const std::vector<int64_t> permutation = node.ints_or("perm", reversed);
  std::vector<int64_t> sorted = permutation;
  std::ranges::sort(sorted);
  std::ranges::reverse(sorted);
  if (sorted != reversed)
    fail(ErrorCode::kInvalidModel, "perm {} is no permutation of {} dimensions", to_string(permutation), rank);
  return permutation;
}

int64_t concat_axis(const ir::Graph& graph, const ir::Node& node, int64_t rank) {
  if (!node.attribute("axis") && graph.opset("") >= 4) fail(ErrorCode::kInvalidModel, "attribute axis is missing");
  return normalize_axis(node.int_or("axis", 1), rank);
}

std::optional<SliceView> SliceView::of(const ir::Graph& graph, const ir::Node& node) {
  SliceView view;
  if (graph.opset("") < 10) {
    view = {node.ints_or("starts", {}), node.ints_or("ends", {}), node.ints_or("axes", {}), {}};
  } else {
    std::vector<int64_t>* const lists[] = {&view.starts, &view.ends, &view.axes, &view.steps};
    for (size_t i = 0; i < 4; ++i) {
      const auto values = constant_ints(graph, node, i + 1);
      if (!values && node.input(i + 1)) return std::nullopt;
      if (values) *lists[i] = *values;
    }
  }
  const size_t count = view.starts.size();
  if (view.axes.empty()) {
    view.axes.resize(count);
    std::iota(view.axes.begin(), view.axes.end(), int64_t{0});
  }
  if (view.steps.empty()) view.steps.assign(count, 1);
  if (view.ends.size() != count || view.axes.size() != count || view.steps.size() != count)
    fail(ErrorCode::kInvalidModel, "{} starts, {} ends, {} axes and {} steps", count, view.ends.size(),
         view.axes.size(), view.steps.size());
  if (std::ranges::find(view.steps, 0) != view.steps.end()) fail(ErrorCode::kInvalidModel, "a step is 0");
  return view;
}

std::vector<SliceRange> SliceView::ranges(std::span<const int64_t> dims) const {
  std::vector<SliceRange> result;
  for (const int64_t dim : dims) result.push_back({0, dim, 1});
  const std::vector<int64_t> positive = normalize_axes(axes, static_cast<int64_t>(dims.size()));
  for (size_t i = 0; i < positive.size(); ++i) {
    const auto axis = static_cast<size_t>(positive[i]);
    const int64_t dim = dims[axis];
    const bool forward = steps[i] > 0;
    const int64_t stride = forward ? steps[i] : -std::max(steps[i], -INT64_MAX);
    const auto clamp = [&](int64_t at) {
      return forward ? std::clamp<int64_t>(at < 0 ? at + dim : at, 0, dim)
                     : std::clamp<int64_t>(at < 0 ? at + dim : at, -1, dim - 1);
    };
    const int64_t start = std::max<int64_t>(clamp(starts[i]), 0);
    const int64_t distance = forward ? clamp(ends[i]) - start : start - clamp(ends[i]);
    const int64_t count = dim > 0 && distance > 0 ? (distance - 1) / stride + 1 : 0;
    result[axis] = {count > 0 ? start : 0, count, count > 1 ? steps[i] : 1};
  }
  return result;
}

}  // namespace pli::ops
