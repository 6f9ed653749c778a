#include "runtime/ops/normalization/normalization.h"

#include "tests/ops/op_test.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace pli::ops {
namespace {

using test::attribute;
using test::error_of;
using test::expect_near;
using test::ints;
using test::NodeCase;
using test::random_tensor;
using test::tensor;

/// Coordinates of element `at` of a row-major array.
Shape coordinates(size_t at, std::span<const int64_t> shape) {
  Shape result(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    result[i] = static_cast<int64_t>(at) % shape[i];
    at /= static_cast<size_t>(shape[i]);
  }
  return result;
}

struct Statistics {
  double mean = 0;
  double variance = 0;
};

/// Normalizes groups of elements that have the same key, two passes in double.
struct Reference {
  std::vector<double> y;
  std::map<Shape, Statistics> groups;

  Reference(const Tensor& x, const std::function<Shape(const Shape&)>& key, double epsilon,
            const std::function<double(const Shape&)>& scale = {},
            const std::function<double(const Shape&)>& shift = {}, bool epsilon_outside_root = false) {
    const std::vector<double> values = to_doubles(x);
    std::map<Shape, std::vector<double>> members;
    for (size_t i = 0; i < values.size(); ++i) members[key(coordinates(i, x.shape()))].push_back(values[i]);
    for (const auto& [k, list] : members) {
      Statistics s;
      for (const double v : list) s.mean += v / static_cast<double>(list.size());
      for (const double v : list) s.variance += (v - s.mean) * (v - s.mean) / static_cast<double>(list.size());
      groups[k] = s;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const Shape at = coordinates(i, x.shape());
      const Statistics& s = groups[key(at)];
      const double deviation = epsilon_outside_root ? std::sqrt(s.variance) + epsilon : std::sqrt(s.variance + epsilon);
      y.push_back((values[i] - s.mean) / deviation * (scale ? scale(at) : 1) + (shift ? shift(at) : 0));
    }
  }
};

double at(const Tensor& t, int64_t index) { return double{t.data<float>()[static_cast<size_t>(index)]}; }

/// Both ways of running.
void expect_both(const NodeCase& node, const Shape& shape, const std::vector<double>& expected, double rtol = 1e-5,
                 double atol = 5e-6) {
  expect_near(test::run(node)[0], shape, expected, rtol, atol);
  expect_near(test::run_channels_last(node)[0], shape, expected, rtol, atol);
}

const std::vector<Shape> kImages{{2, 6, 11},      {2, 12, 5, 7}, {1, 48, 20, 17},   {3, 300, 2, 3},
                                 {2, 4, 3, 5, 2}, {1, 12, 1, 1}, {2, 6, 2, 2, 3, 2}};

TEST(Normalization, Instance) {
  uint32_t seed = 1;
  for (const Shape& shape : kImages) {
    const Tensor x = random_tensor(shape, ++seed, 3, 5);  // a mean well beyond the deviation
    const Tensor scale = random_tensor({shape[1]}, ++seed, 0.5, 2);
    const Tensor bias = random_tensor({shape[1]}, ++seed);
    const Reference expected(
        x,
        [](const Shape& p) {
          return Shape{p[0], p[1]};
        },
        1e-3, [&](const Shape& p) { return at(scale, p[1]); }, [&](const Shape& p) { return at(bias, p[1]); });
    SCOPED_TRACE(to_string(std::span<const int64_t>(shape)));
    expect_both({"InstanceNormalization", 6, {x, scale, bias}, {attribute("epsilon", 1e-3F)}}, shape, expected.y);
  }
}

TEST(Normalization, GroupWithParametersPerGroupAndPerChannel) {
  uint32_t seed = 100;
  for (const Shape& shape : kImages) {
    for (const int64_t groups : {int64_t{1}, int64_t{2}, shape[1] / 2, shape[1]}) {
      for (const int64_t opset : {18, 21}) {
        const int64_t together = shape[1] / groups;
        const int64_t count = opset == 18 ? groups : shape[1];
        const Tensor x = random_tensor(shape, ++seed, -1, 3);
        const Tensor scale = random_tensor({count}, ++seed, 0.5, 2);
        const Tensor bias = random_tensor({count}, ++seed);
        const auto parameter = [&](const Tensor& t) {
          return [&](const Shape& p) { return at(t, opset == 18 ? p[1] / together : p[1]); };
        };
        const Reference expected(
            x,
            [&](const Shape& p) {
              return Shape{p[0], p[1] / together};
            },
            1e-5, parameter(scale), parameter(bias));
        SCOPED_TRACE(to_string(std::span<const int64_t>(shape)) + " in " + std::to_string(groups) + " groups, opset " +
                     std::to_string(opset));
        expect_both({"GroupNormalization", opset, {x, scale, bias}, {attribute("num_groups", groups)}}, shape,
                    expected.y);
      }
    }
  }
}

TEST(Normalization, Layer) {
  uint32_t seed = 200;
  for (const Shape& shape :
       {Shape{5}, Shape{37, 96}, Shape{2, 9, 768}, Shape{2, 3, 5, 7}, Shape{1, 5003}, Shape{2, 1, 3, 4, 6}}) {
    const auto rank = static_cast<int64_t>(shape.size());
    for (int64_t axis = 0; axis < rank; ++axis) {
      const Shape normalized(shape.begin() + axis, shape.end());
      const Shape outer(shape.begin(), shape.begin() + axis);
      const Tensor x = random_tensor(shape, ++seed, -1, 3);
      const Tensor scale = random_tensor(normalized, ++seed, 0.5, 2);
      const Tensor bias = random_tensor(normalized, ++seed);
      const auto parameter = [&](const Tensor& t) {
        return [&](const Shape& p) {
          int64_t index = 0;
          for (int64_t i = axis; i < rank; ++i)
            index = index * shape[static_cast<size_t>(i)] + p[static_cast<size_t>(i)];
          return at(t, index);
        };
      };
      const auto key = [&](const Shape& p) { return Shape(p.begin(), p.begin() + axis); };
      const Reference expected(x, key, 1e-5, parameter(scale), parameter(bias));
      const Reference unshifted(x, key, 1e-5, parameter(scale));
      SCOPED_TRACE(to_string(std::span<const int64_t>(shape)) + " from axis " + std::to_string(axis));
      const auto attributes = std::vector{attribute("axis", axis % 2 == 0 ? axis : axis - rank)};
      expect_both({"LayerNormalization", 17, {x, scale, bias}, attributes}, shape, expected.y);
      expect_both({"LayerNormalization", 17, {x, scale}, attributes}, shape, unshifted.y);

      const auto all = test::run({"LayerNormalization", 17, {x, scale, bias}, attributes, 3});
      expect_near(all[0], shape, expected.y, 1e-5, 5e-6);
      Shape statistics = shape;
      std::fill(statistics.begin() + axis, statistics.end(), 1);
      std::vector<double> means, deviations;
      for (const auto& [k, s] : expected.groups) {  // ordered by coordinates: row-major
        means.push_back(s.mean);
        deviations.push_back(1 / std::sqrt(s.variance + 1e-5));
      }
      expect_near(all[1], statistics, means);
      expect_near(all[2], statistics, deviations);
    }
  }
}

TEST(Normalization, LayerBroadcastsItsParameters) {
  const Tensor x = random_tensor({3, 4, 5}, 1);
  for (const Shape& shape : {Shape{1}, Shape{}, Shape{4, 1}, Shape{1, 5}, Shape{3, 1, 1}}) {
    const Tensor scale = random_tensor(shape, 2, 0.5, 2);
    const Tensor bias = random_tensor(shape, 3);
    const auto parameter = [&](const Tensor& t) {
      return [&](const Shape& p) {
        int64_t index = 0;
        for (size_t i = 0; i < shape.size(); ++i) {
          const int64_t c = p[3 - shape.size() + i];
          index = index * shape[i] + (shape[i] == 1 ? 0 : c);
        }
        return at(t, index);
      };
    };
    const Reference expected(
        x, [](const Shape& p) { return Shape{p[0]}; }, 1e-5, parameter(scale), parameter(bias));
    SCOPED_TRACE(to_string(std::span<const int64_t>(shape)));
    expect_both({"LayerNormalization", 17, {x, scale, bias}, {attribute("axis", 1)}}, {3, 4, 5}, expected.y);
  }
}

TEST(Normalization, MeanVariance) {
  uint32_t seed = 300;
  for (const Shape& shape : {Shape{2, 12, 5, 7}, Shape{3, 70, 2, 3}}) {
    const Tensor x = random_tensor(shape, ++seed, 1, 3);
    const Reference by_channel(
        x, [](const Shape& p) { return Shape{p[1]}; }, 1e-9, {}, {}, true);
    expect_both({"MeanVarianceNormalization", 9, {x}}, shape, by_channel.y);
    const Reference by_pixel(
        x,
        [](const Shape& p) {
          return Shape{p[0], p[2], p[3]};
        },
        1e-9, {}, {}, true);
    expect_both({"MeanVarianceNormalization", 13, {x}, {ints("axes", {1})}}, shape, by_pixel.y);
    const Reference mixed(
        x,
        [](const Shape& p) {
          return Shape{p[1], p[2]};
        },
        1e-9, {}, {}, true);
    expect_both({"MeanVarianceNormalization", 13, {x}, {ints("axes", {0, -1})}}, shape, mixed.y);
  }
  const Tensor constant = tensor<float>({1, 1, 1, 2}, {3, 3});
  expect_near(test::run({"MeanVarianceNormalization", 9, {constant}})[0], {1, 1, 1, 2}, std::vector<double>{0, 0});
}

TEST(Normalization, LocalResponse) {
  uint32_t seed = 400;
  for (const Shape& shape :
       {Shape{2, 7}, Shape{2, 5, 4}, Shape{1, 300, 3, 2}, Shape{2, 13, 3, 4, 2}, Shape{1, 9, 2, 1, 3, 2}}) {
    for (const int64_t size : {1, 2, 3, 5, 12}) {
      const Tensor x = random_tensor(shape, ++seed, -3, 3);
      const std::vector<double> values = to_doubles(x);
      const double alpha = 0.5, beta = 0.6, bias = 2;
      int64_t inner = 1;
      for (size_t i = 2; i < shape.size(); ++i) inner *= shape[i];
      std::vector<double> expected;
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t c = coordinates(i, shape)[1];
        double sum = 0;
        for (int64_t k = 0; k < shape[1]; ++k) {
          if (k < c - (size - 1) / 2 || k > c + size / 2) continue;
          const double v = values[static_cast<size_t>(static_cast<int64_t>(i) + (k - c) * inner)];
          sum += v * v;
        }
        expected.push_back(values[i] / std::pow(bias + alpha / static_cast<double>(size) * sum, beta));
      }
      const NodeCase node{
          "LRN",
          13,
          {x},
          {attribute("size", size), attribute("alpha", 0.5F), attribute("beta", 0.6F), attribute("bias", 2.0F)}};
      SCOPED_TRACE(to_string(std::span<const int64_t>(shape)) + " size " + std::to_string(size));
      expect_both(node, shape, expected);
    }
  }
}

TEST(Normalization, NanStaysInItsGroup) {
  Tensor x = random_tensor({1, 40, 3, 4}, 1);
  x.mutable_data<float>()[12 * 7 + 5] = NAN;
  const Tensor ones = tensor<float>({40}, std::vector<float>(40, 1));
  for (const NodeCase& node : {NodeCase{"InstanceNormalization", 6, {x, ones, ones}},
                               NodeCase{"GroupNormalization", 21, {x, ones, ones}, {attribute("num_groups", 20)}}}) {
    for (const Tensor& y : {test::run(node)[0], test::run_channels_last(node)[0]}) {
      const auto values = to_doubles(y);
      EXPECT_TRUE(std::isnan(values[12 * 7]));
      EXPECT_FALSE(std::isnan(values[12 * 8]));
      EXPECT_FALSE(std::isnan(values[12 * 5]));
    }
  }
}

TEST(Normalization, Doubles) {
  const Tensor x = tensor<double>({1, 1, 2}, {1, 1 + 1e-9});
  const Tensor one = tensor<double>({1}, {1});
  const auto y = to_doubles(test::run({"InstanceNormalization", 6, {x, one, one}, {attribute("epsilon", 0.0F)}})[0]);
  EXPECT_NEAR(y[0], 0, 1e-6);
  EXPECT_NEAR(y[1], 2, 1e-6);
}

TEST(Normalization, InfersTypes) {
  using ir::Dim;
  using ir::Dims;
  using ir::Type;
  const Dim batch(std::string("batch"));
  const Type x = Type::tensor(DataType::kFloat32, Dims{batch, 6, 4, 4});
  const Type vector = Type::tensor(DataType::kFloat32, Dims{4});
  const auto layer = test::infer("LayerNormalization", 17, {x, vector, vector}, {attribute("axis", 2)}, {}, 3);
  EXPECT_EQ(layer[0], x);
  EXPECT_EQ(layer[1], Type::tensor(DataType::kFloat32, Dims{batch, 6, 1, 1}));
  EXPECT_EQ(layer[2], layer[1]);
  const Type unknown = Type::tensor(DataType::kFloat32);
  EXPECT_EQ(test::infer("InstanceNormalization", 6, {x, unknown, unknown})[0], x);
  EXPECT_EQ(test::infer("GroupNormalization", 18, {unknown, vector, vector}, {attribute("num_groups", 4)})[0], unknown);
  EXPECT_EQ(test::infer("LRN", 13, {x}, {attribute("size", 3)})[0], x);
}

TEST(Normalization, RefusesWhatDoesNotFit) {
  const Tensor x = random_tensor({2, 6, 4, 5}, 1);
  const Tensor six = random_tensor({6}, 2);
  const Tensor five = random_tensor({5}, 2);
  const Tensor matrix = random_tensor({6, 1}, 2);
  const auto refused = [](const NodeCase& node, std::string_view why, ErrorCode code = ErrorCode::kInvalidModel) {
    const Error e = error_of([&] { test::run(node); });
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused({"InstanceNormalization", 6, {x, six}}, "input 2");
  refused({"InstanceNormalization", 6, {x, six, five}}, "input 2 has 5 elements for 6 channels");
  refused({"InstanceNormalization", 6, {x, matrix, six}}, "input 1 has rank 2");
  refused({"InstanceNormalization", 6, {six, six, six}}, "rank 1 where 3 or more");
  refused({"InstanceNormalization", 6, {x, tensor<double>({6}, std::vector<double>(6, 1)), six}}, "input 1 is float64");
  refused({"GroupNormalization", 18, {x, six, six}}, "num_groups 0");
  refused({"GroupNormalization", 18, {x, six, six}, {attribute("num_groups", -2)}}, "num_groups -2");
  refused({"GroupNormalization", 18, {x, six, six}, {attribute("num_groups", 4)}}, "4 groups do not divide 6 channels");
  refused({"GroupNormalization", 18, {x, six, six}, {attribute("num_groups", 3)}}, "6 elements for 3 groups");
  refused({"GroupNormalization", 21, {x, five, six}, {attribute("num_groups", 3)}}, "5 elements for 6 channels");
  refused({"GroupNormalization", 17, {x, six, six}, {attribute("num_groups", 3)}}, "opset 17", ErrorCode::kUnsupported);
  refused({"LayerNormalization", 17, {x}}, "input 1");
  refused({"LayerNormalization", 17, {x, six}}, "broadcast");
  refused({"LayerNormalization", 17, {five, x}}, "higher rank");
  refused({"LayerNormalization", 17, {random_tensor({1, 5}, 1), random_tensor({2, 5}, 1)}}, "larger than the input");
  refused({"LayerNormalization", 17, {x, five}, {attribute("axis", 4)}}, "axis 4 is outside");
  refused({"LayerNormalization", 17, {x, five, random_tensor({1}, 1)}}, "with a bias of shape",
          ErrorCode::kUnsupported);
  refused({"LayerNormalization", 17, {x, five}, {attribute("stash_type", 11)}}, "stash_type", ErrorCode::kUnsupported);
  refused({"MeanVarianceNormalization", 9, {six}}, "axis 2 is outside");
  refused({"LRN", 13, {x}}, "size 0");
  refused({"LRN", 13, {six}, {attribute("size", 3)}}, "rank 1 where 2 or more");
  refused({"LRN", 13, {tensor<int32_t>({1, 1}, {1})}, {attribute("size", 3)}}, "int32", ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::ops
