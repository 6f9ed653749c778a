#include "runtime/onnx/message_kind.h"
#include "runtime/onnx/proto.h"
#include "runtime/onnx/values.pb.h"
#include "tests/onnx/protos.h"

#include <google/protobuf/descriptor.h>
#include <onnx/onnx-data_pb.h>

#include <map>
#include <set>

namespace pli::test {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

/// Compares what is said of a kind of message, and of all within it, with the distribution's description of it.
void compare(const Descriptor& wanted, const MessageKind& kind, std::map<const Descriptor*, const MessageKind*>& seen) {
  const auto [known, first] = seen.emplace(&wanted, &kind);
  EXPECT_EQ(known->second, &kind) << wanted.full_name();
  if (!first) return;
  EXPECT_GT(kind.bytes, 0) << wanted.full_name();
  std::map<int, const MessageKind& (*)()> messages(kind.messages.begin(), kind.messages.end());
  for (int i = 0; i < wanted.field_count(); ++i) {
    const FieldDescriptor& field = *wanted.field(i);
    if (field.type() != FieldDescriptor::TYPE_MESSAGE) continue;
    // What no tensor, sequence or optional is made of is read as bytes.
    const std::string_view name = field.name();
    const bool from_data = wanted.file()->name().find("onnx-data") != std::string::npos;
    if (from_data && (name.starts_with("map_") || name.starts_with("sparse_"))) continue;
    if (name == "opaque_type") continue;  // of the other of ONNX's two schemas
    ASSERT_TRUE(messages.contains(field.number())) << field.full_name();
    compare(*field.message_type(), messages.at(field.number())(), seen);
    messages.erase(field.number());
  }
  EXPECT_TRUE(messages.empty()) << wanted.full_name();
}

TEST(MessageKinds, AreThoseOfTheSchema) {
  std::map<const Descriptor*, const MessageKind*> seen;
  compare(*onnx::ModelProto::descriptor(), kind_of<pli::onnx::ModelProto>(), seen);
  compare(*onnx::TensorProto::descriptor(), kind_of<pli::onnx::TensorProto>(), seen);
  compare(*onnx::SequenceProto::descriptor(), kind_of<pli::onnx::SequenceProto>(), seen);
  compare(*onnx::OptionalProto::descriptor(), kind_of<pli::onnx::OptionalProto>(), seen);
  EXPECT_EQ(seen.size(), 23u);
}

}  // namespace

}  // namespace pli::test
