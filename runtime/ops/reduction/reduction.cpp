#include "runtime/ops/reduction/reduction.h"

#include "runtime/compute/reduction.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace pli::ops {

namespace {

using compute::Reduction;

constexpr std::array kReductions{
    std::pair<std::string_view, Reduction>{"ReduceSum", Reduction::kSum},
    std::pair<std::string_view, Reduction>{"ReduceMean", Reduction::kMean},
    std::pair<std::string_view, Reduction>{"ReduceMax", Reduction::kMax},
    std::pair<std::string_view, Reduction>{"ReduceMin", Reduction::kMin},
    std::pair<std::string_view, Reduction>{"ReduceProd", Reduction::kProd},
    std::pair<std::string_view, Reduction>{"ReduceL1", Reduction::kL1},
    std::pair<std::string_view, Reduction>{"ReduceL2", Reduction::kL2},
    std::pair<std::string_view, Reduction>{"ReduceLogSum", Reduction::kLogSum},
    std::pair<std::string_view, Reduction>{"ReduceLogSumExp", Reduction::kLogSumExp},
    std::pair<std::string_view, Reduction>{"ReduceSumSquare", Reduction::kSumSquare},
};

Reduction reduction_of(const ir::Node& node) {
  return std::ranges::find(kReductions, node.op_type, &std::pair<std::string_view, Reduction>::first)->second;
}

/// Axes came in as an input of ReduceSum at 13, of the others at 18.
bool axes_are_input(const ir::Graph& graph, const ir::Node& node) {
  return graph.opset("") >= (node.is("ReduceSum") ? 13 : 18);
}

/// The axes as the model gives them; empty: none are given. Nothing while not known.
std::optional<Shape> raw_axes(const ir::Graph& graph, const ir::Node& node) {
  if (!axes_are_input(graph, node)) return node.ints_or("axes", {});
  if (node.attribute("axes"))
    fail(ErrorCode::kInvalidModel, "axes is an input at opset {}, not an attribute", graph.opset(""));
  const ir::ValueId input = node.input(1);
  if (!input) return Shape{};
  const ir::Type& type = graph.type(input);
  if (type.dtype != DataType::kUndefined && type.dtype != DataType::kInt64)
    fail(ErrorCode::kInvalidModel, "axes are {} where int64 is expected", to_string(type.dtype));
  if (type.rank() > 1) fail(ErrorCode::kInvalidModel, "axes have rank {} where a list is expected", type.rank());
  const Tensor* constant = graph.constant_of(input);
  if (!constant) return std::nullopt;
  return to_int64s(*constant);
}

/// The output's dimensions: of `dims`, those in `axes` become 1 or go.
template <class List>
List reduced(const List& dims, const ReduceView& view) {
  List result;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!std::ranges::binary_search(*view.axes, static_cast<int64_t>(i)))
      result.push_back(dims[i]);
    else if (view.keepdims)
      result.push_back(1);
  }
  return result;
}

ir::Type infer_reduced(const ir::Type& input, const ReduceView& view, DataType dtype) {
  if (!input.dims) return ir::Type::tensor(dtype);
  if (view.axes) return ir::Type::tensor(dtype, reduced(*input.dims, view));
  if (view.keepdims) return ir::Type::tensor(dtype, ir::Dims(input.dims->size()));
  return ir::Type::tensor(dtype);
}

std::vector<ir::Type> infer_reduce(const InferContext& context) {
  context.check_inputs(1, axes_are_input(context.graph, context.node) ? 2 : 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  return {infer_reduced(input, ReduceView::of(context.graph, context.node, input.rank()), input.dtype)};
}

/// The output with the dimensions that went put back as 1.
TensorDesc with_reduced(const TensorDesc& output, const ReduceView& view, int64_t rank) {
  if (view.keepdims) return output;
  TensorDesc result{output.dtype, Shape(static_cast<size_t>(rank), 1),
                    std::vector<int64_t>(static_cast<size_t>(rank), 0)};
  size_t from = 0;
  for (size_t i = 0; i < result.dims.size(); ++i) {
    if (std::ranges::binary_search(*view.axes, static_cast<int64_t>(i))) continue;
    result.dims[i] = output.dims[from];
    result.strides[i] = output.strides[from];
    ++from;
  }
  return result;
}

/// The input as it comes; with keepdims the output in its order of dimensions.
Layouts reduce_layouts(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  Layouts layouts{context.inputs, context.outputs};
  for (TensorDesc& desc : layouts.outputs)
    desc = desc.rank() == input.rank() ? compute::laid_out_like(desc.dtype, desc.dims, input)
                                       : compute::plain(desc.dtype, desc.dims);
  return layouts;
}

ReduceView view_of(const PrepareContext& context) {
  ReduceView view = ReduceView::of(context.graph, context.node, context.inputs[0].rank());
  if (!view.axes) fail(ErrorCode::kUnsupported, "axes that are only known when running");
  return view;
}

/// noop_with_empty_axes: where nothing is reduced these give the input itself. The others, which take the absolute
/// value, the square or the logarithm of an element, do so still.
std::optional<std::vector<View>> view_reduce(const PrepareContext& context) {
  constexpr std::string_view kOfOneElementItself[] = {"ReduceSum", "ReduceMean", "ReduceMax",
                                                      "ReduceMin", "ReduceProd", "ReduceLogSumExp"};
  if (!view_of(context).axes->empty()) return std::nullopt;
  if (std::ranges::find(kOfOneElementItself, context.node.op_type) == std::end(kOfOneElementItself))
    return std::nullopt;
  return std::vector<View>{{context.inputs[0], 0}};
}

std::unique_ptr<Kernel> prepare_reduce(const PrepareContext& context) {
  const ReduceView view = view_of(context);
  const TensorDesc& input = context.inputs[0];
  return compute::make_reduction(reduction_of(context.node), input,
                                 with_reduced(context.outputs[0], view, input.rank()));
}

// ArgMax, ArgMin.

ReduceView arg_view(const ir::Node& node, int64_t rank) {
  ReduceView view;
  view.keepdims = node.int_or("keepdims", 1) != 0;
  if (rank >= 0) view.axes = Shape{normalize_axis(node.int_or("axis", 0), rank)};
  return view;
}

std::vector<ir::Type> infer_arg(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  const ReduceView view = arg_view(context.node, input.rank());
  if (input.dims) {
    const int64_t axis = (*view.axes)[0];
    const ir::Dim& dim = (*input.dims)[static_cast<size_t>(axis)];
    if (dim.known() && dim.value() == 0)
      fail(ErrorCode::kInvalidModel, "there is no largest or smallest along axis {} of size 0", axis);
  }
  return {infer_reduced(input, view, DataType::kInt64)};
}

std::unique_ptr<Kernel> prepare_arg(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const ReduceView view = arg_view(context.node, input.rank());
  const bool last = context.node.int_or("select_last_index", 0) != 0;
  return compute::make_arg_reduction(context.node.is("ArgMax"), last, input, static_cast<size_t>((*view.axes)[0]),
                                     with_reduced(context.outputs[0], view, input.rank()));
}

}  // namespace

ReduceView ReduceView::of(const ir::Graph& graph, const ir::Node& node, int64_t rank) {
  ReduceView view;
  view.keepdims = node.int_or("keepdims", 1) != 0;
  std::optional<Shape> axes = raw_axes(graph, node);
  if (!axes || rank < 0) return view;
  if (axes->empty() && node.int_or("noop_with_empty_axes", 0) == 0) {
    axes->resize(static_cast<size_t>(rank));
    std::iota(axes->begin(), axes->end(), int64_t{0});
  }
  for (int64_t& axis : *axes) axis = normalize_axis(axis, rank);
  std::ranges::sort(*axes);
  if (const auto twice = std::ranges::adjacent_find(*axes); twice != axes->end())
    fail(ErrorCode::kInvalidModel, "axis {} is given twice", *twice);
  view.axes = std::move(axes);
  return view;
}

Family reduction_family() {
  constexpr DataTypes kNumbers = kF32 | kF64 | kIntegers;
  constexpr uint32_t kAxes = 1u << 1;
  static const std::vector<Operator> operators = [] {
    std::vector<Operator> list;
    for (const auto& [type, reduction] : kReductions)
      list.push_back(
          {type, 1, kNewestOpset, kNumbers, infer_reduce, prepare_reduce, reduce_layouts, view_reduce, kAxes});
    for (const std::string_view type : {"ArgMax", "ArgMin"})
      list.push_back({type, 1, kNewestOpset, kNumbers, infer_arg, prepare_arg, reduce_layouts});
    return list;
  }();
  return operators;
}

}  // namespace pli::ops
