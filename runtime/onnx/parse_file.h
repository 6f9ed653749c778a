#pragma once

#include "runtime/core/files.h"
#include "runtime/onnx/proto.h"
#include "runtime/onnx/tensor_proto.h"

#include <pli/limits.h>

#include <cstdint>
#include <vector>

namespace pli {

inline constexpr const char kNoModel[] = "not an ONNX model: the file is damaged, cut short, or something else";

/// The raw data of an initializer of the main graph, where it lies in the file.
struct RawPayload {
  int initializer = 0;
  PayloadRange range;
};

/// A model as protobuf read it, but for large raw data of initializers that are nothing else: it would be copied, and
/// may stay where it is until it is known what it is for.
struct ParsedFile {
  onnx::ModelProto proto;
  std::vector<RawPayload> left_out;
};

/// kInvalidModel, kIo; kResourceLimit: see check_records.
ParsedFile parse_file(const InputFile& file, const Limits& limits);

/// Reads what was left out of `graph` and lets its tensors refer to it. kIo.
void bring_in(const InputFile& file, const std::vector<RawPayload>& left_out, onnx::GraphProto& graph,
              SharedPayloads& payloads);

}  // namespace pli
