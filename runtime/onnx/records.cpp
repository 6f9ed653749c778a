#include "runtime/onnx/records.h"

#include "runtime/core/checked.h"
#include "runtime/onnx/proto.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

namespace pli {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

/// Messages and strings that a model may have for each node that it may have, and beside that.
constexpr int64_t kRecordsPerNode = 16;
constexpr int64_t kMoreRecords = 1'000'000;

class Count {
 public:
  Count(CodedInputStream& input, const Limits& limits)
      : input_(input),
        limits_(limits),
        most_records_(checked_mul(limits.nodes, kRecordsPerNode).value_or(INT64_MAX / 2) + kMoreRecords) {}

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
    if (++records_ > most_records_)
      fail(ErrorCode::kResourceLimit, "more messages and strings than the limit of {}", most_records_);
    int length = 0;
    if (!input_.ReadVarintSizeAsInt(&length)) return false;
    const FieldDescriptor* known = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    if (!known || known->type() != FieldDescriptor::TYPE_MESSAGE) return input_.Skip(length);
    const auto [limit, depth_left] = input_.IncrementRecursionDepthAndPushLimit(length);
    return depth_left >= 0 && message(*known->message_type()) && input_.DecrementRecursionDepthAndPopLimit(limit);
  }

  CodedInputStream& input_;
  const Limits& limits_;
  int64_t most_records_;
  int64_t records_ = 0;
  int64_t nodes_ = 0;
};

}  // namespace

void check_records(google::protobuf::io::ZeroCopyInputStream& stream, const Limits& limits) {
  CodedInputStream input(&stream);
  (void)Count(input, limits).message(*onnx::ModelProto::descriptor());
}

}  // namespace pli
