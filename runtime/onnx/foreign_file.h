#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace pli {

/// Bytes of the start of a file that tell what it is.
constexpr size_t kTellingBytes = 512;

/// What a file that is no ONNX model is instead, and what to do with it, by how it starts; nothing when that says
/// nothing. To be asked only about files that can't be read as a model.
std::optional<std::string_view> describe_foreign_file(std::span<const std::byte> start);

}  // namespace pli
