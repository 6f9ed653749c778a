#pragma once

#include <pli/limits.h>

#include <google/protobuf/io/zero_copy_stream.h>

namespace pli {

/// Counts the nodes, and all messages and strings, that protobuf would make of a serialized ModelProto, before it makes
/// them: an empty one is two bytes of a file and hundreds in memory. Payloads are skipped, not read. Returns early
/// where the bytes are malformed. kResourceLimit when there are more nodes than the limit, or far more of the rest than
/// belong to so many; kInvalidModel for groups, a form of message that no version of ONNX has.
void check_records(google::protobuf::io::ZeroCopyInputStream& stream, const Limits& limits);

}  // namespace pli
