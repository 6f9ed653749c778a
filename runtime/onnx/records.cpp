#include "runtime/onnx/records.h"

#include "runtime/onnx/proto.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include <unordered_map>

namespace pli {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

/// Memory that messages and strings may take for each byte of the file, and beside that. The shortest nodes that do
/// something take 25 bytes for one.
constexpr int64_t kMostTimes = 32;
constexpr int64_t kFreeBytes = int64_t{64} << 20;

/// What a string takes beside its text, and the pointer to it.
constexpr int64_t kStringBytes = sizeof(std::string) + sizeof(void*);

class Count {
 public:
  Count(CodedInputStream& input, int64_t bytes, const Limits& limits)
      : input_(input), limits_(limits), bytes_(bytes), weight_left_(bytes * kMostTimes + kFreeBytes) {}

  /// The rest of a message, up to the stream's present limit. False when it is malformed.
  bool message(const Descriptor& type) {
    if (&type == onnx::NodeProto::descriptor() && ++nodes_ > limits_.nodes)
      fail(ErrorCode::kResourceLimit, "more nodes than the limit of {}", limits_.nodes);
    while (const uint32_t tag = input_.ReadTag())
      if (!field(type, tag)) return false;
    return true;
  }

 private:
  bool field(const Descriptor& type, uint32_t tag) {
    const auto wire_type = WireFormatLite::GetTagWireType(tag);
    if (wire_type == WireFormatLite::WIRETYPE_START_GROUP)
      fail(ErrorCode::kInvalidModel, "not an ONNX model: it holds a protobuf group");
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) return WireFormatLite::SkipField(&input_, tag);
    const FieldDescriptor* known = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    const bool is_message = known && known->type() == FieldDescriptor::TYPE_MESSAGE;
    weight_left_ -= is_message ? weight_of(*known->message_type()) : kStringBytes;
    if (weight_left_ < 0)
      fail(ErrorCode::kResourceLimit, "far more messages and strings than a file of {} bytes should hold", bytes_);
    int length = 0;
    if (!input_.ReadVarintSizeAsInt(&length)) return false;
    if (!is_message) return input_.Skip(length);
    const auto [limit, depth_left] = input_.IncrementRecursionDepthAndPushLimit(length);
    if (depth_left < 0)
      fail(ErrorCode::kResourceLimit, "messages are nested deeper than protobuf's limit of {}",
           CodedInputStream::GetDefaultRecursionLimit());
    return message(*known->message_type()) && input_.DecrementRecursionDepthAndPopLimit(limit);
  }

  /// The memory of an empty message, and of the pointer to it.
  int64_t weight_of(const Descriptor& type) {
    int64_t& weight = weights_[&type];
    if (weight == 0) {
      const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
      weight = static_cast<int64_t>(prototype->SpaceUsedLong() + sizeof(void*));
    }
    return weight;
  }

  CodedInputStream& input_;
  const Limits& limits_;
  int64_t bytes_;
  int64_t weight_left_;
  int64_t nodes_ = 0;
  std::unordered_map<const Descriptor*, int64_t> weights_;
};

}  // namespace

void check_records(google::protobuf::io::ZeroCopyInputStream& stream, const Descriptor& type, int64_t bytes,
                   const Limits& limits) {
  CodedInputStream input(&stream);
  (void)Count(input, bytes, limits).message(type);
}

}  // namespace pli
