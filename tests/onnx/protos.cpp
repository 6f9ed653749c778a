#include "tests/onnx/protos.h"

#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstring>

namespace pli::test {

namespace {

using onnx::TensorProto;

/// Typed data as ONNX describes it, one entry after the other.
template <class Element, class Entries>
std::string narrow(const Entries& entries) {
  std::string raw;
  for (const auto entry : entries) {
    const auto element = static_cast<Element>(entry);
    raw.append(reinterpret_cast<const char*>(&element), sizeof element);
  }
  return raw;
}

std::string raw_of(const TensorProto& tensor) {
  if (!tensor.raw_data().empty()) return tensor.raw_data();
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::COMPLEX64:
      return narrow<float>(tensor.float_data());
    case TensorProto::DOUBLE:
    case TensorProto::COMPLEX128:
      return narrow<double>(tensor.double_data());
    case TensorProto::INT64:
      return narrow<int64_t>(tensor.int64_data());
    case TensorProto::UINT64:
      return narrow<uint64_t>(tensor.uint64_data());
    case TensorProto::UINT32:
      return narrow<uint32_t>(tensor.uint64_data());
    case TensorProto::INT32:
      return narrow<int32_t>(tensor.int32_data());
    case TensorProto::INT16:
    case TensorProto::UINT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return narrow<int16_t>(tensor.int32_data());
    default:
      return narrow<int8_t>(tensor.int32_data());
  }
}

void normalize(TensorProto& tensor) {
  if (tensor.data_type() == TensorProto::STRING) return;
  const std::string raw = raw_of(tensor);
  tensor.clear_float_data();
  tensor.clear_double_data();
  tensor.clear_int32_data();
  tensor.clear_int64_data();
  tensor.clear_uint64_data();
  tensor.clear_raw_data();
  if (!raw.empty()) tensor.set_raw_data(raw);
}

template <class Field, class Key>
void sort_by(Field& field, Key key) {
  std::sort(field.pointer_begin(), field.pointer_end(),
            [&](const auto* a, const auto* b) { return key(*a) < key(*b); });
}

void normalize(onnx::GraphProto& graph);

void normalize(onnx::NodeProto& node) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.has_t()) normalize(*attribute.mutable_t());
    for (auto& tensor : *attribute.mutable_tensors()) normalize(tensor);
    if (attribute.has_g()) normalize(*attribute.mutable_g());
    for (auto& graph : *attribute.mutable_graphs()) normalize(graph);
  }
}

void normalize(onnx::GraphProto& graph) {
  for (auto& tensor : *graph.mutable_initializer()) normalize(tensor);
  for (auto& node : *graph.mutable_node()) normalize(node);
  const auto name = [](const auto& message) { return message.name(); };
  sort_by(*graph.mutable_initializer(), name);
  sort_by(*graph.mutable_value_info(), name);
  sort_by(*graph.mutable_sparse_initializer(), [](const auto& message) { return message.values().name(); });
}

}  // namespace

void normalize(onnx::ModelProto& model) { normalize(*model.mutable_graph()); }

ir::Model parse(const onnx::ModelProto& model) {
  const std::string bytes = model.SerializePartialAsString();
  ir::Model parsed = parse_model(std::as_bytes(std::span(bytes)), {});
  parsed.graph.verify();
  return parsed;
}

onnx::ModelProto to_proto(const ir::Model& model) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(serialize_model(model)));
  return proto;
}

onnx::ModelProto round_trip(const onnx::ModelProto& model) { return to_proto(parse(model)); }

std::vector<std::string> unknown_fields(const google::protobuf::Message& message) {
  std::vector<std::string> found;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::UnknownFieldSet& own = reflection.GetUnknownFields(message);
  std::string bytes;
  if (!own.empty() && own.SerializeToString(&bytes)) found.push_back(message.GetDescriptor()->name() + " " + bytes);
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  const auto visit = [&](const google::protobuf::Message& nested) {
    for (std::string& each : unknown_fields(nested)) found.push_back(std::move(each));
  };
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated())
      visit(reflection.GetMessage(message, field));
    else
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        visit(reflection.GetRepeatedMessage(message, field, i));
  }
  std::ranges::sort(found);
  return found;
}

testing::AssertionResult same_meaning(onnx::ModelProto a, onnx::ModelProto b) {
  normalize(a);
  normalize(b);
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_message_field_comparison(google::protobuf::util::MessageDifferencer::EQUIVALENT);
  differencer.ReportDifferencesToString(&difference);
  if (!differencer.Compare(a, b)) return testing::AssertionFailure() << difference.substr(0, 2000);
  // The comparison above takes no notice of them.
  if (unknown_fields(a) != unknown_fields(b)) return testing::AssertionFailure() << "unknown fields differ";
  return testing::AssertionSuccess();
}

}  // namespace pli::test
