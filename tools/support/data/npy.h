#pragma once

#include <pli/tensor.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace pli::tools {

/// Reads a NumPy array file, format 1 to 3: bool, integers, float16 to float64 and complex numbers, little-endian. An
/// array in Fortran order becomes row-major. kIo: can't be read. kInvalidArgument: not such a file. kUnsupported:
/// another type.
Tensor read_npy(const std::filesystem::path& path);

/// The same from memory; `bytes` is not kept.
Tensor parse_npy(std::span<const std::byte> bytes);

/// The whole file as bytes. kUnsupported for types that NumPy does not have (strings of any length, bfloat16, 4 bits).
std::string npy_bytes(const Tensor& tensor);

}  // namespace pli::tools
