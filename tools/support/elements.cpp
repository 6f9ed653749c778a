#include "tools/support/elements.h"

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pli::tools {

std::string element_text(const Tensor& tensor, size_t index) {
  const auto number = [&]<class T>(T) { return fmt::format("{}", tensor.data<T>()[index]); };
  switch (tensor.dtype()) {
    case DataType::kFloat32: return number(float{});
    case DataType::kFloat64: return number(double{});
    case DataType::kFloat16: return fmt::format("{}", to_float(tensor.data<Float16>()[index]));
    case DataType::kBfloat16: return fmt::format("{}", to_float(tensor.data<Bfloat16>()[index]));
    case DataType::kInt8: return number(int8_t{});
    case DataType::kInt16: return number(int16_t{});
    case DataType::kInt32: return number(int32_t{});
    case DataType::kInt64: return number(int64_t{});
    case DataType::kUint8: return number(uint8_t{});
    case DataType::kUint16: return number(uint16_t{});
    case DataType::kUint32: return number(uint32_t{});
    case DataType::kUint64: return number(uint64_t{});
    case DataType::kBool: return number(bool{});
    case DataType::kString: return fmt::format("\"{}\"", tensor.data<std::string>()[index]);
    default: return "?";
  }
}

std::string type_text(const Value& value) {
  if (value.is_tensor()) return to_string(value.dtype()) + to_string(value.shape());
  if (value.is_sequence()) return fmt::format("a sequence of {}", value.sequence().size());
  return value.optional() ? "an optional of " + type_text(*value.optional()) : "an empty optional";
}

std::string statistics_text(const Tensor& tensor) {
  if (tensor.size() == 0) return "empty";
  if (tensor.dtype() == DataType::kBool)
    return fmt::format("{} of {} true", std::ranges::count(tensor.data<bool>(), true), tensor.size());
  if (!is_float(tensor.dtype()) && !is_integer(tensor.dtype())) return "";
  std::vector<double> values;
  if (is_float(tensor.dtype())) values = to_doubles(tensor);
  else std::ranges::transform(to_int64s(tensor), std::back_inserter(values), [](int64_t v) { return static_cast<double>(v); });

  double least = std::numeric_limits<double>::infinity();
  double most = -least;
  double sum = 0;
  size_t nan = 0;
  size_t infinite = 0;
  for (const double v : values) {
    if (std::isnan(v)) ++nan;
    else if (std::isinf(v)) ++infinite;
    else {
      least = std::min(least, v);
      most = std::max(most, v);
      sum += v;
    }
  }
  std::string text;
  if (const size_t finite = values.size() - nan - infinite)
    text = fmt::format("min {:.6g}, mean {:.6g}, max {:.6g}", least, sum / static_cast<double>(finite), most);
  if (nan) text += fmt::format("{}{} NaN", text.empty() ? "" : ", ", nan);
  if (infinite) text += fmt::format("{}{} infinite", text.empty() ? "" : ", ", infinite);
  return text;
}

}  // namespace pli::tools
