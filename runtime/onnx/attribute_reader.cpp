#include "runtime/onnx/attribute_reader.h"

#include <algorithm>

namespace pli {

namespace {

using AttributeType = onnx::AttributeProto::AttributeType;

/// The type whose field holds something; UNDEFINED when none does. kInvalidModel when several do.
AttributeType type_of_content(const onnx::AttributeProto& proto) {
  const std::pair<bool, AttributeType> contents[] = {
      {proto.has_f(), onnx::AttributeProto::FLOAT},
      {proto.has_i(), onnx::AttributeProto::INT},
      {proto.has_s(), onnx::AttributeProto::STRING},
      {proto.has_t(), onnx::AttributeProto::TENSOR},
      {proto.has_g(), onnx::AttributeProto::GRAPH},
      {proto.has_sparse_tensor(), onnx::AttributeProto::SPARSE_TENSOR},
      {proto.has_tp(), onnx::AttributeProto::TYPE_PROTO},
      {proto.floats_size() > 0, onnx::AttributeProto::FLOATS},
      {proto.ints_size() > 0, onnx::AttributeProto::INTS},
      {proto.strings_size() > 0, onnx::AttributeProto::STRINGS},
      {proto.tensors_size() > 0, onnx::AttributeProto::TENSORS},
      {proto.graphs_size() > 0, onnx::AttributeProto::GRAPHS},
      {proto.sparse_tensors_size() > 0, onnx::AttributeProto::SPARSE_TENSORS},
      {proto.type_protos_size() > 0, onnx::AttributeProto::TYPE_PROTOS},
  };
  AttributeType found = onnx::AttributeProto::UNDEFINED;
  for (const auto& [present, type] : contents) {
    if (!present) continue;
    if (found != onnx::AttributeProto::UNDEFINED) fail(ErrorCode::kInvalidModel, "it has values of two types");
    found = type;
  }
  return found;
}

/// The type that the attribute says it has, checked against its content. Lists and, for writers that leave zeros out,
/// scalars may have none.
AttributeType checked_type(const onnx::AttributeProto& proto) {
  const AttributeType content = type_of_content(proto);
  if (!proto.has_type() || proto.type() == onnx::AttributeProto::UNDEFINED) return content;
  const AttributeType declared = proto.type();
  if (content == declared) return declared;
  if (content != onnx::AttributeProto::UNDEFINED)
    fail(ErrorCode::kInvalidModel, "it is of type {} and holds a value of type {}",
         onnx::AttributeProto::AttributeType_Name(declared), onnx::AttributeProto::AttributeType_Name(content));
  switch (declared) {
    case onnx::AttributeProto::TENSOR:
    case onnx::AttributeProto::GRAPH:
    case onnx::AttributeProto::SPARSE_TENSOR:
    case onnx::AttributeProto::TYPE_PROTO:
      fail(ErrorCode::kInvalidModel, "it is of type {} and holds no value",
           onnx::AttributeProto::AttributeType_Name(declared));
    default:
      return declared;
  }
}

/// The tensors; an Opaque when one of them has no form in the IR.
ir::AttributeValue take_tensors(onnx::AttributeProto& proto, const Limits& limits) {
  std::vector<Tensor> tensors;
  onnx::AttributeProto rest = proto;
  for (onnx::TensorProto& each : *rest.mutable_tensors()) {
    std::optional<Tensor> tensor = take_tensor(each, limits);
    if (!tensor) return ir::Opaque{};
    tensors.push_back(std::move(*tensor));
  }
  proto = std::move(rest);
  return tensors;
}

ir::AttributeValue take_value(onnx::AttributeProto& proto, AttributeType type, const Limits& limits,
                              const SharedPayloads& shared,
                              const std::function<ir::Subgraph(onnx::GraphProto&)>& read_nested) {
  ir::AttributeValue value;
  switch (type) {
    case onnx::AttributeProto::INT:
      value = proto.i();
      break;
    case onnx::AttributeProto::FLOAT:
      value = proto.f();
      break;
    case onnx::AttributeProto::STRING:
      value = proto.s();
      break;
    case onnx::AttributeProto::INTS:
      value = std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
      break;
    case onnx::AttributeProto::FLOATS:
      value = std::vector<float>(proto.floats().begin(), proto.floats().end());
      break;
    case onnx::AttributeProto::STRINGS:
      value = std::vector<std::string>(proto.strings().begin(), proto.strings().end());
      break;
    case onnx::AttributeProto::TENSOR:
      if (std::optional<Tensor> tensor = take_tensor(*proto.mutable_t(), limits, shared)) value = std::move(*tensor);
      break;
    case onnx::AttributeProto::TENSORS:
      value = take_tensors(proto, limits);
      break;
    case onnx::AttributeProto::GRAPH:
      value = read_nested(*proto.mutable_g());
      proto.clear_g();
      break;
    case onnx::AttributeProto::GRAPHS: {
      std::vector<ir::Subgraph> graphs;
      for (const auto& graph : extract(*proto.mutable_graphs())) graphs.push_back(read_nested(*graph));
      value = std::move(graphs);
      break;
    }
    default:
      break;
  }
  return value;
}

}  // namespace

ir::Attribute read_attribute(onnx::AttributeProto& proto, const Limits& limits, const SharedPayloads& shared,
                             bool in_function, const std::function<ir::Subgraph(onnx::GraphProto&)>& read_nested) {
  ir::Attribute attribute;
  attribute.name = proto.name();
  return with_context(fmt::format("attribute {}", attribute.name), [&] {
    if (const std::string& referred = proto.ref_attr_name(); !referred.empty()) {
      if (!in_function)
        fail(ErrorCode::kInvalidModel, "it refers to the function attribute \"{}\" outside of a function", referred);
      attribute.value = ir::Reference{referred};
      attribute.extra = to_bytes(proto);
      return std::move(attribute);
    }
    const AttributeType type = checked_type(proto);
    attribute.value = take_value(proto, type, limits, shared, read_nested);
    proto.clear_name();
    if (!std::holds_alternative<ir::Opaque>(attribute.value)) {
      proto.clear_type();
      proto.clear_i();
      proto.clear_f();
      proto.clear_s();
      proto.clear_ints();
      proto.clear_floats();
      proto.clear_strings();
    }
    attribute.extra = to_bytes(proto);
    return std::move(attribute);
  });
}

}  // namespace pli
