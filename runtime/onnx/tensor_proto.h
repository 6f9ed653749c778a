#pragma once

#include "runtime/core/tensor.h"
#include "runtime/onnx/proto.h"

#include <pli/limits.h>

#include <optional>

namespace pli {

/// The number of elements of a shape from a file, after checking rank and dimensions. kInvalidModel, kResourceLimit.
int64_t checked_elements(std::span<const int64_t> shape, const Limits& limits);

/// The same for a tensor, its data type and its size in bytes.
int64_t checked_elements(const onnx::TensorProto& proto, const Limits& limits);

/// Moves type, shape and payload out of `proto`, which keeps the rest (name, doc string, unknown fields). Raw data is
/// moved without being copied; typed data becomes raw. Nothing for tensors that only their bytes describe: a data type
/// without a known width, a segment of a larger tensor; then `proto` is unchanged. External data must have been brought
/// in before. kInvalidModel when the payload does not fit type and shape exactly.
std::optional<Tensor> take_tensor(onnx::TensorProto& proto, const Limits& limits);

/// Puts type, shape and string payload into `proto`; the bytes of other payloads are left to the caller.
void put_tensor_header(onnx::TensorProto& proto, const Tensor& tensor);

}  // namespace pli
