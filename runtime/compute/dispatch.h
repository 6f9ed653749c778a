#pragma once

#include <pli/dtype.h>

#include <cstdint>

#include "runtime/core/error.h"

namespace pli::compute {

/// Returns body(T{}) for the C++ type of the elements: float32, float64 and the integers. kUnsupported for others.
template <class Body>
decltype(auto) with_number_type(DataType dtype, const Body& body) {
  switch (dtype) {
    case DataType::kFloat32:
      return body(float{});
    case DataType::kFloat64:
      return body(double{});
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
      fail(ErrorCode::kUnsupported, "elements of {}", to_string(dtype));
  }
}

}  // namespace pli::compute
