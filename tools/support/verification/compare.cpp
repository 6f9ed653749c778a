#include "tools/support/verification/compare.h"

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"
#include "tools/support/data/elements.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pli::tools {

namespace {

std::string_view kind_of(const Value& value) {
  return value.is_tensor() ? "a tensor" : value.is_sequence() ? "a sequence" : "an optional";
}

/// "[0, 2, 5]": where element `index` of a row-major tensor lies.
std::string position(std::span<const int64_t> shape, size_t index) {
  Shape at(shape.size());
  auto rest = static_cast<int64_t>(index);
  for (size_t d = shape.size(); d-- > 0;) {
    at[d] = rest % shape[d];
    rest /= shape[d];
  }
  return to_string(at);
}

double rms_of(std::span<const double> values) {
  double sum = 0;
  size_t count = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    sum += v * v;
    ++count;
  }
  return count ? std::sqrt(sum / static_cast<double>(count)) : 0;
}

Comparison compare_numbers(std::span<const double> a, std::span<const double> b, std::span<const int64_t> shape,
                           const Tolerance& tolerance) {
  const double rms = rms_of(b);
  const double base = tolerance.atol + tolerance.atol_rms * rms;
  Comparison result;
  size_t wrong = 0;
  size_t first = 0;
  double distances = 0, allowances = 0;  // sums of squares
  for (size_t i = 0; i < b.size(); ++i) {
    bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (std::isfinite(b[i])) result.informative = true;
    if (std::isfinite(a[i]) && std::isfinite(b[i])) {
      const double distance = std::fabs(a[i] - b[i]);
      result.max_abs = std::max(result.max_abs, distance);
      const double allowed = base + tolerance.rtol * std::fabs(b[i]);
      same = same || distance <= tolerance.stray * allowed;
      distances += distance * distance;
      allowances += allowed * allowed;
      if (distance > 0) result.max_of_allowed = std::max(result.max_of_allowed, distance / (tolerance.stray * allowed));
    }
    if (!same && tolerance.any_for_nan && std::isnan(b[i]))
      ++result.not_compared;
    else if (!same && wrong++ == 0)
      first = i;
  }
  if (result.max_abs > 0) result.max_rel_rms = rms > 0 ? result.max_abs / rms : std::numeric_limits<double>::infinity();
  if (tolerance.stray > 1 && distances > 0)
    result.max_of_allowed = std::max(result.max_of_allowed, std::sqrt(distances / allowances));
  if (tolerance.stray > 1 && distances > allowances)
    result.difference = fmt::format("the differences' root mean square is {:.3g} where {:.3g} is allowed (RMS {:.3g})",
                                    std::sqrt(distances / static_cast<double>(b.size())),
                                    std::sqrt(allowances / static_cast<double>(b.size())), rms);
  if (wrong > 0)
    result.difference =
        fmt::format("{} of {} elements differ, first {} at {} for {}, largest difference {:.3g} (RMS {:.3g})", wrong,
                    b.size(), a[first], position(shape, first), b[first], result.max_abs, rms);
  return result;
}

Comparison compare_floats(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  return compare_numbers(to_doubles(actual), to_doubles(expected), expected.shape(), tolerance);
}

Comparison compare_exactly(const Tensor& actual, const Tensor& expected) {
  Comparison result;
  result.informative = expected.size() > 0;
  if (identical(actual, expected)) return result;
  size_t at = 0;
  while (at < expected.size() && element_text(actual, at) == element_text(expected, at)) ++at;
  result.difference = at == expected.size() ? "the elements differ"
                                            : fmt::format("{} at {} for {}", element_text(actual, at),
                                                          position(expected.shape(), at), element_text(expected, at));
  return result;
}

/// Less than 1 lets integers differ by nothing.
Comparison compare_integers(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  const auto numbers = [](const Tensor& tensor) {
    const std::vector<int64_t> values = to_int64s(tensor);
    return std::vector<double>(values.begin(), values.end());
  };
  const std::vector<double> b = numbers(expected);
  if (tolerance.atol + tolerance.atol_rms * rms_of(b) < 1) return compare_exactly(actual, expected);
  return compare_numbers(numbers(actual), b, expected.shape(),
                         {.rtol = 0, .atol = tolerance.atol, .atol_rms = tolerance.atol_rms});
}

Comparison compare_tensors(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  if (actual.dtype() != expected.dtype() || !std::ranges::equal(actual.shape(), expected.shape())) {
    Comparison result;
    result.difference = fmt::format("{}{} for {}{}", to_string(actual.dtype()), to_string(actual.shape()),
                                    to_string(expected.dtype()), to_string(expected.shape()));
    return result;
  }
  if (is_float(expected.dtype())) return compare_floats(actual, expected, tolerance);
  if (is_integer(expected.dtype()) && expected.dtype() != DataType::kUint64)
    return compare_integers(actual, expected, tolerance);
  return compare_exactly(actual, expected);
}

Comparison compare_sequences(const Value::Sequence& actual, const Value::Sequence& expected,
                             const Tolerance& tolerance) {
  Comparison result;
  if (actual.size() != expected.size()) {
    result.difference = fmt::format("{} elements for {}", actual.size(), expected.size());
    return result;
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    Comparison one = compare(actual[i], expected[i], tolerance);
    if (!one.difference.empty()) one.difference = fmt::format("element {}: {}", i, one.difference);
    merge(result, one);
  }
  return result;
}

}  // namespace

Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance) {
  if (actual.is_tensor() && expected.is_tensor()) return compare_tensors(actual.tensor(), expected.tensor(), tolerance);
  if (actual.is_sequence() && expected.is_sequence())
    return compare_sequences(actual.sequence(), expected.sequence(), tolerance);
  if (actual.is_optional() && expected.is_optional() && !actual.optional() == !expected.optional())
    return expected.optional() ? compare(*actual.optional(), *expected.optional(), tolerance) : Comparison{};
  Comparison result;
  result.difference = actual.is_optional() && expected.is_optional()
                          ? std::string(expected.optional() ? "an empty optional for a filled one"
                                                            : "a filled optional for an empty one")
                          : fmt::format("{} for {}", kind_of(actual), kind_of(expected));
  return result;
}

void merge(Comparison& total, const Comparison& other) {
  if (total.difference.empty()) total.difference = other.difference;
  total.max_abs = std::max(total.max_abs, other.max_abs);
  total.max_rel_rms = std::max(total.max_rel_rms, other.max_rel_rms);
  total.max_of_allowed = std::max(total.max_of_allowed, other.max_of_allowed);
  total.not_compared += other.not_compared;
  total.informative = total.informative || other.informative;
}

}  // namespace pli::tools
