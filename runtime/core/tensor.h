#pragma once

#include "runtime/core/checked.h"
#include "runtime/core/error.h"

#include <pli/tensor.h>

#include <cstring>

namespace pli {

/// Bytes that `elements` of `dtype` take, packed types rounded up; nothing on overflow or for types without a width.
inline std::optional<int64_t> packed_bytes(DataType dtype, int64_t elements) {
  const int bits = bit_width(dtype);
  if (bits == 0) return std::nullopt;
  const auto total = checked_mul(elements, bits);
  if (!total || *total > INT64_MAX - 7) return std::nullopt;
  return (*total + 7) / 8;
}

/// The same for a tensor of `shape`; nothing also where checked_size() gives none.
inline std::optional<int64_t> packed_bytes(DataType dtype, std::span<const int64_t> shape) {
  const auto elements = checked_size(shape);
  return elements ? packed_bytes(dtype, *elements) : std::nullopt;
}

inline bool is_float(DataType dtype) {
  return dtype == DataType::kFloat32 || dtype == DataType::kFloat64 || dtype == DataType::kFloat16 ||
         dtype == DataType::kBfloat16;
}
constexpr bool is_half(DataType dtype) { return dtype == DataType::kFloat16 || dtype == DataType::kBfloat16; }
inline bool is_integer(DataType dtype) {
  switch (dtype) {
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64:
      return true;
    default:
      return false;
  }
}

/// An element of a float type as a double, and a double rounded once to a float type.
template <class T>
double to_double(T value) {
  if constexpr (std::is_arithmetic_v<T>)
    return static_cast<double>(value);
  else
    return static_cast<double>(to_float(value));
}
template <class T>
T from_double(double value) {
  if constexpr (std::is_same_v<T, Float16>)
    return to_float16(value);
  else if constexpr (std::is_same_v<T, Bfloat16>)
    return to_bfloat16(value);
  else
    return static_cast<T>(value);
}

/// The elements of a float tensor (16, 32 or 64 bits) as doubles. kUnsupported for other types.
std::vector<double> to_doubles(const Tensor& tensor);

/// The elements of an integer or bool tensor. kUnsupported for other types; kInvalidArgument for a uint64 beyond int64.
std::vector<int64_t> to_int64s(const Tensor& tensor);

/// A tensor of a float type from doubles, each rounded once.
Tensor from_doubles(DataType dtype, Shape shape, std::span<const double> values);

/// The same elements in memory of its own.
Tensor deep_copy(const Tensor& tensor);

/// The same bits, and memory, as elements of another type of their width. kInvalidArgument for another width.
Tensor bits_as(const Tensor& tensor, DataType dtype);

/// A one-dimensional int64 tensor.
Tensor int64_tensor(std::span<const int64_t> values);

/// Equal types, shapes and payloads, bit for bit.
bool identical(const Tensor& a, const Tensor& b);

}  // namespace pli
