#pragma once

#include <pli/export.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace pli {

/// ONNX's tensor element types; the numbers are those of TensorProto.DataType.
enum class DataType : int32_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};

/// Bits of one element: 2 and 4 for the packed types; 0 for strings and for types that Pli does not know.
PLI_API int bit_width(DataType dtype);

/// "float32", "int64", ...; "type 99" for one that Pli does not know.
PLI_API std::string to_string(DataType dtype);

/// The type that to_string(DataType) gives this name; nothing for a name that is none of these, also "type 99".
PLI_API std::optional<DataType> parse_dtype(std::string_view name);

/// IEEE binary16 and bfloat16 as their bits.
struct Float16 {
  uint16_t bits = 0;
};
struct Bfloat16 {
  uint16_t bits = 0;
};

PLI_API float to_float(Float16 half);
PLI_API float to_float(Bfloat16 half);
/// Rounded to nearest, a tie to even, overflow to infinity.
PLI_API Float16 to_float16(double value);
PLI_API Bfloat16 to_bfloat16(double value);

/// The same for each element. kInvalidArgument when the spans differ in size.
PLI_API void convert(std::span<const Float16> from, std::span<float> to);
PLI_API void convert(std::span<const Bfloat16> from, std::span<float> to);
PLI_API void convert(std::span<const float> from, std::span<Float16> to);
PLI_API void convert(std::span<const float> from, std::span<Bfloat16> to);

/// The DataType of a C++ element type; kUndefined where there is none.
template <class T>
constexpr DataType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DataType::kFloat32;
  else if constexpr (std::is_same_v<T, double>)
    return DataType::kFloat64;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DataType::kInt8;
  else if constexpr (std::is_same_v<T, int16_t>)
    return DataType::kInt16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DataType::kInt32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DataType::kInt64;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DataType::kUint8;
  else if constexpr (std::is_same_v<T, uint16_t>)
    return DataType::kUint16;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return DataType::kUint32;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return DataType::kUint64;
  else if constexpr (std::is_same_v<T, bool>)
    return DataType::kBool;
  else if constexpr (std::is_same_v<T, Float16>)
    return DataType::kFloat16;
  else if constexpr (std::is_same_v<T, Bfloat16>)
    return DataType::kBfloat16;
  else if constexpr (std::is_same_v<T, std::string>)
    return DataType::kString;
  else
    return DataType::kUndefined;
}

}  // namespace pli
