#include "runtime/ops/movement/pad.h"

#include "runtime/compute/axis_gather.h"
#include "runtime/ops/dims.h"

#include <algorithm>
#include <numeric>

namespace pli::ops {

namespace {

using compute::AxisGather;
using compute::RunArgs;
using Mode = PadView::Mode;

Mode mode_of(const ir::Node& node, int64_t opset) {
  const std::string name = node.string_or("mode", "constant");
  if (name == "constant") return Mode::kConstant;
  if (name == "reflect") return Mode::kReflect;
  if (name == "edge") return Mode::kEdge;
  if (name == "wrap" && opset >= 19) return Mode::kWrap;
  fail(ErrorCode::kInvalidModel, "there is no mode \"{}\"", name);
}

/// The index in [0, dim) that an index outside of it stands for, or AxisGather::kFill.
int64_t source_index(Mode mode, int64_t index, int64_t dim) {
  if (index >= 0 && index < dim) return index;
  const auto modulo = [&](int64_t period) { return (index % period + period) % period; };
  switch (mode) {
    case Mode::kConstant:
      return AxisGather::kFill;
    case Mode::kEdge:
      return index < 0 ? 0 : dim - 1;
    case Mode::kWrap:
      return modulo(dim);
    case Mode::kReflect:
      break;
  }
  if (dim == 1) return 0;
  const int64_t at = modulo(2 * (dim - 1));
  return at < dim ? at : 2 * (dim - 1) - at;
}

ir::Dim padded_dim(const PadView& pads, size_t axis, const ir::Dim& dim) {
  const int64_t begin = pads.begin[axis], end = pads.end[axis];
  if (!dim.known()) return begin == 0 && end == 0 ? dim : ir::Dim();
  const int64_t size = add(add(dim, begin), end).value();
  if (size < 0)
    fail(ErrorCode::kInvalidModel, "pads {} and {} take more than dimension {} has, {}", begin, end, axis, dim.value());
  if (dim.value() == 0 && size > 0 && pads.mode != Mode::kConstant)
    fail(ErrorCode::kInvalidModel, "dimension {} has no elements to be padded with", axis);
  return size;
}

std::vector<ir::Type> infer_pad(const InferContext& context) {
  context.check_inputs(context.opset >= 11 ? 2 : 1, context.opset >= 18 ? 4 : context.opset >= 11 ? 3 : 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (context.opset >= 11 && context.has(2)) {
    const ir::Type& value = context.type(2);
    if (value.dtype != input.dtype && value.dtype != DataType::kUndefined && input.dtype != DataType::kUndefined)
      fail(ErrorCode::kInvalidModel, "the value is {} and the input {}", to_string(value.dtype),
           to_string(input.dtype));
    if (const auto shape = value.shape(); shape && checked_size(*shape) != 1)
      fail(ErrorCode::kInvalidModel, "the value has shape {}", to_string(*shape));
  }
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  ir::Dims dims = *input.dims;
  const auto pads = PadView::of(context.graph, context.node, input.rank());
  for (size_t axis = 0; axis < dims.size(); ++axis) dims[axis] = pads ? padded_dim(*pads, axis, dims[axis]) : ir::Dim();
  return {ir::Type::tensor(input.dtype, std::move(dims))};
}

std::optional<std::vector<View>> view_pad(const PrepareContext& context) {
  const auto pads = PadView::of(context.graph, context.node, context.inputs[0].rank());
  const auto none = [](std::span<const int64_t> list) {
    return std::ranges::all_of(list, [](int64_t pad) { return pad == 0; });
  };
  if (!pads || !none(pads->begin) || !none(pads->end)) return std::nullopt;
  return std::vector{View{context.inputs[0]}};
}

std::unique_ptr<Kernel> prepare_pad(const PrepareContext& context) {
  const TensorDesc &input = context.inputs[0], &output = context.outputs[0];
  const PadView pads = need(PadView::of(context.graph, context.node, input.rank()), 1);
  if (output.size() == 0) return compute::make_kernel([](const RunArgs&) {});
  std::vector<std::vector<int64_t>> tables(input.dims.size());
  for (size_t axis = 0; axis < tables.size(); ++axis) {
    tables[axis].reserve(static_cast<size_t>(output.dims[axis]));
    for (int64_t i = 0; i < output.dims[axis]; ++i)
      tables[axis].push_back(source_index(pads.mode, i - pads.begin[axis], input.dims[axis]));
  }
  AxisGather gather(input, output, std::move(tables));
  if (context.opset >= 11 && context.has(2))
    return compute::make_kernel([gather = std::move(gather)](const RunArgs& args) {
      gather.run(args.inputs[0], args.outputs[0], args.inputs[2]);
    });
  Tensor fill(input.dtype, {1});
  if (const float value = context.opset < 11 ? context.node.float_or("value", 0) : 0; value != 0)
    fill = from_doubles(input.dtype, {1}, std::vector{static_cast<double>(value)});
  return compute::make_kernel([gather = std::move(gather), fill](const RunArgs& args) {
    gather.run(args.inputs[0], args.outputs[0], fill.bytes().data());
  });
}

/// So that sums of a dimension and its pads do not overflow.
constexpr int64_t kMostPad = INT64_MAX / 4;

constexpr DataTypes kFloats = kF32 | kF64 | types({DataType::kFloat16, DataType::kBfloat16});

constexpr Operator kOperators[] = {
    {"Pad", 1, 10, kFloats, infer_pad, prepare_pad, follow_layouts, view_pad},
    {"Pad", 11, kNewestOpset, kMovable, infer_pad, prepare_pad, follow_layouts, view_pad, 0b1010},
};

}  // namespace

Family pad_family() { return kOperators; }

std::optional<double> PadView::number(const ir::Graph& graph, const ir::Node& node) {
  constexpr int64_t kValueIsInput = 11;
  if (graph.opset("") < kValueIsInput) return static_cast<double>(node.float_or("value", 0));
  if (!node.input(2)) return 0.0;
  const Tensor* value = graph.constant_of(node.inputs[2]);
  if (!value || value->size() != 1 || !is_float(value->dtype())) return std::nullopt;
  return to_doubles(*value)[0];
}

std::optional<PadView> PadView::of(const ir::Graph& graph, const ir::Node& node, int64_t rank) {
  const int64_t opset = graph.opset("");
  PadView view{mode_of(node, opset), Shape(static_cast<size_t>(rank)), Shape(static_cast<size_t>(rank))};
  const std::string_view name = opset < 2 ? "paddings" : "pads";
  if (opset < 11 && !node.attribute(name)) fail(ErrorCode::kInvalidModel, "attribute {} is missing", name);
  const auto pads = opset < 11 ? node.ints_or(name, {}) : constant_ints(graph, node, 1);
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (opset >= 18 && node.input(3)) {
    const auto some = constant_ints(graph, node, 3);
    if (!some) return std::nullopt;
    axes = normalize_axes(*some, rank);
  }
  if (!pads) return std::nullopt;
  if (pads->size() != 2 * axes.size())
    fail(ErrorCode::kInvalidModel, "{} pads where {} are expected for {} axes", pads->size(), 2 * axes.size(),
         axes.size());
  for (const int64_t pad : *pads)
    if (pad < -kMostPad || pad > kMostPad) fail(ErrorCode::kInvalidModel, "a pad of {}", pad);
  for (size_t i = 0; i < axes.size(); ++i) {
    view.begin[static_cast<size_t>(axes[i])] = (*pads)[i];
    view.end[static_cast<size_t>(axes[i])] = (*pads)[i + axes.size()];
  }
  return view;
}

}  // namespace pli::ops
