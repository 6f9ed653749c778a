#include "runtime/onnx/records.h"

#include "runtime/onnx/proto.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

namespace pli {

namespace {

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
  bool message(const MessageKind& kind) {
    if (&kind == &kind_of<onnx::NodeProto>() && ++nodes_ > limits_.nodes)
      fail(ErrorCode::kResourceLimit, "more nodes than the limit of {}", limits_.nodes);
    while (const uint32_t tag = input_.ReadTag())
      if (!field(kind, tag)) return false;
    return true;
  }

 private:
  bool field(const MessageKind& kind, uint32_t tag) {
    const auto wire_type = WireFormatLite::GetTagWireType(tag);
    if (wire_type == WireFormatLite::WIRETYPE_START_GROUP)
      fail(ErrorCode::kInvalidModel, "not an ONNX model: it holds a protobuf group");
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) return WireFormatLite::SkipField(&input_, tag);
    const auto held = std::ranges::find(kind.messages, WireFormatLite::GetTagFieldNumber(tag),
                                        &decltype(kind.messages)::value_type::first);
    const bool is_message = held != kind.messages.end();
    weight_left_ -= is_message ? held->second().bytes + static_cast<int64_t>(sizeof(void*)) : kStringBytes;
    if (weight_left_ < 0)
      fail(ErrorCode::kResourceLimit, "far more messages and strings than a file of {} bytes should hold", bytes_);
    int length = 0;
    if (!input_.ReadVarintSizeAsInt(&length)) return false;
    if (!is_message) return input_.Skip(length);
    const auto [limit, depth_left] = input_.IncrementRecursionDepthAndPushLimit(length);
    if (depth_left < 0)
      fail(ErrorCode::kResourceLimit, "messages are nested deeper than protobuf's limit of {}",
           CodedInputStream::GetDefaultRecursionLimit());
    return message(held->second()) && input_.DecrementRecursionDepthAndPopLimit(limit);
  }

  CodedInputStream& input_;
  const Limits& limits_;
  int64_t bytes_;
  int64_t weight_left_;
  int64_t nodes_ = 0;
};

}  // namespace

void check_records(google::protobuf::io::ZeroCopyInputStream& stream, const MessageKind& kind, int64_t bytes,
                   const Limits& limits) {
  CodedInputStream input(&stream);
  (void)Count(input, bytes, limits).message(kind);
}

}  // namespace pli
