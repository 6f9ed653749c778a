#include "runtime/ops/elementwise.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace pli::ops {

namespace {

/// How good an input is as the model for the output's layout; 0: not at all.
int fitness(const TensorDesc& desc, const PerAxis& dims) {
  if (!desc.present() || desc.dims != dims) return 0;
  for (size_t axis = 0; axis < dims.size(); ++axis)
    if (dims[axis] > 1 && desc.strides[axis] <= 0) return 0;
  if (!compute::is_dense(desc)) return 1;
  return compute::is_channels_last(desc) && !compute::is_plain(desc) ? 3 : 2;
}

/// The output's axes from the outermost to the innermost.
std::vector<size_t> order_of_axes(const PrepareContext& context) {
  const PerAxis& dims = context.outputs.at(0).dims;
  std::vector<size_t> order(dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto lead =
      std::ranges::max_element(context.inputs, {}, [&](const TensorDesc& desc) { return fitness(desc, dims); });
  if (lead != context.inputs.end() && fitness(*lead, dims) > 0)
    std::ranges::stable_sort(order, std::greater(), [&](size_t axis) { return lead->strides[axis]; });
  return order;
}

/// The operand's own axes in the order of the output's.
std::vector<size_t> own_axes(const TensorDesc& desc, std::span<const size_t> order) {
  std::vector<size_t> axes;
  const size_t missing = order.size() - std::min(order.size(), desc.dims.size());
  for (const size_t axis : order)
    if (axis >= missing) axes.push_back(axis - missing);
  return axes;
}

TensorDesc dense_in_order(const TensorDesc& desc, std::span<const size_t> axes) {
  TensorDesc dense = desc;
  int64_t stride = 1;
  for (size_t i = axes.size(); i-- > 0; stride *= std::max<int64_t>(desc.dims[axes[i]], 1))
    dense.strides[axes[i]] = stride;
  return dense;
}

bool follows_order(const TensorDesc& desc, std::span<const size_t> axes) {
  int64_t outer = std::numeric_limits<int64_t>::max();
  for (const size_t axis : axes) {
    const int64_t stride = desc.strides[axis];
    if (desc.dims[axis] <= 1 || stride == 0) continue;
    if (stride < 0 || stride > outer) return false;
    outer = stride;
  }
  return true;
}

}  // namespace

Layouts elementwise_layouts(const PrepareContext& context) {
  const std::vector<size_t> order = order_of_axes(context);
  Layouts layouts;
  for (const TensorDesc& desc : context.inputs) {
    const std::vector<size_t> axes = own_axes(desc, order);
    const bool stays = !desc.present() || desc.rank() > static_cast<int64_t>(order.size()) || follows_order(desc, axes);
    layouts.inputs.push_back(stays ? desc : dense_in_order(desc, axes));
  }
  for (const TensorDesc& desc : context.outputs)
    layouts.outputs.push_back(desc.present() ? dense_in_order(desc, own_axes(desc, order)) : desc);
  return layouts;
}

Layouts shared_layouts(const PrepareContext& context) {
  Layouts layouts = elementwise_layouts(context);
  for (size_t i = 1; i < layouts.inputs.size(); ++i)
    if (const TensorDesc& desc = context.inputs[i]; desc.present())
      layouts.inputs[i] = compute::plain(desc.dtype, desc.dims);
  layouts.inputs[0].strides = layouts.outputs[0].strides;
  return layouts;
}

std::vector<ir::Type> infer_unary(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  return {context.type(0)};
}

int64_t broadcast_start(int64_t opset, const ir::Node& node, int64_t rank, int64_t other_rank) {
  const int64_t last = rank - other_rank;
  if (opset >= kNumpyBroadcasting || last <= 0 || !node.attribute("axis")) return last;
  const int64_t start = normalize_axis(node.int_or("axis", 0), rank);
  if (start > last)
    fail(ErrorCode::kInvalidModel, "axis {} leaves no room for {} dimensions among {}", start, other_rank, rank);
  return start;
}

std::optional<Shape> aligned_shape(int64_t opset, const ir::Node& node, size_t index, std::span<const int64_t> shape,
                                   int64_t rank) {
  const auto own = static_cast<int64_t>(shape.size());
  const bool stretched = opset >= kNumpyBroadcasting || index == 1 || own == rank;
  if (own > rank || !stretched) return std::nullopt;
  const int64_t start = index == 1 ? broadcast_start(opset, node, rank, own) : rank - own;
  Shape aligned(static_cast<size_t>(rank), 1);
  std::ranges::copy(shape, aligned.begin() + start);
  return aligned;
}

std::vector<ir::Type> infer_binary(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  const DataType dtype = common_dtype(context.graph, context.node);
  const ir::Type& a = context.type(0);
  const ir::Type& b = context.type(1);
  if (context.opset >= kNumpyBroadcasting || !a.dims || !b.dims)
    return {ir::Type::tensor(dtype, broadcast(a.dims, b.dims))};

  if (context.node.int_or("broadcast", 0) == 0 && a.rank() != b.rank())
    fail(ErrorCode::kInvalidModel, "operands of rank {} and {} without attribute broadcast", a.rank(), b.rank());
  const int64_t start = broadcast_start(context.opset, context.node, a.rank(), b.rank());
  if (start < 0)
    fail(ErrorCode::kInvalidModel, "operand 1 has more dimensions than operand 0: {} and {}", b.rank(), a.rank());
  ir::Dims aligned = *b.dims;
  aligned.resize(a.dims->size() - static_cast<size_t>(start), ir::Dim(1));
  return {ir::Type::tensor(dtype, broadcast(a.dims, aligned))};
}

std::vector<ir::Type> infer_comparison(const InferContext& context) {
  std::vector<ir::Type> types = infer_binary(context);
  types[0].dtype = DataType::kBool;
  return types;
}

std::array<TensorDesc, 2> binary_operands(const PrepareContext& context) {
  std::array<TensorDesc, 2> operands{context.inputs[0], context.inputs[1]};
  if (context.opset >= kNumpyBroadcasting) return operands;
  auto& [a, b] = operands;
  const int64_t start = broadcast_start(context.opset, context.node, a.rank(), b.rank());
  b.dims.resize(a.dims.size() - static_cast<size_t>(start), 1);
  b.strides.resize(b.dims.size(), 1);
  return operands;
}

}  // namespace pli::ops
