#include <pli/dtype.h>

#include <array>

namespace pli {

namespace {

struct Traits {
  DataType dtype;
  std::string_view name;
  int bits;
};

constexpr std::array kTraits{
    Traits{DataType::kUndefined, "undefined", 0},
    Traits{DataType::kFloat32, "float32", 32},
    Traits{DataType::kUint8, "uint8", 8},
    Traits{DataType::kInt8, "int8", 8},
    Traits{DataType::kUint16, "uint16", 16},
    Traits{DataType::kInt16, "int16", 16},
    Traits{DataType::kInt32, "int32", 32},
    Traits{DataType::kInt64, "int64", 64},
    Traits{DataType::kString, "string", 0},
    Traits{DataType::kBool, "bool", 8},
    Traits{DataType::kFloat16, "float16", 16},
    Traits{DataType::kFloat64, "float64", 64},
    Traits{DataType::kUint32, "uint32", 32},
    Traits{DataType::kUint64, "uint64", 64},
    Traits{DataType::kComplex64, "complex64", 64},
    Traits{DataType::kComplex128, "complex128", 128},
    Traits{DataType::kBfloat16, "bfloat16", 16},
    Traits{DataType::kFloat8E4M3FN, "float8e4m3fn", 8},
    Traits{DataType::kFloat8E4M3FNUZ, "float8e4m3fnuz", 8},
    Traits{DataType::kFloat8E5M2, "float8e5m2", 8},
    Traits{DataType::kFloat8E5M2FNUZ, "float8e5m2fnuz", 8},
    Traits{DataType::kUint4, "uint4", 4},
    Traits{DataType::kInt4, "int4", 4},
    Traits{DataType::kFloat4E2M1, "float4e2m1", 4},
    Traits{DataType::kFloat8E8M0, "float8e8m0", 8},
    Traits{DataType::kUint2, "uint2", 2},
    Traits{DataType::kInt2, "int2", 2},
};

const Traits* find(DataType dtype) {
  const auto index = static_cast<size_t>(dtype);
  return index < kTraits.size() ? &kTraits[index] : nullptr;
}

}  // namespace

int bit_width(DataType dtype) {
  const Traits* traits = find(dtype);
  return traits ? traits->bits : 0;
}

std::string to_string(DataType dtype) {
  if (const Traits* traits = find(dtype)) return std::string(traits->name);
  return "type " + std::to_string(static_cast<int32_t>(dtype));
}

std::optional<DataType> parse_dtype(std::string_view name) {
  for (const Traits& traits : kTraits)
    if (traits.name == name) return traits.dtype;
  return std::nullopt;
}

}  // namespace pli
