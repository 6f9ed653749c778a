#include "runtime/onnx/tensor_file.h"

#include "runtime/onnx/protobuf_origin.h"
#include "runtime/onnx/records.h"
#include "runtime/onnx/tensor_proto.h"
#include "runtime/onnx/values.pb.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

namespace pli {

namespace {

using onnx::OptionalProto;
using onnx::SequenceProto;
using onnx::TensorProto;

[[noreturn]] void fail_on_kind(std::string_view what) {
  fail(ErrorCode::kUnsupported, "{} have no value in Pli", what);
}

Tensor read_tensor(TensorProto& proto, const Limits& limits) {
  if (proto.data_location() == TensorProto::EXTERNAL)
    fail(ErrorCode::kInvalidModel, "the payload of a tensor file can't be external");
  std::optional<Tensor> tensor = take_tensor(proto, limits);
  if (!tensor)
    fail(ErrorCode::kUnsupported, "tensors of {} have no value in Pli",
         to_string(static_cast<DataType>(proto.data_type())));
  return std::move(*tensor);
}

Value read_optional(OptionalProto& proto, const Limits& limits);

Value read_sequence(SequenceProto& proto, const Limits& limits) {
  Value::Sequence values;
  switch (proto.elem_type()) {
    case SequenceProto::UNDEFINED:
      break;
    case SequenceProto::TENSOR:
      for (TensorProto& each : *proto.mutable_tensor_values()) values.emplace_back(read_tensor(each, limits));
      break;
    case SequenceProto::SEQUENCE:
      for (SequenceProto& each : *proto.mutable_sequence_values()) values.push_back(read_sequence(each, limits));
      break;
    case SequenceProto::OPTIONAL:
      for (OptionalProto& each : *proto.mutable_optional_values()) values.push_back(read_optional(each, limits));
      break;
    default:
      fail_on_kind("sequences of maps and sparse tensors");
  }
  return values;
}

Value read_optional(OptionalProto& proto, const Limits& limits) {
  const auto some = [](Value value) { return Value(std::make_shared<const Value>(std::move(value))); };
  if (proto.has_tensor_value()) return some(read_tensor(*proto.mutable_tensor_value(), limits));
  if (proto.has_sequence_value()) return some(read_sequence(*proto.mutable_sequence_value(), limits));
  if (proto.has_optional_value()) return some(read_optional(*proto.mutable_optional_value(), limits));
  if (proto.has_map_value() || proto.has_sparse_tensor_value()) fail_on_kind("optional maps and sparse tensors");
  return Value::Optional();
}

template <class Message>
Message parse(std::span<const std::byte> bytes, const Limits& limits) {
  std::string what = Message().GetTypeName();
  what.erase(0, what.rfind('.') + 1);
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(ErrorCode::kInvalidModel, "not a serialized {}", what);
  const int size = static_cast<int>(bytes.size());
  google::protobuf::io::ArrayInputStream stream(bytes.data(), size);
  check_records(stream, kind_of<Message>(), size, limits);
  Message message;
  if (!message.ParsePartialFromArray(bytes.data(), size)) fail(ErrorCode::kInvalidModel, "not a serialized {}", what);
  return message;
}

NamedValues::Item parse_kind(std::span<const std::byte> bytes, FileKind kind, const Limits& limits) {
  switch (kind) {
    case FileKind::kTensor: {
      auto proto = parse<TensorProto>(bytes, limits);
      Tensor tensor = read_tensor(proto, limits);
      return {proto.name(), std::move(tensor)};
    }
    case FileKind::kSequence: {
      auto proto = parse<SequenceProto>(bytes, limits);
      Value value = read_sequence(proto, limits);
      return {proto.name(), std::move(value)};
    }
    case FileKind::kOptional: {
      auto proto = parse<OptionalProto>(bytes, limits);
      Value value = read_optional(proto, limits);
      return {proto.name(), std::move(value)};
    }
    case FileKind::kOther:
      break;
  }
  fail_on_kind("maps and sparse tensors");
}

void write(TensorProto& proto, const Tensor& tensor) {
  put_tensor_header(proto, tensor);
  const std::span<const std::byte> payload = tensor.bytes();
  if (!payload.empty()) proto.set_raw_data(payload.data(), payload.size());
}

void write(OptionalProto& proto, const Value::Optional& optional);

void write(SequenceProto& proto, const Value::Sequence& sequence) {
  proto.set_elem_type(SequenceProto::TENSOR);
  for (const Value& value : sequence) {
    if (value.is_tensor() != sequence.front().is_tensor() || value.is_sequence() != sequence.front().is_sequence())
      fail(ErrorCode::kInvalidArgument, "a sequence holds values of different kinds");
    if (value.is_tensor()) {
      write(*proto.add_tensor_values(), value.tensor());
    } else if (value.is_sequence()) {
      proto.set_elem_type(SequenceProto::SEQUENCE);
      write(*proto.add_sequence_values(), value.sequence());
    } else {
      proto.set_elem_type(SequenceProto::OPTIONAL);
      write(*proto.add_optional_values(), value.optional());
    }
  }
}

void write(OptionalProto& proto, const Value::Optional& optional) {
  proto.set_elem_type(OptionalProto::UNDEFINED);
  if (!optional) return;
  if (optional->is_tensor()) {
    proto.set_elem_type(OptionalProto::TENSOR);
    write(*proto.mutable_tensor_value(), optional->tensor());
  } else if (optional->is_sequence()) {
    proto.set_elem_type(OptionalProto::SEQUENCE);
    write(*proto.mutable_sequence_value(), optional->sequence());
  } else {
    proto.set_elem_type(OptionalProto::OPTIONAL);
    write(*proto.mutable_optional_value(), optional->optional());
  }
}

template <class Message, class Content>
std::string serialize(std::string_view name, const Content& content) {
  Message message;
  if (!name.empty()) message.set_name(std::string(name));
  write(message, content);
  return to_bytes(message);
}

}  // namespace

FileKind declared_file_kind(const std::string& declaration) {
  const auto proto = from_bytes<onnx::ValueInfoProto>(declaration);
  switch (proto.type().value_case()) {
    case onnx::TypeProto::VALUE_NOT_SET:
    case onnx::TypeProto::kTensorType:
      return FileKind::kTensor;
    case onnx::TypeProto::kSequenceType:
      return FileKind::kSequence;
    case onnx::TypeProto::kOptionalType:
      return FileKind::kOptional;
    default:
      return FileKind::kOther;
  }
}

NamedValues::Item parse_value(std::span<const std::byte> bytes, FileKind kind, const Limits& limits) {
  check_protobuf_origin();
  try {
    return parse_kind(bytes, kind, limits);
  } catch (const Error& e) {
    // The data is at fault, not a model.
    if (e.code() != ErrorCode::kInvalidModel) throw;
    throw Error(ErrorCode::kInvalidArgument, e.what());
  }
}

std::string serialize_value(std::string_view name, const Value& value) {
  if (value.is_tensor()) return serialize<TensorProto>(name, value.tensor());
  if (value.is_sequence()) return serialize<SequenceProto>(name, value.sequence());
  return serialize<OptionalProto>(name, value.optional());
}

}  // namespace pli
