#include "runtime/ops/operator.h"

#include "runtime/ops/dims.h"

#include <algorithm>

namespace pli::ops {

using compute::channels_last;
using compute::plain;

const ir::Type& InferContext::type(size_t i) const {
  if (!has(i)) fail(ErrorCode::kInvalidModel, "input {} is missing", i);
  return graph.type(node.inputs[i]);
}

void InferContext::check_inputs(size_t least, size_t most) const {
  if (node.inputs.size() > most)
    fail(ErrorCode::kInvalidModel, "{} inputs where at most {} are expected", node.inputs.size(), most);
  for (size_t i = 0; i < least; ++i)
    if (!has(i)) fail(ErrorCode::kInvalidModel, "input {} of at least {} is missing", i, least);
}

void InferContext::check_outputs(size_t least, size_t most) const {
  if (node.outputs.size() > most)
    fail(ErrorCode::kInvalidModel, "{} outputs where at most {} are expected", node.outputs.size(), most);
  for (size_t i = 0; i < least; ++i)
    if (!node.output(i)) fail(ErrorCode::kInvalidModel, "output {} of at least {} is missing", i, least);
}

Layouts row_major_layouts(const PrepareContext& context) {
  Layouts layouts;
  const auto row_major = [](const TensorDesc& desc) { return desc.present() ? plain(desc.dtype, desc.dims) : desc; };
  std::ranges::transform(context.inputs, std::back_inserter(layouts.inputs), row_major);
  std::ranges::transform(context.outputs, std::back_inserter(layouts.outputs), row_major);
  return layouts;
}

Layouts channels_last_layouts(const PrepareContext& context) {
  const auto spatial = [](const TensorDesc& desc) {
    const bool image = desc.rank() >= 3 && desc.rank() <= 5;
    return image ? channels_last(desc.dtype, desc.dims) : plain(desc.dtype, desc.dims);
  };
  Layouts layouts;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    const TensorDesc& desc = context.inputs[i];
    const bool weight = i != 0 && i < context.node.inputs.size();
    layouts.inputs.push_back(desc.present() && !weight ? spatial(desc) : plain(desc.dtype, desc.dims));
  }
  for (const TensorDesc& desc : context.outputs) layouts.outputs.push_back(desc.present() ? spatial(desc) : desc);
  return layouts;
}

DataType common_dtype(const ir::Graph& graph, const ir::Node& node) {
  DataType common = DataType::kUndefined;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const DataType dtype = node.inputs[i] ? graph.type(node.inputs[i]).dtype : DataType::kUndefined;
    if (dtype == DataType::kUndefined) continue;
    if (common == DataType::kUndefined) common = dtype;
    if (dtype != common)
      fail(ErrorCode::kInvalidModel, "input {} is {} where {} is expected", i, to_string(dtype), to_string(common));
  }
  return common;
}

int64_t normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    fail(ErrorCode::kInvalidModel, "axis {} is outside of a tensor of rank {}", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

std::optional<ir::Dims> broadcast(const std::optional<ir::Dims>& a, const std::optional<ir::Dims>& b) {
  if (!a || !b) return std::nullopt;
  const ir::Dims& longer = a->size() >= b->size() ? *a : *b;
  const ir::Dims& shorter = a->size() >= b->size() ? *b : *a;
  ir::Dims result = longer;
  for (size_t i = 0; i < shorter.size(); ++i) {
    const ir::Dim& other = shorter[shorter.size() - 1 - i];
    ir::Dim& dim = result[result.size() - 1 - i];
    if (dim == other || (other.known() && other.value() == 1)) continue;
    if (dim.known() && dim.value() == 1) {
      dim = other;
    } else if (dim.known() && other.known()) {
      fail(ErrorCode::kInvalidModel, "shapes can't be broadcast: {} against {} in dimension {} from the end",
           dim.value(), other.value(), i + 1);
    } else if (other.known()) {
      dim = other;  // an unknown dimension has to be 1 or this
    } else if (is_minimum_with(dim, other)) {
      dim = other;  // which is 1 where they differ, or the number is
    } else if (!dim.known() && !is_minimum_with(other, dim)) {
      dim = ir::Dim{};
    }
  }
  return result;
}

bool reads_halves(const Operator& op, const ir::Graph& graph, std::span<const ir::ValueId> operands) {
  for (size_t i = 0; i < operands.size(); ++i)
    if (operands[i] && !op.reads_only_type(i) && is_half(graph.type(operands[i]).dtype)) return true;
  return false;
}

std::vector<ir::Type> infer(const Operator& op, const ir::Graph& graph, const ir::Node& node, const Limits& limits) {
  std::vector<ir::Type> types = op.infer(InferContext{graph, node, limits, graph.opset("")});
  for (const ir::Type& type : types) {
    const auto shape = type.shape();
    if (!shape) continue;
    const auto bytes = packed_bytes(bit_width(type.dtype) > 0 ? type.dtype : DataType::kUint8, *shape);
    if (!bytes || *bytes > limits.tensor_bytes)
      fail(ErrorCode::kResourceLimit, "an output of shape {} passes the limit of {} bytes", to_string(*shape),
           limits.tensor_bytes);
  }
  return types;
}

}  // namespace pli::ops
