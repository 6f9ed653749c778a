#pragma once

#include "runtime/onnx/proto.h"
#include "runtime/onnx/tensor_proto.h"

#include <pli/limits.h>

#include <filesystem>
#include <set>
#include <span>
#include <string>

namespace pli {

struct Screened {
  bool has_external_data = false;
  SharedPayloads payloads;  // that tensors of the graph refer to
};

/// Walks everything in an untrusted model once, before anything is made of it: nested graphs, functions, sparse tensors
/// and training graphs included. Counts levels, and brings the bytes of every external tensor in, so that none is left:
/// once where several tensors of the graph have the same.
///
/// `folders`: where external data may lie, the model's own first; none when the model came from memory, which then may
/// have no external data.
/// kInvalidModel, kIo, kResourceLimit.
Screened screen(onnx::ModelProto& model, std::span<const std::filesystem::path> folders, const Limits& limits);

/// The files that the external tensors of a model lie in, relative to its folder and without detours ("./").
/// kInvalidModel, kResourceLimit.
std::set<std::string> external_locations(onnx::ModelProto& model, const Limits& limits);

}  // namespace pli
