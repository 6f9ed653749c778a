#pragma once

#include "runtime/ir/graph.h"

#include <pli/limits.h>

#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <string>

namespace pli {

/// Reads an untrusted ONNX model, and external data from where Model::load says. Messages start with the path.
/// kIo: can't be read, or not a regular file. kInvalidModel: not a valid ONNX model. kResourceLimit: beyond `limits`.
ir::Model load_model(const std::filesystem::path& path, const Limits& limits,
                     std::span<const std::filesystem::path> external_folders = {});

/// The same from memory, where external data is refused.
ir::Model parse_model(std::span<const std::byte> bytes, const Limits& limits);

/// The files that the external tensors of the model at `path` lie in, in a normal form; none when it is no model.
std::set<std::filesystem::path> external_files(const std::filesystem::path& path,
                                               std::span<const std::filesystem::path> external_folders = {});

}  // namespace pli
