#pragma once

#include "tests/ops/op_test.h"

#include <cmath>
#include <functional>
#include <limits>

namespace pli::test {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline Shape shape_of(const Tensor& tensor) { return {tensor.shape().begin(), tensor.shape().end()}; }

/// The elements as doubles, whatever numeric type they have.
inline std::vector<double> doubles(const Tensor& tensor) {
  if (is_float(tensor.dtype())) return to_doubles(tensor);
  const std::vector<int64_t> integers = to_int64s(tensor);
  return {integers.begin(), integers.end()};
}

/// f(elements) for each element of the operands stretched to `shape` as NumPy does.
inline std::vector<double> reference(const Shape& shape, const std::vector<Tensor>& operands,
                                     const std::function<double(const std::vector<double>&)>& f) {
  std::vector<std::vector<double>> values;
  for (const Tensor& operand : operands) values.push_back(doubles(operand));
  const int64_t count = *checked_size(shape);
  std::vector<double> result;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<double> elements;
    for (size_t k = 0; k < operands.size(); ++k) {
      const auto dims = operands[k].shape();
      int64_t rest = i;
      int64_t at = 0;
      int64_t stride = 1;
      for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) {
        const size_t missing = shape.size() - dims.size();
        if (axis < missing) continue;
        if (dims[axis - missing] > 1) at += rest % shape[axis] * stride;
        stride *= dims[axis - missing];
      }
      elements.push_back(values[k][static_cast<size_t>(at)]);
    }
    result.push_back(f(elements));
  }
  return result;
}

/// A tensor of bool from bytes, which may be other than 0 and 1.
inline Tensor bools(Shape shape, std::vector<uint8_t> bytes) {
  const auto owner = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  return Tensor::adopt(DataType::kBool, std::move(shape), owner, owner->data(), owner->size());
}

/// The elements of the first output, computed row-major and channels-last, which have to agree.
template <class T>
std::vector<T> values_of(const NodeCase& node) {
  const Tensor plain = run(node).at(0);
  const Tensor other = run_channels_last(node).at(0);
  EXPECT_TRUE(identical(plain, other));
  const auto data = plain.data<T>();
  return {data.begin(), data.end()};
}

/// Row-major and channels-last against the same expectation.
inline void expect_both(const NodeCase& node, const Shape& shape, const std::vector<double>& expected,
                        double rtol = 1e-5, double atol = 1e-6) {
  {
    SCOPED_TRACE(node.op_type + " row-major");
    expect_near(run(node).at(0), shape, expected, rtol, atol);
  }
  SCOPED_TRACE(node.op_type + " channels-last");
  expect_near(run_channels_last(node).at(0), shape, expected, rtol, atol);
}

}  // namespace pli::test
