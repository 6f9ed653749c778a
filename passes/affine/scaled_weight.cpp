#include "passes/affine/scaled_weight.h"

#include "runtime/core/dispatch.h"
#include "runtime/core/memory.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pli::passes {

namespace {

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

/// What rounding has met.
struct Met {
  int64_t cleared = 0;
  bool finite = true;
};

/// to[i] = give(i), rounded once. Without branches and by numbers of one width, so that compilers make vectors of it.
template <class T, class Give>
void round_all(T* to, int64_t count, const Give& give, Met& met) {
  using Number = std::conditional_t<std::is_same_v<T, float>, float, double>;
  using Count = std::conditional_t<std::is_same_v<T, float>, int32_t, int64_t>;
  constexpr auto kLeastNormal = std::is_same_v<T, double> ? static_cast<Number>(std::numeric_limits<double>::min())
                                                          : static_cast<Number>(std::numeric_limits<float>::min());
  constexpr int64_t kBlock = 1 << 16;
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t last = std::min(count, first + kBlock);
    Count cleared = 0, infinite = 0;
    for (int64_t i = first; i < last; ++i) {
      const T result = from_double<T>(give(i));
      Number number;
      if constexpr (std::is_same_v<T, float>)
        number = result;
      else
        number = to_double(result);
      const Number size = std::fabs(number);
      const bool is_subnormal = (size < kLeastNormal) & (size > 0);
      to[i] = is_subnormal ? T{} : result;
      cleared += is_subnormal ? 1 : 0;
      infinite += size <= std::numeric_limits<Number>::max() ? 0 : 1;
    }
    met.cleared += cleared;
    met.finite = met.finite && infinite == 0;
  }
}

/// A tensor whose elements `write(T*)` writes, all of them, and says what it met.
template <class T, class Write>
Folded written(DataType dtype, std::span<const int64_t> shape, size_t size, const Write& write) {
  const auto memory = allocate(size * sizeof(T));
  const Met met = write(reinterpret_cast<T*>(memory.get()));
  if (!met.finite) return {};
  Tensor tensor = Tensor::adopt(dtype, Shape(shape.begin(), shape.end()), memory, size * sizeof(T));
  return {std::move(tensor), met.cleared};
}

}  // namespace

Folded rounded(DataType dtype, Shape shape, std::span<const double> numbers) {
  return with_float_type(dtype, [&]<class T>(T) {
    return written<T>(dtype, shape, numbers.size(), [&](T* to) {
      Met met;
      round_all(
          to, static_cast<int64_t>(numbers.size()), [&](int64_t i) { return numbers[static_cast<size_t>(i)]; }, met);
      return met;
    });
  });
}

void ScaledWeight::multiply(Spread factor) {
  for (Spread& own : factors_)
    if (own.shape == factor.shape) {
      std::ranges::transform(own.numbers, factor.numbers, own.numbers.begin(), std::multiplies<>());
      return;
    }
  factors_.push_back(std::move(factor));
}

template <class Visit>
void ScaledWeight::for_each_row(size_t least_axes, const Visit& visit) const {
  const auto dims = shape();
  size_t axes = least_axes;  // those along which factors differ
  for (const Spread& factor : factors_)
    for (size_t i = 0; i < factor.shape.size(); ++i)
      if (factor.shape[i] != 1) axes = std::max(axes, i + 1);
  const int64_t length = axes == 0 ? 1 : dims[axes - 1];
  const int64_t inner = product(dims.subspan(axes));
  const Shape rows(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(axes == 0 ? 0 : axes - 1));
  std::vector<double> row(static_cast<size_t>(length));
  for_each_position(rows, [&](std::span<const int64_t> position, int64_t index) {
    std::ranges::fill(row, 1.0);
    Shape at(dims.size(), 0);
    std::ranges::copy(position, at.begin());
    for (const Spread& factor : factors_) {
      const double* numbers = factor.numbers.data() + broadcast_index(factor.shape, at);
      const size_t after = axes == 0 ? 0 : axes - 1;
      const bool varies = axes > 0 && factor.shape[after] != 1;
      for (size_t l = 0; l < row.size(); ++l) row[l] *= numbers[varies ? l : 0];
    }
    visit(index * length * inner, std::span<const double>(row), inner);
  });
}

Folded ScaledWeight::rounded() const {
  if (dtype_ != original_.dtype()) return passes::rounded(dtype_, Shape(shape().begin(), shape().end()), numbers());
  return with_float_type(dtype_, [&]<class T>(T) {
    const T* from = original_.data<T>().data();
    return written<T>(dtype_, shape(), original_.size(), [&](T* to) {
      Met met;
      for_each_row(0, [&](int64_t first, std::span<const double> factors, int64_t inner) {
        const T* row = from + first;
        if (inner == 1) {
          round_all(
              to + first, static_cast<int64_t>(factors.size()),
              [&](int64_t i) { return to_double(row[i]) * factors[static_cast<size_t>(i)]; }, met);
          return;
        }
        for (size_t l = 0; l < factors.size(); ++l, row += inner)
          round_all(
              to + (row - from), inner, [&](int64_t i) { return to_double(row[i]) * factors[l]; }, met);
      });
      return met;
    });
  });
}

std::vector<double> ScaledWeight::numbers() const {
  std::vector<double> result(original_.size());
  with_float_type(original_.dtype(), [&]<class T>(T) {
    const T* from = original_.data<T>().data();
    for_each_row(0, [&](int64_t first, std::span<const double> factors, int64_t inner) {
      auto at = static_cast<size_t>(first);
      for (const double factor : factors)
        for (int64_t i = 0; i < inner; ++i, ++at) result[at] = to_double(from[at]) * factor;
    });
  });
  return result;
}

std::vector<double> ScaledWeight::contracted(std::span<const double> numbers, const Contraction& contraction) const {
  const size_t first = contraction.first;
  const int64_t rows = shape()[first], columns = shape()[first + 1], inner = product(shape().subspan(first + 2));
  std::vector<double> sums(static_cast<size_t>(contraction.results), 0.0);
  with_float_type(original_.dtype(), [&]<class T>(T) {
    const T* from = original_.data<T>().data();
    for_each_row(first + 2, [&](int64_t index, std::span<const double> factors, int64_t run) {
      // Without factors further inside, a visit is row i with a run for each j; else it is a piece of element (i, j).
      const int64_t width = static_cast<int64_t>(factors.size()) * run;
      for (int64_t at = index; at < index + width; at += std::min(inner, width)) {
        double sum = 0;
        for (int64_t k = at; k < at + std::min(inner, width); ++k)
          sum += to_double(from[k]) * factors[static_cast<size_t>((k - index) / run)];
        const int64_t i = at / inner / columns % rows, j = at / inner % columns;
        sums[static_cast<size_t>(contraction.result(i, j))] +=
            sum * numbers[static_cast<size_t>(contraction.number(i, j))];
      }
    });
  });
  return sums;
}

std::optional<Tensor> narrowed(const Tensor& weight, const Shape& factor, DataType dtype) {
  const double roundoff = dtype == DataType::kBfloat16 ? 0x1p-8 : dtype == DataType::kFloat16 ? 0x1p-11 : 0x1p-24;
  const Shape shape(weight.shape().begin(), weight.shape().end());
  const std::vector<double> exact = to_doubles(weight);
  Tensor narrow = from_doubles(dtype, shape, exact);
  const std::vector<double> rounded = to_doubles(narrow);
  std::vector<double> squares(static_cast<size_t>(product(factor)), 0.0);
  std::vector<double> errors = squares;
  for_each_position(shape, [&](std::span<const int64_t> position, int64_t flat) {
    const auto at = static_cast<size_t>(flat);
    const auto cell = static_cast<size_t>(broadcast_index(factor, position));
    squares[cell] += exact[at] * exact[at];
    errors[cell] += (rounded[at] - exact[at]) * (rounded[at] - exact[at]);
  });
  for (size_t cell = 0; cell < squares.size(); ++cell)
    if (!(errors[cell] <= roundoff * roundoff * squares[cell])) return std::nullopt;
  return narrow;
}

}  // namespace pli::passes
