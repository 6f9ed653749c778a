#pragma once

#include "runtime/ir/graph.h"

#include <pli/limits.h>

#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <string>

namespace pli {

/// Reads an untrusted ONNX model; external data is read from the folder of `path` only. Messages start with the path.
/// kIo: can't be read, or not a regular file. kInvalidModel: not a valid ONNX model. kResourceLimit: beyond `limits`.
ir::Model load_model(const std::filesystem::path& path, const Limits& limits);

/// The same from memory, where external data is refused.
ir::Model parse_model(std::span<const std::byte> bytes, const Limits& limits);

/// The files beside `path` that the external tensors of the model there lie in; none when it is no model.
std::set<std::string> external_files(const std::filesystem::path& path);

}  // namespace pli
