#pragma once

#include "runtime/onnx/message_kind.h"

#include <pli/limits.h>

#include <google/protobuf/io/zero_copy_stream.h>

namespace pli {

/// Counts the nodes, and weighs all messages and strings, that protobuf would make of a serialized message of a kind,
/// before it makes them: an empty one is two bytes of a file and hundreds in memory. Payloads are skipped, not read.
/// Returns early where the bytes are malformed. kResourceLimit when there are more nodes than the limit, when the rest
/// would take far more memory than a file of `bytes` bytes should, or when messages are nested deeper than protobuf
/// reads them; kInvalidModel for groups, a form of message that no version of ONNX has.
void check_records(google::protobuf::io::ZeroCopyInputStream& stream, const MessageKind& kind, int64_t bytes,
                   const Limits& limits);

}  // namespace pli
