#pragma once

#include "runtime/core/tensor.h"

#include <pli/dtype.h>

#include <cstdint>

namespace pli {

/// Returns body(T{}) for the C++ type of the elements of a float type, 16 bits wide or more. kUnsupported for others.
template <class Body>
decltype(auto) with_float_type(DataType dtype, const Body& body) {
  switch (dtype) {
    case DataType::kFloat32:
      return body(float{});
    case DataType::kFloat64:
      return body(double{});
    case DataType::kFloat16:
      return body(Float16{});
    case DataType::kBfloat16:
      return body(Bfloat16{});
    default:
      fail(ErrorCode::kUnsupported, "{} is not a float type", to_string(dtype));
  }
}

/// The same for the integers from 8 to 64 bits.
template <class Body>
decltype(auto) with_integer_type(DataType dtype, const Body& body) {
  switch (dtype) {
    case DataType::kInt8:
      return body(int8_t{});
    case DataType::kInt16:
      return body(int16_t{});
    case DataType::kInt32:
      return body(int32_t{});
    case DataType::kInt64:
      return body(int64_t{});
    case DataType::kUint8:
      return body(uint8_t{});
    case DataType::kUint16:
      return body(uint16_t{});
    case DataType::kUint32:
      return body(uint32_t{});
    case DataType::kUint64:
      return body(uint64_t{});
    default:
      fail(ErrorCode::kUnsupported, "{} is not an integer type", to_string(dtype));
  }
}

/// The same for what C++ computes with: float32, float64 and the integers.
template <class Body>
decltype(auto) with_number_type(DataType dtype, const Body& body) {
  if (dtype == DataType::kFloat32) return body(float{});
  if (dtype == DataType::kFloat64) return body(double{});
  if (!is_integer(dtype)) fail(ErrorCode::kUnsupported, "elements of {}", to_string(dtype));
  return with_integer_type(dtype, body);
}

/// Returns body(T{}) for the unsigned integer that is as wide as an element: enough for what only moves. kUnsupported
/// for elements of no whole, or of more than 8, bytes.
template <class Body>
decltype(auto) with_bits_type(DataType dtype, const Body& body) {
  switch (bit_width(dtype)) {
    case 8:
      return body(uint8_t{});
    case 16:
      return body(uint16_t{});
    case 32:
      return body(uint32_t{});
    case 64:
      return body(uint64_t{});
    default:
      fail(ErrorCode::kUnsupported, "elements of {}", to_string(dtype));
  }
}

/// Returns body(T{}) for the type of indices: int32 and int64. kUnsupported for others.
template <class Body>
decltype(auto) with_index_type(DataType dtype, const Body& body) {
  if (dtype == DataType::kInt32) return body(int32_t{});
  if (dtype == DataType::kInt64) return body(int64_t{});
  fail(ErrorCode::kUnsupported, "indices of {}", to_string(dtype));
}

}  // namespace pli
