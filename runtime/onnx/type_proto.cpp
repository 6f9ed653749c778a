#include "runtime/onnx/type_proto.h"

#include <algorithm>

namespace pli {

namespace {

/// What exporters write for each dimension that they don't know: no name that two of them share.
bool is_placeholder(const std::string& name) {
  constexpr std::string_view kPlaceholders[] = {"", "?", "-1", "None", "unknown"};
  return std::ranges::find(kPlaceholders, name) != std::end(kPlaceholders);
}

ir::Dim dim_of(const onnx::TensorShapeProto::Dimension& proto) {
  if (proto.has_dim_param()) return is_placeholder(proto.dim_param()) ? ir::Dim() : ir::Dim(proto.dim_param());
  if (!proto.has_dim_value() || proto.dim_value() == -1) return ir::Dim();
  if (proto.dim_value() < 0) fail(ErrorCode::kInvalidModel, "the declared dimension {} is negative", proto.dim_value());
  return ir::Dim(proto.dim_value());
}

void put_dim(onnx::TensorShapeProto::Dimension& proto, const ir::Dim& dim) {
  if (dim.known())
    proto.set_dim_value(dim.value());
  else if (dim.symbolic())
    proto.set_dim_param(dim.symbol());
}

}  // namespace

ir::Type type_of(const onnx::ValueInfoProto& declaration, const Limits& limits) {
  const onnx::TypeProto& type = declaration.type();
  if (!type.has_tensor_type()) {
    const bool other = type.value_case() != onnx::TypeProto::VALUE_NOT_SET || !type.unknown_fields().empty();
    return other ? ir::Type{ir::Type::Kind::kOther} : ir::Type{};
  }
  const onnx::TypeProto::Tensor& tensor = type.tensor_type();
  if (tensor.elem_type() < 0)
    fail(ErrorCode::kInvalidModel, "the declared data type {} is not valid", tensor.elem_type());
  const auto dtype = static_cast<DataType>(tensor.elem_type());
  if (!tensor.has_shape()) return ir::Type::tensor(dtype);
  if (tensor.shape().dim_size() > limits.rank)
    fail(ErrorCode::kResourceLimit, "the declared rank {} is beyond the limit of {}", tensor.shape().dim_size(),
         limits.rank);
  ir::Dims dims;
  for (const auto& dim : tensor.shape().dim()) dims.push_back(dim_of(dim));
  return ir::Type::tensor(dtype, std::move(dims));
}

void put_type(onnx::ValueInfoProto& declaration, const ir::Type& type) {
  if (type.kind != ir::Type::Kind::kTensor) return;
  if (type.dtype == DataType::kUndefined && !type.dims) return;
  onnx::TypeProto::Tensor& tensor = *declaration.mutable_type()->mutable_tensor_type();
  if (type.dtype != DataType::kUndefined) tensor.set_elem_type(static_cast<int32_t>(type.dtype));
  if (!type.dims) return;
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();
  if (shape.dim_size() != type.rank()) {
    shape.clear_dim();
    for (int64_t i = 0; i < type.rank(); ++i) shape.add_dim();
  }
  for (int i = 0; i < shape.dim_size(); ++i) put_dim(*shape.mutable_dim(i), (*type.dims)[static_cast<size_t>(i)]);
}

}  // namespace pli
