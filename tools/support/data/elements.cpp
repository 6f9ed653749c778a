#include "tools/support/data/elements.h"

#include "runtime/core/dispatch.h"
#include "runtime/core/tensor.h"
#include "tools/support/console/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace pli::tools {

namespace {

struct Summary {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  double mean = 0;
  size_t finite = 0;
  size_t nan = 0;
  size_t infinite = 0;
};

bool is_numeric(DataType dtype) { return is_float(dtype) || is_integer(dtype); }

/// Calls visit(double) for each element of a numeric tensor in order.
template <class Visit>
void for_each_number(const Tensor& tensor, const Visit& visit) {
  const auto walk = [&]<class T>(T) {
    for (const T element : tensor.data<T>()) visit(to_double(element));
  };
  if (is_float(tensor.dtype()))
    with_float_type(tensor.dtype(), walk);
  else
    with_integer_type(tensor.dtype(), walk);
}

/// Of a numeric tensor.
Summary summarize(const Tensor& tensor) {
  Summary summary;
  double sum = 0;
  for_each_number(tensor, [&](double v) {
    if (std::isnan(v)) {
      ++summary.nan;
    } else if (std::isinf(v)) {
      ++summary.infinite;
    } else {
      ++summary.finite;
      summary.least = std::min(summary.least, v);
      summary.most = std::max(summary.most, v);
      sum += v;
    }
  });
  if (summary.finite) summary.mean = sum / static_cast<double>(summary.finite);
  return summary;
}

}  // namespace

std::string element_text(const Tensor& tensor, size_t index) {
  const auto number = [&]<class T>(T) { return fmt::format("{}", tensor.data<T>()[index]); };
  if (tensor.dtype() == DataType::kString) return fmt::format("\"{}\"", tensor.data<std::string>()[index]);
  if (tensor.dtype() == DataType::kBool) return number(bool{});
  if (tensor.dtype() == DataType::kFloat16) return fmt::format("{}", to_float(tensor.data<Float16>()[index]));
  if (tensor.dtype() == DataType::kBfloat16) return fmt::format("{}", to_float(tensor.data<Bfloat16>()[index]));
  if (!is_numeric(tensor.dtype())) return "?";
  return with_number_type(tensor.dtype(), number);
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
  if (!is_numeric(tensor.dtype())) return "";
  const Summary summary = summarize(tensor);
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (summary.finite)
    add(fmt::format("min {:.6g}, mean {:.6g}, max {:.6g}", summary.least, summary.mean, summary.most));
  if (summary.nan) add(fmt::format("{} NaN", summary.nan));
  if (summary.infinite) add(fmt::format("{} infinite", summary.infinite));
  return text;
}

std::string top_text(const Tensor& tensor) {
  constexpr size_t kShown = 5;
  constexpr size_t kMostRows = 4;
  constexpr size_t kMostColumns = size_t{1} << 20;  // more are no scores of classes
  const auto shape = tensor.shape();
  const size_t columns = shape.empty() ? 0 : static_cast<size_t>(shape.back());
  if (!is_numeric(tensor.dtype()) || columns <= kShown || columns > kMostColumns || tensor.size() / columns > kMostRows)
    return "";
  std::vector<double> values;
  for_each_number(tensor, [&](double value) { values.push_back(value); });
  std::string text;
  for (size_t row = 0; row < tensor.size() / columns; ++row) {
    const double* const begin = values.data() + row * columns;
    std::vector<size_t> places(columns);
    std::iota(places.begin(), places.end(), size_t{0});
    // NaN compares false with everything, so it has to be ordered by hand: last.
    const auto before = [&](size_t a, size_t b) {
      return std::isnan(begin[b]) ? !std::isnan(begin[a]) : begin[a] > begin[b];
    };
    std::partial_sort(places.begin(), places.begin() + kShown, places.end(), before);
    text += "  top 5:";
    for (size_t i = 0; i < kShown; ++i) text += fmt::format("  [{}] {:.6g}", places[i], begin[places[i]]);
    text += '\n';
  }
  return text;
}

Json tensor_json(const Tensor& tensor) {
  Json result{{"dtype", to_string(tensor.dtype())},
              {"shape", std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end())}};
  if (!is_numeric(tensor.dtype())) return result;
  const Summary summary = summarize(tensor);
  if (summary.finite) {
    result["min"] = summary.least;
    result["mean"] = summary.mean;
    result["max"] = summary.most;
  }
  result["nan"] = summary.nan;
  result["infinite"] = summary.infinite;
  return result;
}

}  // namespace pli::tools
