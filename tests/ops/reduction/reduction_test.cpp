#include "runtime/ops/reduction/reduction.h"

#include "tests/ops/op_test.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace pli::ops {
namespace {

using test::attribute;
using test::error_of;
using test::expect_near;
using test::infer;
using test::ints;
using test::NodeCase;
using test::random_tensor;
using test::tensor;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

using Reference = std::function<double(const std::vector<double>&)>;

double sum(const std::vector<double>& x, const std::function<double(double)>& f) {
  return std::accumulate(x.begin(), x.end(), 0.0, [&](double total, double v) { return total + f(v); });
}
double identity(double v) { return v; }

const std::vector<std::pair<std::string, Reference>> kReferences{
    {"ReduceSum", [](const auto& x) { return sum(x, identity); }},
    {"ReduceMean", [](const auto& x) { return sum(x, identity) / static_cast<double>(x.size()); }},
    {"ReduceMax", [](const auto& x) { return *std::ranges::max_element(x); }},
    {"ReduceMin", [](const auto& x) { return *std::ranges::min_element(x); }},
    {"ReduceProd", [](const auto& x) { return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>()); }},
    {"ReduceL1", [](const auto& x) { return sum(x, [](double v) { return std::abs(v); }); }},
    {"ReduceL2", [](const auto& x) { return std::sqrt(sum(x, [](double v) { return v * v; })); }},
    {"ReduceLogSum", [](const auto& x) { return std::log(sum(x, identity)); }},
    {"ReduceLogSumExp", [](const auto& x) { return std::log(sum(x, [](double v) { return std::exp(v); })); }},
    {"ReduceSumSquare", [](const auto& x) { return sum(x, [](double v) { return v * v; }); }},
};

/// The groups of elements that become one, in row-major order of what is kept.
std::vector<std::vector<double>> groups(const Shape& shape, const std::vector<double>& values, const Shape& axes) {
  const auto is_reduced = [&](size_t i) { return std::ranges::find(axes, static_cast<int64_t>(i)) != axes.end(); };
  size_t count = 1;
  for (size_t i = 0; i < shape.size(); ++i) count *= is_reduced(i) ? 1 : static_cast<size_t>(shape[i]);
  std::vector<std::vector<double>> result(count);
  for (size_t at = 0; at < values.size(); ++at) {
    size_t rest = at;
    size_t kept = 0;
    size_t weight = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      const size_t index = rest % static_cast<size_t>(shape[i]);
      rest /= static_cast<size_t>(shape[i]);
      if (is_reduced(i)) continue;
      kept += index * weight;
      weight *= static_cast<size_t>(shape[i]);
    }
    result[kept].push_back(values[at]);
  }
  return result;
}

std::vector<double> reference(const Tensor& x, const Shape& axes, const Reference& reduce) {
  const std::vector<double> values = to_doubles(x);
  std::vector<double> result;
  for (const auto& group : groups(Shape(x.shape().begin(), x.shape().end()), values, axes))
    result.push_back(reduce(group));
  return result;
}

Shape reduced_shape(Shape shape, const Shape& axes, bool keepdims) {
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (std::ranges::find(axes, static_cast<int64_t>(i)) == axes.end())
      result.push_back(shape[i]);
    else if (keepdims)
      result.push_back(1);
  }
  return result;
}

NodeCase reduce_case(const std::string& op, int64_t opset, const Tensor& x, const Shape& axes, bool keepdims) {
  NodeCase node{op, opset, {x}, {attribute("keepdims", keepdims ? 1 : 0)}};
  if (opset >= 18 || (op == "ReduceSum" && opset >= 13))
    node.inputs.emplace_back(int64_tensor(axes));
  else
    node.attributes.push_back(ints("axes", axes));
  return node;
}

struct Case {
  Shape shape;
  Shape axes;
};

TEST(Reduction, EveryOperatorInEveryLayoutMatchesTheReference) {
  const std::vector<Case> cases{
      {{5}, {0}},
      {{3, 7}, {1}},
      {{3, 70}, {0}},
      {{2, 5, 37}, {2}},
      {{2, 83, 3}, {1}},
      {{2, 5, 9, 7}, {2, 3}},
      {{2, 75, 9, 7}, {2, 3}},
      {{3, 6, 5, 4}, {1}},
      {{3, 6, 5, 4}, {0, 2}},
      {{2, 3, 4, 5}, {0, 1, 2, 3}},
      {{2, 3, 4, 5, 6}, {2, 3, 4}},
      {{2, 3, 4, 5, 6}, {1, 3}},
      {{2, 3, 2, 2, 3, 4}, {0, 3, 5}},
      {{1, 330, 20, 17}, {2, 3}},
      {{3, 4, 1}, {2}},
      {{2, 9001}, {1}},
      {{700, 3}, {0}},
  };
  uint32_t seed = 1;
  for (const auto& [op, reduce] : kReferences) {
    for (const Case& c : cases) {
      const int64_t opset = std::array<int64_t, 3>{11, 13, 18}[seed % 3];
      const bool keepdims = seed % 2 == 0;
      const bool positive = op == "ReduceLogSum" || op == "ReduceProd";  // of many factors, near 1
      const Tensor x = random_tensor(c.shape, ++seed,
                                     op == "ReduceProd" ? 0.99F
                                     : positive         ? 0.1F
                                                        : -2,
                                     op == "ReduceProd" ? 1.01F : 2);
      const auto expected = reference(x, c.axes, reduce);
      const Shape shape = reduced_shape(c.shape, c.axes, keepdims);
      const NodeCase node = reduce_case(op, opset, x, c.axes, keepdims);
      SCOPED_TRACE(op + " " + to_string(std::span<const int64_t>(c.shape)) + " over " +
                   to_string(std::span<const int64_t>(c.axes)));
      const double atol = 2e-6 + 2e-8 * static_cast<double>(x.size() / std::max<size_t>(1, expected.size()));
      expect_near(test::run(node)[0], shape, expected, 1e-6, atol);
      expect_near(test::run_channels_last(node)[0], shape, expected, 1e-6, atol);
    }
  }
}

TEST(Reduction, LongSumsKeepTheirPrecision) {
  for (const Case& c : {Case{{1, 200003}, {1}}, Case{{200003, 9}, {0}}}) {
    const Tensor x = random_tensor(c.shape, 7, 0, 1);
    const auto expected =
        reference(x, c.axes, [](const auto& v) { return sum(v, identity) / static_cast<double>(v.size()); });
    expect_near(test::run(reduce_case("ReduceMean", 18, x, c.axes, false))[0], reduced_shape(c.shape, c.axes, false),
                expected, 2e-7, 0);
  }
}

TEST(Reduction, Integers) {
  const Tensor x = tensor<int64_t>({2, 3}, {3, -4, 5, -7, 8, 10});
  const auto run = [&](const char* op, const Tensor& input) {
    return to_int64s(test::run(reduce_case(op, 18, input, {1}, false))[0]);
  };
  EXPECT_EQ(run("ReduceSum", x), (std::vector<int64_t>{4, 11}));
  EXPECT_EQ(run("ReduceMean", x), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(run("ReduceMax", x), (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(run("ReduceMin", x), (std::vector<int64_t>{-4, -7}));
  EXPECT_EQ(run("ReduceProd", x), (std::vector<int64_t>{-60, -560}));
  EXPECT_EQ(run("ReduceL1", x), (std::vector<int64_t>{12, 25}));
  EXPECT_EQ(run("ReduceSumSquare", x), (std::vector<int64_t>{50, 213}));
  EXPECT_EQ(run("ReduceL2", tensor<int32_t>({2, 2}, {3, 4, -6, 8})), (std::vector<int64_t>{5, 10}));
  EXPECT_EQ(run("ReduceMax", tensor<uint64_t>({1, 2}, {7, uint64_t{1} << 62})),
            (std::vector<int64_t>{int64_t{1} << 62}));
  EXPECT_EQ(run("ReduceSum", tensor<uint8_t>({1, 2}, {200, 100})), (std::vector<int64_t>{44}));  // modulo 256
  EXPECT_EQ(run("ReduceSum", tensor<int64_t>({1, 2}, {INT64_MAX, 1})), (std::vector<int64_t>{INT64_MIN}));
  EXPECT_EQ(run("ReduceL1", tensor<int64_t>({1, 1}, {INT64_MIN})), (std::vector<int64_t>{INT64_MIN}));
  const Tensor d = tensor<double>({1, 2}, {1.5, 1e-9});
  EXPECT_EQ(to_doubles(test::run(reduce_case("ReduceSum", 18, d, {1}, false))[0]), (std::vector<double>{1.5 + 1e-9}));
}

TEST(Reduction, NegativeAndDefaultAxes) {
  const Tensor x = random_tensor({2, 3, 4}, 3);
  const auto last = reference(x, {2}, [](const auto& v) { return sum(v, identity); });
  expect_near(test::run(reduce_case("ReduceSum", 13, x, {-1}, true))[0], {2, 3, 1}, last);
  const auto all = reference(x, {0, 1, 2}, [](const auto& v) { return sum(v, identity); });
  expect_near(test::run({"ReduceSum", 13, {x}})[0], {1, 1, 1}, all);
  expect_near(test::run({"ReduceSum", 13, {x, std::nullopt}, {attribute("keepdims", 0)}})[0], {}, all);
  expect_near(test::run({"ReduceSum", 13, {x, int64_tensor({})}})[0], {1, 1, 1}, all);
  expect_near(test::run({"ReduceSum", 11, {x}, {attribute("keepdims", 0)}})[0], {}, all);
}

TEST(Reduction, NoopWithEmptyAxesTakesEachElementByItself) {
  const Tensor x = tensor<float>({2, 3}, {-1.5f, 2, -3, 0.25f, 5, -6});
  const auto run_noop = [](const char* op, const Tensor& operand) {
    const Tensor result = test::run({op, 18, {operand}, {attribute("noop_with_empty_axes", 1)}})[0];
    const Tensor again = test::run({op, 18, {operand, int64_tensor({})}, {attribute("noop_with_empty_axes", 1)}})[0];
    EXPECT_TRUE(identical(result, again)) << op;
    return result;
  };
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp"})
    EXPECT_TRUE(identical(run_noop(op, x), x)) << op;
  for (const char* op : {"ReduceL1", "ReduceL2"})
    expect_near(run_noop(op, x), {2, 3}, std::vector<double>{1.5, 2, 3, 0.25, 5, 6});
  expect_near(run_noop("ReduceSumSquare", x), {2, 3}, std::vector<double>{2.25, 4, 9, 0.0625, 25, 36});
  const Tensor positive = tensor<float>({3}, {1, 2.5f, 8});
  expect_near(run_noop("ReduceLogSum", positive), {3}, std::vector<double>{0, std::log(2.5), std::log(8.0)});
}

TEST(Reduction, ScalarsStillGoThroughTheFunction) {
  const Tensor x = tensor<float>({}, {-3});
  expect_near(test::run({"ReduceL1", 18, {x}})[0], {}, std::vector<double>{3});
  expect_near(test::run({"ReduceSumSquare", 18, {x}})[0], {}, std::vector<double>{9});
}

TEST(Reduction, OverNoElements) {
  const Tensor x(DataType::kFloat32, {2, 0, 3});
  const std::vector<std::pair<std::string, double>> expected{
      {"ReduceSum", 0},
      {"ReduceMean", kNan},
      {"ReduceMax", -kInfinity},
      {"ReduceMin", kInfinity},
      {"ReduceProd", 1},
      {"ReduceL1", 0},
      {"ReduceL2", 0},
      {"ReduceLogSum", -kInfinity},
      {"ReduceLogSumExp", -kInfinity},
      {"ReduceSumSquare", 0},
  };
  for (const auto& [op, value] : expected) {
    SCOPED_TRACE(op);
    expect_near(test::run(reduce_case(op, 18, x, {1}, false))[0], {2, 3}, std::vector<double>(6, value));
    expect_near(test::run_channels_last(reduce_case(op, 18, x, {1}, true))[0], {2, 1, 3},
                std::vector<double>(6, value));
    EXPECT_EQ(test::run(reduce_case(op, 18, x, {0, 2}, true))[0].size(), 0U);
  }
  for (const Shape& shape : {Shape{4, 0}, Shape{0, 4}, Shape{2, 4, 0}, Shape{0, 4, 2}, Shape{3, 0, 4, 2}})
    for (const auto& [op, value] : expected)
      for (const int64_t axis : {0, 1}) {
        if (shape[static_cast<size_t>(axis)] == 0) continue;
        EXPECT_EQ(test::run(reduce_case(op, 18, Tensor(DataType::kFloat32, shape), {axis}, true))[0].size(), 0U);
        EXPECT_EQ(
            test::run_channels_last(reduce_case(op, 18, Tensor(DataType::kFloat32, shape), {axis}, true))[0].size(),
            0U);
      }
  const Tensor integers(DataType::kInt32, {0});
  EXPECT_EQ(to_int64s(test::run(reduce_case("ReduceMax", 18, integers, {0}, false))[0]),
            std::vector<int64_t>{INT32_MIN});
  EXPECT_EQ(to_int64s(test::run(reduce_case("ReduceLogSum", 18, integers, {0}, false))[0]),
            std::vector<int64_t>{INT32_MIN});
  EXPECT_EQ(to_int64s(test::run(reduce_case("ReduceMean", 18, integers, {0}, false))[0]), std::vector<int64_t>{0});
}

TEST(Reduction, NanAndInfinitiesGoThrough) {
  for (const int64_t at : {0, 5, 33, 69}) {
    for (const bool by_column : {false, true}) {
      Tensor x = random_tensor(by_column ? Shape{70, 1, 9} : Shape{1, 70}, 5);
      x.mutable_data<float>()[static_cast<size_t>(by_column ? at * 9 + 4 : at)] = std::nanf("");
      const Shape axes{by_column ? 0 : 1};
      for (const char* op : {"ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceL2", "ReduceLogSumExp"}) {
        const Tensor y = test::run(reduce_case(op, 18, x, axes, false))[0];
        const auto values = to_doubles(y);
        EXPECT_TRUE(std::isnan(values[by_column ? 4 : 0])) << op << " " << at;
        EXPECT_FALSE(by_column && std::isnan(values[3])) << op << " " << at;
      }
    }
  }
  const Tensor x = tensor<float>({1, 2}, {-INFINITY, -INFINITY});
  expect_near(test::run(reduce_case("ReduceLogSumExp", 18, x, {1}, false))[0], {1}, std::vector<double>{-kInfinity});
  const Tensor big = tensor<float>({1, 2}, {1000, 1000});
  expect_near(test::run(reduce_case("ReduceLogSumExp", 18, big, {1}, false))[0], {1},
              std::vector<double>{1000 + std::log(2.0)});
}

TEST(Reduction, InfersShapes) {
  using ir::Dim;
  using ir::Dims;
  using ir::Type;
  const Type x = Type::tensor(DataType::kFloat32, Dims{Dim(std::string("batch")), 3, Dim(std::string("height"))});
  const Type axes = Type::tensor(DataType::kInt64, Dims{1});
  EXPECT_EQ(infer("ReduceMean", 11, {x}, {ints("axes", {1})})[0],
            Type::tensor(DataType::kFloat32, Dims{Dim(std::string("batch")), 1, Dim(std::string("height"))}));
  EXPECT_EQ(infer("ReduceMean", 18, {x, axes}, {attribute("keepdims", 0)}, {{}, int64_tensor(Shape{-1})})[0],
            Type::tensor(DataType::kFloat32, Dims{Dim(std::string("batch")), 3}));
  const Type unknown_axes = infer("ReduceMean", 18, {x, axes})[0];
  EXPECT_EQ(unknown_axes.rank(), 3);
  EXPECT_FALSE((*unknown_axes.dims)[1].known());
  EXPECT_FALSE(infer("ReduceMean", 18, {x, axes}, {attribute("keepdims", 0)})[0].has_rank());
  EXPECT_FALSE(infer("ReduceSum", 11, {Type::tensor(DataType::kFloat32)}, {ints("axes", {1})})[0].has_rank());
  EXPECT_EQ(infer("ArgMax", 13, {x}, {attribute("axis", -1), attribute("keepdims", 0)})[0],
            Type::tensor(DataType::kInt64, Dims{Dim(std::string("batch")), 3}));
}

TEST(Reduction, RefusesWhatDoesNotFit) {
  const Tensor x = random_tensor({2, 3}, 1);
  const auto refused = [](const NodeCase& node, std::string_view why) {
    const Error e = error_of([&] { test::run(node); });
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused({"ReduceSum", 11, {x}, {ints("axes", {2})}}, "axis 2 is outside");
  refused({"ReduceSum", 11, {x}, {ints("axes", {-3})}}, "axis -3 is outside");
  refused({"ReduceSum", 11, {x}, {ints("axes", {1, -1})}}, "axis 1 is given twice");
  refused({"ReduceSum", 11, {x}, {attribute("axes", 1)}}, "axes");
  refused({"ReduceSum", 13, {x}, {ints("axes", {1})}}, "axes is an input");
  refused({"ReduceSum", 13, {x, tensor<float>({1}, {1})}}, "axes are float32");
  refused({"ReduceSum", 13, {x, tensor<int64_t>({1, 1}, {1})}}, "axes have rank 2");
  refused({"ReduceMean", 17, {x, int64_tensor(Shape{1})}}, "2 inputs where at most 1");
  refused({"ReduceMax", 18, {std::nullopt}}, "input 0");
  refused({"ReduceMax", 18, {x}, {}, 2}, "2 outputs");
  refused({"ArgMax", 18, {x}, {}, 2}, "2 outputs");
  refused({"ArgMax", 13, {x}, {attribute("axis", 2)}}, "axis 2 is outside");
  refused({"ArgMin", 13, {Tensor(DataType::kFloat32, {3, 0})}, {attribute("axis", 1)}}, "axis 1 of size 0");
  EXPECT_EQ(error_of([] {
              test::run({"ReduceSum", 13, {Tensor(DataType::kBool, {2})}});
            }).code(),
            ErrorCode::kUnsupported);
}

TEST(Reduction, ArgMaxAndArgMin) {
  for (const Case& c : {Case{{2, 7, 5, 3}, {1}}, Case{{2, 7, 5, 3}, {3}}, Case{{4, 9}, {0}}, Case{{6}, {0}},
                        Case{{2, 3, 4, 5, 6}, {2}}}) {
    for (const bool largest : {true, false}) {
      for (const bool last : {true, false}) {
        Tensor x = random_tensor(c.shape, 9, 0, 4);
        for (float& v : x.mutable_data<float>()) v = std::floor(v);  // many are equal
        const auto expected = reference(x, c.axes, [&](const auto& v) {
          size_t best = 0;
          for (size_t k = 1; k < v.size(); ++k)
            if ((largest ? v[k] > v[best] : v[k] < v[best]) || (last && v[k] == v[best])) best = k;
          return static_cast<double>(best);
        });
        const NodeCase node{largest ? "ArgMax" : "ArgMin",
                            13,
                            {x},
                            {attribute("axis", c.axes[0]), attribute("select_last_index", last ? 1 : 0),
                             attribute("keepdims", last ? 1 : 0)}};
        const Shape shape = reduced_shape(c.shape, c.axes, last);
        expect_near(test::run(node)[0], shape, expected);
        expect_near(test::run_channels_last(node)[0], shape, expected);
      }
    }
  }
  const Tensor x = tensor<float>({5}, {1, NAN, 7, NAN, 2});
  EXPECT_EQ(to_int64s(test::run({"ArgMax", 13, {x}})[0]), std::vector<int64_t>{1});
  EXPECT_EQ(to_int64s(test::run({"ArgMin", 13, {x}, {attribute("select_last_index", 1)}})[0]), std::vector<int64_t>{3});
  EXPECT_EQ(to_int64s(test::run({"ArgMin", 8, {tensor<int32_t>({3}, {3, -9, 4})}})[0]), std::vector<int64_t>{1});
}

}  // namespace
}  // namespace pli::ops
