#pragma once

#include <pli/export.h>
#include <pli/limits.h>
#include <pli/tensor.h>

#include <filesystem>

namespace pli {

/// Reads a serialized TensorProto, the form in which ONNX test cases keep their inputs and outputs (.pb).
/// kIo: can't be read, or not a regular file. kInvalidArgument: not such a file. kUnsupported: a data type without a
/// known width. kResourceLimit: beyond `limits`.
PLI_API Tensor load_tensor(const std::filesystem::path& path, const Limits& limits = {});

}  // namespace pli
