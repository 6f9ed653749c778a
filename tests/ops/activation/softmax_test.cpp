#include "runtime/ops/activation/softmax.h"

#include "tests/ops/op_test.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace pli::ops {
namespace {

using test::attribute;
using test::error_of;
using test::expect_near;
using test::NodeCase;
using test::random_tensor;
using test::tensor;

using Group = std::vector<double>;
using Function = std::function<Group(const Group&)>;

Group softmax(const Group& x) {
  const double most = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const double v : x) sum += std::exp(v - most);
  Group y;
  for (const double v : x) y.push_back(std::exp(v - most) / sum);
  return y;
}
Group log_softmax(const Group& x) {
  const double most = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const double v : x) sum += std::exp(v - most);
  Group y;
  for (const double v : x) y.push_back(v - most - std::log(sum));
  return y;
}
Group hardmax(const Group& x) {
  Group y(x.size(), 0);
  y[static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin())] = 1;
  return y;
}
Group l1(const Group& x) {
  double norm = 0;
  for (const double v : x) norm += std::abs(v);
  Group y;
  for (const double v : x) y.push_back(v / norm);
  return y;
}
Group l2(const Group& x) {
  double norm = 0;
  for (const double v : x) norm += v * v;
  Group y;
  for (const double v : x) y.push_back(v / std::sqrt(norm));
  return y;
}

/// `function` on the groups along the dimensions [first, last) of a row-major array.
std::vector<double> reference(const Tensor& x, int64_t first, int64_t last, const Function& function) {
  std::vector<double> values = to_doubles(x);
  size_t outer = 1, along = 1, inner = 1;
  for (int64_t i = 0; i < static_cast<int64_t>(x.shape().size()); ++i)
    (i < first ? outer : i < last ? along : inner) *= static_cast<size_t>(x.shape()[static_cast<size_t>(i)]);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t i = 0; i < inner; ++i) {
      Group group;
      for (size_t k = 0; k < along; ++k) group.push_back(values[(o * along + k) * inner + i]);
      group = function(group);
      for (size_t k = 0; k < along; ++k) values[(o * along + k) * inner + i] = group[k];
    }
  }
  return values;
}

const std::vector<Shape> kShapes{
    {7}, {3, 1000}, {2, 3, 70}, {2, 21, 5, 6}, {3, 5, 13, 11}, {2, 3, 4, 5, 6}, {2, 3, 1, 4, 2, 3}, {1, 1}, {2, 2500}};

/// A logarithm near 0 is as exact as the sum of exponentials, which is near 1.
double atol_of(const std::string& op) { return op == "LogSoftmax" ? 3e-7 : 1e-9; }

const std::vector<std::pair<std::string, Function>> kFunctions{
    {"Softmax", softmax}, {"LogSoftmax", log_softmax}, {"Hardmax", hardmax}};

TEST(Softmax, AlongOneAxisFromOpset13) {
  uint32_t seed = 1;
  for (const auto& [op, function] : kFunctions) {
    for (const Shape& shape : kShapes) {
      const auto rank = static_cast<int64_t>(shape.size());
      for (int64_t axis = 0; axis < rank; ++axis) {
        const Tensor x = random_tensor(shape, ++seed, -20, 20);
        const auto expected = reference(x, axis, axis + 1, function);
        const NodeCase node{op, 13, {x}, {attribute("axis", seed % 2 == 0 ? axis : axis - rank)}};
        SCOPED_TRACE(op + " of " + to_string(std::span<const int64_t>(shape)) + " along " + std::to_string(axis));
        expect_near(test::run(node)[0], shape, expected, 3e-6, atol_of(op));
        expect_near(test::run_channels_last(node)[0], shape, expected, 3e-6, atol_of(op));
      }
      const Tensor x = random_tensor(shape, ++seed);
      expect_near(test::run({op, 13, {x}})[0], shape, reference(x, rank - 1, rank, function), 3e-6, atol_of(op));
    }
  }
}

TEST(Softmax, OverTheRowsOfAMatrixBeforeOpset13) {
  uint32_t seed = 50;
  for (const auto& [op, function] : kFunctions) {
    for (const Shape& shape : kShapes) {
      const auto rank = static_cast<int64_t>(shape.size());
      for (int64_t axis = 0; axis <= rank; ++axis) {
        const Tensor x = random_tensor(shape, ++seed, -3, 3);
        const auto expected = reference(x, axis, rank, function);
        const NodeCase node{op, 11, {x}, {attribute("axis", axis)}};
        SCOPED_TRACE(op + " of " + to_string(std::span<const int64_t>(shape)) + " from " + std::to_string(axis));
        expect_near(test::run(node)[0], shape, expected, 3e-6, atol_of(op));
        expect_near(test::run_channels_last(node)[0], shape, expected, 3e-6, atol_of(op));
      }
      const Tensor x = random_tensor(shape, ++seed);
      expect_near(test::run({op, 6, {x}})[0], shape, reference(x, 1, rank, function), 3e-6, atol_of(op));
    }
  }
}

TEST(Softmax, LpNormalization) {
  uint32_t seed = 90;
  for (const int64_t p : {1, 2}) {
    for (const Shape& shape : kShapes) {
      const auto rank = static_cast<int64_t>(shape.size());
      for (int64_t axis = 0; axis < rank; ++axis) {
        const Tensor x = random_tensor(shape, ++seed);
        const NodeCase node{"LpNormalization", 1, {x}, {attribute("axis", axis), attribute("p", p)}};
        const auto expected = reference(x, axis, axis + 1, p == 1 ? l1 : l2);
        expect_near(test::run(node)[0], shape, expected);
        expect_near(test::run_channels_last(node)[0], shape, expected);
      }
      const Tensor x = random_tensor(shape, ++seed);
      expect_near(test::run({"LpNormalization", 22, {x}})[0], shape, reference(x, rank - 1, rank, l2));
    }
  }
  const Tensor zeros(DataType::kFloat32, {2, 3});
  expect_near(test::run({"LpNormalization", 1, {zeros}})[0], {2, 3}, std::vector<double>(6, 0));
}

TEST(Softmax, LargeNumbersNanAndInfinities) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  const float big = std::numeric_limits<float>::max();
  const Tensor x =
      tensor<float>({4, 3}, {1e4F, 1e4F + 1, -1e4F, -INFINITY, 0, 0, NAN, 0, 1, -INFINITY, -INFINITY, -INFINITY});
  const std::vector<double> expected{
      1 / (1 + std::exp(1.0)), std::exp(1.0) / (1 + std::exp(1.0)), 0, 0, 0.5, 0.5, nan, nan, nan, nan, nan, nan};
  for (const bool by_column : {false, true}) {
    const auto turned = [&](const Tensor& t) {  // rows as columns
      Tensor result(DataType::kFloat32, {3, 4});
      for (size_t i = 0; i < 12; ++i) result.mutable_data<float>()[i % 3 * 4 + i / 3] = t.data<float>()[i];
      return result;
    };
    const Tensor y = test::run({"Softmax", 13, {by_column ? turned(x) : x}, {attribute("axis", by_column ? 0 : 1)}})[0];
    std::vector<double> wanted(12);
    for (size_t i = 0; i < 12; ++i) wanted[by_column ? i % 3 * 4 + i / 3 : i] = expected[i];
    expect_near(y, by_column ? Shape{3, 4} : Shape{4, 3}, wanted, 1e-6, 1e-9);
  }
  const Tensor logs = test::run({"LogSoftmax", 13, {tensor<float>({1, 3}, {-INFINITY, 0, big})}})[0];
  expect_near(logs, {1, 3}, std::vector<double>{-inf, -double{big}, 0});
  EXPECT_EQ(test::run({"Softmax", 13, {Tensor(DataType::kFloat32, {2, 0, 3})}, {attribute("axis", 1)}})[0].size(), 0U);
  EXPECT_EQ(test::run({"Softmax", 13, {Tensor(DataType::kFloat32, {0, 4})}})[0].size(), 0U);
}

TEST(Softmax, Doubles) {
  const Tensor x = tensor<double>({1, 2}, {0, 1e-10});
  const auto y = to_doubles(test::run({"LogSoftmax", 13, {x}})[0]);
  EXPECT_NEAR(y[1] - y[0], 1e-10, 1e-15);
}

TEST(Softmax, InfersAndRefuses) {
  using ir::Dim;
  using ir::Type;
  const Type x = Type::tensor(DataType::kFloat32, ir::Dims{Dim(std::string("batch")), 10});
  EXPECT_EQ(test::infer("Softmax", 13, {x})[0], x);
  EXPECT_EQ(test::infer("Softmax", 13, {Type::tensor(DataType::kFloat32)}, {attribute("axis", 7)})[0],
            Type::tensor(DataType::kFloat32));
  const Tensor t = random_tensor({2, 3}, 1);
  const auto refused = [](const NodeCase& node, std::string_view why, ErrorCode code = ErrorCode::kInvalidModel) {
    const Error e = error_of([&] { test::run(node); });
    EXPECT_EQ(e.code(), code);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused({"Softmax", 13, {t}, {attribute("axis", 2)}}, "axis 2 is outside");
  refused({"Softmax", 11, {t}, {attribute("axis", 3)}}, "axis 3 is outside");
  refused({"LogSoftmax", 13, {t}, {attribute("axis", -3)}}, "axis -3 is outside");
  refused({"Softmax", 13, {t, t}}, "2 inputs");
  refused({"Softmax", 13, {std::nullopt}}, "input 0");
  refused({"Softmax", 13, {t}, {attribute("axis", "1")}}, "axis");
  refused({"LpNormalization", 13, {t}, {attribute("p", 3)}}, "p 3 where 1 or 2");
  refused({"LpNormalization", 13, {t}, {attribute("axis", 2)}}, "axis 2 is outside");
  refused({"Softmax", 13, {tensor<int32_t>({1}, {1})}}, "int32", ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::ops
