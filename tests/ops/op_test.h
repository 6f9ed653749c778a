#pragma once

#include "runtime/compute/tensor_desc.h"
#include "runtime/ops/operator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace pli::test {

inline ir::Attribute attribute(std::string name, int64_t value) { return {std::move(name), value, {}}; }
inline ir::Attribute attribute(std::string name, int value) { return {std::move(name), int64_t{value}, {}}; }
inline ir::Attribute attribute(std::string name, float value) { return {std::move(name), value, {}}; }
inline ir::Attribute attribute(std::string name, const char* value) {
  return {std::move(name), std::string(value), {}};
}
inline ir::Attribute ints(std::string name, std::vector<int64_t> value) {
  return {std::move(name), std::move(value), {}};
}
inline ir::Attribute floats(std::string name, std::vector<float> value) {
  return {std::move(name), std::move(value), {}};
}

/// One node to be run on its own.
struct NodeCase {
  std::string op_type;
  int64_t opset = 18;
  std::vector<std::optional<Tensor>> inputs;  // nothing: omitted
  std::vector<ir::Attribute> attributes = {};
  size_t outputs = 1;
};

/// Through ops::evaluate: everything row-major.
std::vector<Tensor> run(const NodeCase& node);

/// As the executor does, on `threads` threads: the inputs of rank 3 to 5 come channels-last (else row-major), are
/// copied where the operator's layout function asks for something else, and the outputs are read from the layout that
/// it gives.
std::vector<Tensor> run_channels_last(const NodeCase& node, int threads = 2);

/// Likewise, with the inputs coming in these layouts (strides that need not be dense). Operators that have a view of
/// input 0 to give are asked for it when `views` is set, and their outputs are read from there.
struct LaidOut {
  std::vector<Tensor> outputs;
  std::vector<compute::TensorDesc> layouts;  // of the outputs
  bool is_view = false;
};
LaidOut run_laid_out(const NodeCase& node, std::vector<compute::TensorDesc> layouts, int threads = 2,
                     bool views = true);

/// The inferred output types. `constants` (as long as inputs, or empty) are the values of those that are constant.
std::vector<ir::Type> infer(const std::string& op_type, int64_t opset, const std::vector<ir::Type>& inputs,
                            const std::vector<ir::Attribute>& attributes = {},
                            const std::vector<std::optional<Tensor>>& constants = {}, size_t outputs = 1);

/// The code and text of the error that `body` throws; a test failure when it throws none.
template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "none");
}

/// Uniform in [low, high), the same for the same seed.
Tensor random_tensor(Shape shape, uint32_t seed, float low = -1, float high = 1);

/// The element types that are computed with.
inline constexpr DataType kFloatTypes[] = {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16,
                                           DataType::kBfloat16};

/// By how much a result that is rounded to the type may differ from the exact one, relatively; of sums of some hundred
/// terms where it is computed in the type itself.
double tolerance_of(DataType dtype);

/// The same numbers in another float type, rounded.
Tensor as(const Tensor& tensor, DataType dtype);

template <class T>
Tensor tensor(Shape shape, const std::vector<T>& values) {
  Tensor result(dtype_of<T>(), std::move(shape));
  if (values.size() != result.size())
    fail(ErrorCode::kInvalidArgument, "{} values for {} elements", values.size(), result.size());
  std::ranges::copy(values, result.mutable_data<T>().begin());
  return result;
}

/// |a - b| <= atol + rtol * |b|, NaN and infinities equal to themselves; shapes equal.
void expect_near(const Tensor& actual, const Shape& shape, std::span<const double> expected, double rtol = 1e-5,
                 double atol = 1e-6);

}  // namespace pli::test
