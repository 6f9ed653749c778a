#include "runtime/ops/pooling/pooling.h"

#include "tests/ops/op_test.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

/// A pool over three spatial dimensions, the unused ones of size 1, as its definition says it.
struct PoolCase {
  std::string op = "MaxPool";
  int64_t batch = 2;
  int64_t channels = 5;
  Shape spatial;  // one to three
  Shape kernel;
  Shape strides = {};
  Shape dilations = {};
  Shape pads = {};  // begins, ends
  bool ceil = false;
  bool include_pad = false;
  bool column_major = false;
  int64_t p = 2;
  int64_t opset = 19;

  Shape input_shape() const {
    Shape shape{batch, channels};
    shape.insert(shape.end(), spatial.begin(), spatial.end());
    return shape;
  }
  NodeCase node(const Tensor& x, size_t outputs = 1) const {
    NodeCase result{op, opset, {x}, {ints("kernel_shape", kernel)}, outputs};
    if (!strides.empty()) result.attributes.push_back(ints("strides", strides));
    if (!dilations.empty()) result.attributes.push_back(ints("dilations", dilations));
    if (!pads.empty()) result.attributes.push_back(ints("pads", pads));
    if (ceil) result.attributes.push_back(attribute("ceil_mode", 1));
    if (include_pad) result.attributes.push_back(attribute("count_include_pad", 1));
    if (column_major) result.attributes.push_back(attribute("storage_order", 1));
    if (op == "LpPool") result.attributes.push_back(attribute("p", p));
    return result;
  }
};

struct Reference {
  Shape shape;
  std::vector<double> values;
  std::vector<double> indices;
};

Reference reference(const PoolCase& c, const Tensor& x) {
  const size_t rank = c.spatial.size();
  std::array<int64_t, 3> in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, begin{}, end{}, out{};
  for (size_t i = 0; i < rank; ++i) {
    const size_t to = i + 3 - rank;
    in[to] = c.spatial[i];
    kernel[to] = c.kernel[i];
    if (!c.strides.empty()) stride[to] = c.strides[i];
    if (!c.dilations.empty()) dilation[to] = c.dilations[i];
    if (!c.pads.empty()) begin[to] = c.pads[i], end[to] = c.pads[i + rank];
  }
  for (size_t i = 0; i < 3; ++i) {
    const int64_t padded = in[i] + begin[i] + end[i];
    const int64_t extent = (kernel[i] - 1) * dilation[i] + 1;
    const auto exists = [&](int64_t o) {
      if (!c.ceil) return o * stride[i] + extent <= padded;
      return o == 0 || ((o - 1) * stride[i] + extent < padded && o * stride[i] < in[i] + begin[i]);
    };
    while (exists(out[i])) ++out[i];
  }
  Reference result{{c.batch, c.channels}, {}, {}};
  for (size_t i = 3 - rank; i < 3; ++i) result.shape.push_back(out[i]);
  const std::vector<double> values = to_doubles(x);
  for (int64_t plane = 0; plane < c.batch * c.channels; ++plane) {
    for (int64_t o = 0; o < out[0] * out[1] * out[2]; ++o) {
      const std::array<int64_t, 3> at{o / out[2] / out[1], o / out[2] % out[1], o % out[2]};
      double most = -std::numeric_limits<double>::infinity();
      double total = 0;
      int64_t position = -1;
      int64_t inside = 0;
      int64_t in_padding = 0;
      for (int64_t t = 0; t < kernel[0] * kernel[1] * kernel[2]; ++t) {
        const std::array<int64_t, 3> tap{t / kernel[2] / kernel[1], t / kernel[2] % kernel[1], t % kernel[2]};
        std::array<int64_t, 3> p{};
        bool is_inside = true;
        bool is_padding = true;
        for (size_t i = 0; i < 3; ++i) {
          p[i] = at[i] * stride[i] - begin[i] + tap[i] * dilation[i];
          is_inside = is_inside && p[i] >= 0 && p[i] < in[i];
          is_padding = is_padding && p[i] < in[i] + end[i];
        }
        in_padding += is_padding ? 1 : 0;
        if (!is_inside) continue;
        const int64_t flat = ((plane * in[0] + p[0]) * in[1] + p[1]) * in[2] + p[2];
        const double v = values[static_cast<size_t>(flat)];
        ++inside;
        if (c.op == "LpPool")
          total += std::pow(std::abs(v), static_cast<double>(c.p));
        else
          total += v;
        if (v > most) {
          most = v;
          position = c.column_major ? plane * in[0] * in[1] * in[2] + p[0] + in[0] * (p[1] + in[1] * p[2]) : flat;
        }
      }
      if (c.op == "MaxPool")
        result.values.push_back(most);
      else if (c.op == "LpPool")
        result.values.push_back(std::pow(total, 1.0 / static_cast<double>(c.p)));
      else
        result.values.push_back(inside == 0 ? 0 : total / static_cast<double>(c.include_pad ? in_padding : inside));
      result.indices.push_back(static_cast<double>(position));
    }
  }
  return result;
}

std::vector<PoolCase> geometries() {
  return {
      {.channels = 3, .spatial = {11}, .kernel = {3}},
      {.channels = 40, .spatial = {11}, .kernel = {4}, .strides = {3}, .pads = {2, 1}},
      {.channels = 1, .spatial = {12, 9}, .kernel = {2, 2}, .strides = {2, 2}},
      {.channels = 8, .spatial = {12, 9}, .kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}},
      {.channels = 45, .spatial = {12, 9}, .kernel = {3, 2}, .strides = {1, 2}, .pads = {0, 1, 2, 0}},
      {.channels = 70, .spatial = {7, 10}, .kernel = {3, 3}, .strides = {2, 2}, .ceil = true},
      {.channels = 13, .spatial = {10, 7}, .kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 0, 1, 1}, .ceil = true},
      {.channels = 32, .spatial = {3, 4}, .kernel = {2, 2}, .strides = {3, 3}, .pads = {1, 1, 1, 1}, .ceil = true},
      {.channels = 6, .spatial = {12, 13}, .kernel = {3, 2}, .dilations = {2, 3}, .pads = {1, 2, 3, 0}},
      {.channels = 33,
       .spatial = {9, 9},
       .kernel = {2, 3},
       .strides = {2, 1},
       .dilations = {3, 2},
       .pads = {2, 1, 2, 4},
       .ceil = true},
      {.channels = 4,
       .spatial = {3, 2},
       .kernel = {2, 2},
       .dilations = {5, 5},
       .pads = {2, 4, 3, 5}},  // windows without a tap
      {.channels = 5, .spatial = {4, 6, 5}, .kernel = {2, 3, 2}, .strides = {1, 2, 2}, .pads = {1, 1, 0, 0, 2, 1}},
      {.channels = 34,
       .spatial = {4, 6, 5},
       .kernel = {2, 2, 3},
       .strides = {2, 1, 2},
       .pads = {0, 1, 1, 1, 0, 1},
       .ceil = true},
      {.channels = 7, .spatial = {6, 1}, .kernel = {5, 1}},
  };
}

TEST(Pooling, MatchesTheReferenceInBothLayouts) {
  uint32_t seed = 100;
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    for (PoolCase c : geometries()) {
      for (const bool include_pad : {false, true}) {
        if (include_pad && std::string(op) != "AveragePool") continue;
        c.op = op;
        c.include_pad = include_pad;
        c.p = seed % 2 == 0 ? 2 : 3;
        const Tensor x = random_tensor(c.input_shape(), ++seed);
        const Reference expected = reference(c, x);
        SCOPED_TRACE(std::string(op) + " on " + to_string(x.shape()) + " with " +
                     to_string(std::span<const int64_t>(c.kernel)));
        expect_near(test::run(c.node(x))[0], expected.shape, expected.values);
        expect_near(test::run_channels_last(c.node(x))[0], expected.shape, expected.values);
      }
    }
  }
}

TEST(Pooling, GivesTheIndicesOfTheLargest) {
  uint32_t seed = 200;
  for (PoolCase c : geometries()) {
    for (const bool column_major : {false, true}) {
      c.column_major = column_major;
      Tensor x = random_tensor(c.input_shape(), ++seed, 0, 9);
      for (float& v : x.mutable_data<float>()) v = std::floor(v);  // with equal ones
      // The first of several equal ones is the first in row-major order, in either order of counting.
      const Reference expected = reference(c, x);
      for (const auto& outputs : {test::run(c.node(x, 2)), test::run_channels_last(c.node(x, 2))}) {
        expect_near(outputs[0], expected.shape, expected.values);
        EXPECT_EQ(outputs[1].dtype(), DataType::kInt64);
        expect_near(outputs[1], expected.shape, expected.indices, 0, 0);
      }
    }
  }
}

TEST(Pooling, OtherTypes) {
  const Tensor bytes = tensor<int8_t>({1, 1, 2, 4}, {-5, -7, 3, 9, -128, -6, 100, -100});
  const NodeCase node{"MaxPool", 12, {bytes}, {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})}};
  EXPECT_EQ(to_int64s(test::run(node)[0]), (std::vector<int64_t>{-5, 100}));
  EXPECT_EQ(to_int64s(test::run_channels_last(node)[0]), (std::vector<int64_t>{-5, 100}));
  const Tensor doubles = tensor<double>({1, 1, 2}, {1, 1 + 1e-12});
  EXPECT_EQ(to_doubles(test::run({"AveragePool", 11, {doubles}, {ints("kernel_shape", {2})}})[0]),
            std::vector<double>{1 + 5e-13});
}

TEST(Pooling, SameFormsPadWhatTheirNameSays) {
  const Tensor x = random_tensor({1, 10, 7, 6}, 3);
  for (const bool upper : {true, false}) {
    PoolCase c{.op = "AveragePool", .batch = 1, .channels = 10, .spatial = {7, 6}, .kernel = {2, 3}, .strides = {1, 2}};
    NodeCase node = c.node(x);
    node.attributes.push_back(attribute("auto_pad", upper ? "SAME_UPPER" : "SAME_LOWER"));
    c.pads = upper ? Shape{0, 0, 1, 1} : Shape{1, 1, 0, 0};
    const Reference expected = reference(c, x);
    EXPECT_EQ(expected.shape, (Shape{1, 10, 7, 3}));
    expect_near(test::run(node)[0], expected.shape, expected.values);
    expect_near(test::run_channels_last(node)[0], expected.shape, expected.values);
  }
}

TEST(Pooling, NanAndInfinitiesGoThrough) {
  Tensor x = random_tensor({1, 40, 4, 4}, 3);
  auto values = x.mutable_data<float>();
  values[16 * 3 + 5] = NAN;   // channel 3, in the vector loop
  values[16 * 37 + 5] = NAN;  // channel 37, in the remainder
  for (size_t i = 0; i < 16; ++i) values[16 * 4 + i] = -INFINITY;
  for (const char* op : {"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"}) {
    NodeCase node{op, 12, {x}, {}};
    if (op[0] != 'G') node.attributes.push_back(ints("kernel_shape", {4, 4}));
    for (const Tensor& y : {test::run(node)[0], test::run_channels_last(node)[0]}) {
      const auto result = to_doubles(y);
      ASSERT_EQ(result.size(), 40U);
      EXPECT_TRUE(std::isnan(result[3])) << op;
      EXPECT_TRUE(std::isnan(result[37])) << op;
      EXPECT_EQ(result[4], -std::numeric_limits<double>::infinity()) << op;
      EXPECT_FALSE(std::isnan(result[2]) || std::isnan(result[36])) << op;
    }
  }
  for (const int64_t side : {2, 3, 5})
    for (int64_t place = 0; place < side * side; ++place) {
      Tensor window = random_tensor({1, 45, side, side}, 4);
      const auto numbers = window.mutable_data<float>();
      for (const int64_t channel : {3, 33, 44})  // of a block of vectors, of one, and of what is left
        numbers[static_cast<size_t>(channel * side * side + place)] = NAN;
      NodeCase node{"MaxPool", 12, {window}, {ints("kernel_shape", {side, side})}};
      const auto result = to_doubles(test::run_channels_last(node)[0]);
      for (size_t channel = 0; channel < 45; ++channel)
        EXPECT_EQ(std::isnan(result[channel]), channel == 3 || channel == 33 || channel == 44) << side << " " << place;
    }
  const auto outputs =
      test::run({"MaxPool", 12, {tensor<float>({1, 1, 3}, {5, NAN, 7})}, {ints("kernel_shape", {3})}, 2});
  EXPECT_TRUE(std::isnan(outputs[0].data<float>()[0]));
  EXPECT_EQ(outputs[1].data<int64_t>()[0], 1);
}

TEST(Pooling, GlobalPools) {
  uint32_t seed = 300;
  for (const Shape& spatial : {Shape{13}, Shape{5, 7}, Shape{3, 4, 5}}) {
    for (const char* op : {"GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"}) {
      for (const int64_t p : {1, 2, 3}) {
        PoolCase c{
            .op = std::string(op).substr(6), .batch = 3, .channels = 41, .spatial = spatial, .kernel = spatial, .p = p};
        const Tensor x = random_tensor(c.input_shape(), ++seed);
        const Reference expected = reference(c, x);
        NodeCase node{op, 2, {x}};
        if (c.op == "LpPool") node.attributes.push_back(attribute("p", p));
        expect_near(test::run(node)[0], expected.shape, expected.values);
        expect_near(test::run_channels_last(node)[0], expected.shape, expected.values);
      }
    }
  }
  // Opset 1 has the exponent as a float.
  const Tensor x = tensor<float>({1, 1, 2}, {3, 4});
  expect_near(test::run({"GlobalLpPool", 1, {x}, {attribute("p", 2.0F)}})[0], {1, 1, 1}, std::vector<double>{5});
}

TEST(Pooling, InfersShapes) {
  using ir::Dim;
  using ir::Dims;
  using ir::Type;
  const Dim batch(std::string("batch"));
  const Dim side(std::string("side"));
  const Type x = Type::tensor(DataType::kFloat32, Dims{batch, 3, side, 10});
  const auto types = infer("MaxPool", 12, {x}, {ints("kernel_shape", {3, 3}), ints("pads", {1, 1, 1, 1})}, {}, 2);
  EXPECT_EQ(types[0], Type::tensor(DataType::kFloat32, Dims{batch, 3, side, 10}));
  EXPECT_EQ(types[1], Type::tensor(DataType::kInt64, Dims{batch, 3, side, 10}));
  const Type halved = infer("AveragePool", 12, {x}, {ints("kernel_shape", {2, 2}), ints("strides", {2, 2})})[0];
  EXPECT_EQ((*halved.dims)[3], Dim(5));
  EXPECT_FALSE((*halved.dims)[2].known() || (*halved.dims)[2].symbolic());
  EXPECT_EQ(infer("GlobalAveragePool", 12, {x})[0], Type::tensor(DataType::kFloat32, Dims{batch, 3, 1, 1}));
  EXPECT_FALSE(infer("MaxPool", 12, {Type::tensor(DataType::kFloat32)}, {ints("kernel_shape", {3, 3})})[0].has_rank());
  EXPECT_FALSE(infer("GlobalMaxPool", 12, {Type::tensor(DataType::kFloat32)})[0].has_rank());
}

TEST(Pooling, RefusesWhatDoesNotFit) {
  const Tensor x = random_tensor({1, 2, 5, 6}, 1);
  const auto refused = [](const NodeCase& node, std::string_view why, ErrorCode code = ErrorCode::kInvalidModel) {
    const Error e = error_of([&] { test::run(node); });
    EXPECT_EQ(e.code(), code);
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  refused({"MaxPool", 12, {x}}, "kernel_shape is missing");
  refused({"MaxPool", 12, {std::nullopt}, {ints("kernel_shape", {2, 2})}}, "input 0");
  refused({"MaxPool", 12, {x, x}, {ints("kernel_shape", {2, 2})}}, "2 inputs");
  refused({"AveragePool", 12, {x}, {ints("kernel_shape", {2, 2})}, 2}, "2 outputs");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2})}}, "kernel_shape [2] on an input of 2 spatial");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {0, 2})}}, "kernel_shape 0");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2, 2}), ints("strides", {1, 0})}}, "strides 0");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2, 2}), ints("dilations", {-1, 1})}}, "dilations -1");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2, 2}), ints("pads", {2, 0, 0, 0})}},
          "less than the kernel's extent 2");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2, 2}), ints("pads", {0, 0, 0, 7})}},
          "less than the kernel's extent 2");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {6, 2})}}, "does not fit");
  refused({"MaxPool", 12, {x}, {ints("kernel_shape", {2, 2}), attribute("auto_pad", "FULL")}}, "auto_pad");
  refused({"MaxPool", 12, {random_tensor({4, 5}, 1)}, {ints("kernel_shape", {})}}, "rank 2");
  refused({"GlobalAveragePool", 12, {random_tensor({4, 5}, 1)}}, "rank 2");
  refused({"GlobalMaxPool", 12, {x}, {}, 2}, "2 outputs");
  refused({"LpPool", 12, {x}, {ints("kernel_shape", {2, 2}), attribute("p", 0)}}, "exponent p 0");
  refused({"GlobalLpPool", 12, {x}, {attribute("p", -3)}}, "exponent p -3");
  refused({"MaxPool", 12, {random_tensor({1, 2, 3, 3, 3, 3}, 1)}, {ints("kernel_shape", {2, 2, 2, 2})}}, "4 spatial",
          ErrorCode::kUnsupported);
  refused({"AveragePool", 12, {tensor<int32_t>({1, 1, 2}, {1, 2})}, {ints("kernel_shape", {2})}}, "int32",
          ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::ops
