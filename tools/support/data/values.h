#pragma once

#include <pli/value.h>

#include <filesystem>
#include <string>

namespace pli::tools {

/// Reads a value from a file: .npy, or .pb, which holds a TensorProto, or what else the `declaration` of the graph's
/// input or output (its `extra`) makes of it. kIo, kInvalidArgument, kUnsupported.
Value load_value(const std::filesystem::path& path, const std::string& declaration);

/// Writes a value, whole or not at all, as the file's name says: .npy (tensors only) or .pb.
void save_value(const std::filesystem::path& path, const Value& value, const std::string& name);

}  // namespace pli::tools
