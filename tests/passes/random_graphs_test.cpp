#include "tests/passes/reference.h"

#include <gtest/gtest.h>

#include <random>

namespace pli::test {
namespace {

using ir::ValueId;

/// Grows a graph of small images node by node: each takes values, weights and shapes at random from what is there, so
/// that values have several consumers, weights are shared and any value may be an output.
class RandomNet {
 public:
  explicit RandomNet(uint32_t seed) : random_(seed) {
    for (int64_t channels : {3, 5})
      values_.push_back({net_.input("x" + std::to_string(channels), {1, channels, 4, 6}), channels});
  }

  Net build() {
    const int nodes = 4 + below(14);
    for (int i = 0; i < nodes; ++i) grow();
    for (size_t i = 2; i < values_.size(); ++i) {
      const bool unused = net_.graph().uses(values_[i].id).empty();
      if (unused ? below(4) > 0 : below(25) == 0) net_.output(values_[i].id);
    }
    if (net_.graph().outputs().empty()) net_.output(values_.back().id);
    return net_;
  }

 private:
  struct Made {
    ValueId id;
    int64_t channels;
  };

  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }

  /// Mostly the newest value, so that chains come about.
  const Made& pick() {
    return values_[below(8) > 0 ? values_.size() - 1 : static_cast<size_t>(below(static_cast<int>(values_.size())))];
  }

  std::string fresh() { return "k" + std::to_string(count_++); }

  /// A constant of this shape: often one that another node has already.
  ValueId constant(const Shape& shape, double low = -1, double high = 1) {
    const auto found = constants_.find(shape);
    if (low < 0 && found != constants_.end() && below(3) == 0) return found->second;
    ValueId id;
    switch (below(4)) {
      case 0:
        id = net_.constant_node(fresh(), net_.random(shape, low, high));
        break;
      case 1:
        id = net_.node("Identity", {net_.weight(fresh(), shape, low, high)}, {}, fresh());
        break;
      default:
        id = net_.weight(fresh(), shape, low, high);
    }
    constants_[shape] = id;
    return id;
  }

  void add(const std::string& op_type, std::vector<ValueId> inputs, int64_t channels,
           std::vector<ir::Attribute> attributes = {}) {
    values_.push_back(
        {net_.node(op_type, std::move(inputs), std::move(attributes), "v" + std::to_string(values_.size())), channels});
  }

  void grow() {
    const Made x = pick();
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        return convolution(x);
      case 3:
      case 4:
      case 5:
        return batch_norm(x);
      case 6:
      case 7:
        return arithmetic(x);
      case 8:
        return add("Relu", {x.id}, x.channels);
      case 9:
        return add(below(2) ? "Identity" : "Dropout", {x.id}, x.channels);
      case 10:
        for (const Made& other : values_)
          if (other.channels == x.channels && other.id != x.id) return add("Add", {other.id, x.id}, x.channels);
        return batch_norm(x);
      default:
        return matmul(x);
    }
  }

  void convolution(const Made& x) {
    const int64_t filters = std::array<int64_t, 3>{3, 5, 7}[static_cast<size_t>(below(3))];
    const bool depthwise = below(4) == 0;
    const bool transposed = below(3) == 0;
    const int64_t out = depthwise ? x.channels : filters;
    const Shape weight = depthwise    ? Shape{x.channels, 1, 3, 3}
                         : transposed ? Shape{x.channels, filters, 3, 3}
                                      : Shape{filters, x.channels, 3, 3};
    std::vector<ValueId> inputs{x.id, constant(weight, -0.5, 0.5)};
    if (below(2)) inputs.push_back(constant({out}));
    add(transposed ? "ConvTranspose" : "Conv", inputs, out,
        {ints("pads", {1, 1, 1, 1}), attribute("group", depthwise ? x.channels : int64_t{1})});
  }

  void batch_norm(const Made& x) {
    const Shape c{x.channels};
    add("BatchNormalization", {x.id, constant(c), constant(c), constant(c), constant(c, 0.2, 2)}, x.channels,
        {attribute("epsilon", 0.05f)});
  }

  void arithmetic(const Made& x) {
    const std::array<Shape, 6> shapes{
        Shape{}, Shape{x.channels, 1, 1}, Shape{1, x.channels, 1, 1}, Shape{6}, Shape{4, 1}, Shape{1, 1}};
    const ValueId k = constant(shapes[static_cast<size_t>(below(6))], 0.5, 1.5);
    const std::string op_type = std::array{"Add", "Sub", "Mul", "Div"}[static_cast<size_t>(below(4))];
    const bool first = op_type != "Div" && below(2);
    add(op_type, first ? std::vector{k, x.id} : std::vector{x.id, k}, x.channels);
  }

  /// Over channels put last, and back.
  void matmul(const Made& x) {
    const ValueId last = net_.node("Transpose", {x.id}, {ints("perm", {0, 2, 3, 1})}, fresh());
    ValueId y = net_.node("MatMul", {last, constant({x.channels, 5}, -0.5, 0.5)}, {}, fresh());
    if (below(2)) y = net_.node("Add", {y, constant({5})}, {}, fresh());
    add("Transpose", {y}, 5, {ints("perm", {0, 3, 1, 2})});
  }

  Net net_;
  std::mt19937 random_;
  std::vector<Made> values_;
  std::map<Shape, ValueId> constants_;
  int count_ = 0;
};

TEST(RandomGraphs, ComputeTheSame) {
  size_t found = 0;
  size_t folded = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Net net = RandomNet(seed).build();
    const Optimized result = optimize(net.model());
    expect_equal_results(net.model(), result.model, 1e-5);
    for (const Fold& fold : result.report.batch_norms) {
      ++found;
      folded += fold.folded;
      EXPECT_TRUE(fold.folded || (!fold.code.empty() && !fold.reason.empty())) << fold.output;
    }
    if (testing::Test::HasFailure()) FAIL() << ir::dump(net.model().graph);
  }
  // The graphs are of use only while a good part of what is in them folds, and a good part does not.
  EXPECT_GT(folded, found / 5);
  EXPECT_LT(folded, found * 4 / 5);
  EXPECT_GT(found, 250u);
}

}  // namespace
}  // namespace pli::test
