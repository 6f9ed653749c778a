#pragma once

#include "runtime/core/error.h"

#include <pli/onnx.pb.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace pli {

/// The message as bytes, fields that the installed ONNX does not know included. kResourceLimit beyond protobuf's 2 GiB
/// - 1.
inline std::string to_bytes(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  if (size > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(ErrorCode::kResourceLimit, "a protobuf message of {} bytes is larger than 2 GiB - 1", size);
  return message.SerializePartialAsString();
}

/// The inverse for bytes that the library made itself.
template <class Message>
Message from_bytes(const std::string& bytes) {
  Message message;
  if (!message.ParsePartialFromString(bytes))
    fail(ErrorCode::kInternal, "kept bytes are not a {}", message.GetTypeName());
  return message;
}

/// Takes the elements out of a repeated field, so that each can be freed on its own.
template <class Message>
std::vector<std::unique_ptr<Message>> extract(google::protobuf::RepeatedPtrField<Message>& field) {
  std::vector<Message*> raw(static_cast<size_t>(field.size()));
  field.ExtractSubrange(0, field.size(), raw.data());
  return {raw.begin(), raw.end()};
}

/// `Conv "layer1.0.conv1"`, or `Conv with output "x"` for a node without a name. For messages.
inline std::string describe(const onnx::NodeProto& node) {
  const std::string what = node.op_type().empty() ? "node" : node.op_type();
  if (!node.name().empty()) return fmt::format("{} \"{}\"", what, node.name());
  for (const std::string& output : node.output())
    if (!output.empty()) return fmt::format("{} with output \"{}\"", what, output);
  return what;
}

}  // namespace pli
