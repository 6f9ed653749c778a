#include "runtime/ops/linear/convolution.h"

#include "tests/ops/op_test.h"

#include <fmt/format.h>

namespace pli::test {
namespace {

struct Geometry {
  Shape input;  // [N, C, spatial...]
  Shape kernel;
  int64_t filters = 1;
  int64_t group = 1;
  Shape strides, dilations, pads;  // pads: begins, then ends
  bool bias = true;
};

/// Visits every index of `dims` in row-major order.
template <class Visit>
void for_each_index(const Shape& dims, Visit&& visit) {
  Shape index(dims.size(), 0);
  for (int64_t left = *checked_size(dims); left > 0; --left) {
    visit(index);
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
}

size_t offset(const Shape& dims, const Shape& index) {
  int64_t at = 0;
  for (size_t i = 0; i < dims.size(); ++i) at = at * dims[i] + index[i];
  return static_cast<size_t>(at);
}

Shape output_shape(const Geometry& g, bool transposed) {
  Shape shape{g.input[0], g.filters};
  for (size_t i = 0; i < g.kernel.size(); ++i) {
    const int64_t extent = (g.kernel[i] - 1) * g.dilations[i] + 1;
    const int64_t pads = g.pads[i] + g.pads[i + g.kernel.size()];
    const int64_t size = g.input[i + 2];
    shape.push_back(transposed ? (size - 1) * g.strides[i] + extent - pads : (size + pads - extent) / g.strides[i] + 1);
  }
  return shape;
}

/// The definition, in double: every product of an input with a weight goes to the output it belongs to.
std::vector<double> reference(const Geometry& g, bool transposed, const Tensor& x, const Tensor& w, const Tensor* b,
                              const Shape& out) {
  std::vector<double> y(static_cast<size_t>(*checked_size(out)), 0.0);
  if (b)
    for_each_index(out, [&](const Shape& at) { y[offset(out, at)] = b->data<float>()[static_cast<size_t>(at[1])]; });
  const Shape w_dims(w.shape().begin(), w.shape().end());
  const int64_t in_group = g.input[1] / g.group;
  const int64_t out_group = g.filters / g.group;
  // The convolution's own image and result; transposed, they change roles.
  const Shape& image = transposed ? out : g.input;
  const Shape& windows = transposed ? g.input : out;
  const size_t spatial = g.kernel.size();
  for_each_index(windows, [&](const Shape& window) {
    for_each_index(g.kernel, [&](const Shape& tap) {
      Shape position(spatial);
      for (size_t i = 0; i < spatial; ++i) {
        position[i] = window[i + 2] * g.strides[i] - g.pads[i] + tap[i] * g.dilations[i];
        if (position[i] < 0 || position[i] >= image[i + 2]) return;
      }
      const int64_t others = transposed ? out_group : in_group;
      const int64_t group = window[1] / (transposed ? in_group : out_group);
      for (int64_t other = 0; other < others; ++other) {
        Shape image_at{window[0], group * others + other};
        image_at.insert(image_at.end(), position.begin(), position.end());
        Shape weight_at{window[1], other};
        weight_at.insert(weight_at.end(), tap.begin(), tap.end());
        const double weight = w.data<float>()[offset(w_dims, weight_at)];
        if (transposed)
          y[offset(out, image_at)] += weight * x.data<float>()[offset(g.input, window)];
        else
          y[offset(out, window)] += weight * x.data<float>()[offset(g.input, image_at)];
      }
    });
  });
  return y;
}

void check(const Geometry& g, bool transposed, uint32_t seed, DataType dtype) {
  SCOPED_TRACE(fmt::format("{} {} input {} kernel {} filters {} group {} strides {} dilations {} pads {} bias {}",
                           transposed ? "ConvTranspose" : "Conv", to_string(dtype), to_string(g.input),
                           to_string(g.kernel), g.filters, g.group, to_string(g.strides), to_string(g.dilations),
                           to_string(g.pads), g.bias));
  const auto rounded = [&](const Shape& shape, uint32_t s) {
    return as(as(random_tensor(shape, s), dtype), DataType::kFloat32);
  };
  const Tensor x = rounded(g.input, seed);
  Shape w_dims = transposed ? Shape{g.input[1], g.filters / g.group} : Shape{g.filters, g.input[1] / g.group};
  w_dims.insert(w_dims.end(), g.kernel.begin(), g.kernel.end());
  const Tensor w = rounded(w_dims, seed + 1);
  const Tensor b = rounded({g.filters}, seed + 2);
  NodeCase node{transposed ? "ConvTranspose" : "Conv", 22, {as(x, dtype), as(w, dtype)}};
  if (g.bias) node.inputs.push_back(as(b, dtype));
  node.attributes = {ints("kernel_shape", g.kernel), ints("strides", g.strides), ints("dilations", g.dilations),
                     ints("pads", g.pads), attribute("group", g.group)};
  const Shape out = output_shape(g, transposed);
  const auto expected = reference(g, transposed, x, w, g.bias ? &b : nullptr, out);
  const double tolerance = 10 * tolerance_of(dtype);
  expect_near(run(node).at(0), out, expected, tolerance, tolerance / 10);
  if (bit_width(dtype) > 16) expect_near(run_channels_last(node).at(0), out, expected, tolerance, tolerance / 10);
}

const Geometry kGeometries[] = {
    {{2, 3, 11, 9}, {3, 5}, 7, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {{1, 16, 13, 10}, {3, 3}, 24, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {{2, 6, 12, 14}, {3, 2}, 10, 2, {2, 1}, {1, 2}, {1, 0, 2, 1}, false},
    {{1, 16, 9, 15}, {3, 3}, 16, 16, {1, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {{3, 8, 7, 6}, {1, 1}, 5, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, false},
    {{1, 4, 10, 11}, {3, 3}, 8, 4, {1, 1}, {2, 1}, {2, 1, 2, 1}, true},
    {{2, 5, 17}, {4}, 6, 1, {3}, {1}, {2, 1}, true},
    {{1, 6, 15}, {3}, 6, 6, {1}, {2}, {2, 2}, false},
    {{1, 4, 5, 6, 7}, {3, 2, 3}, 9, 1, {1, 2, 1}, {1, 1, 1}, {1, 0, 1, 1, 1, 1}, true},
    {{2, 6, 4, 5, 6}, {2, 2, 2}, 4, 2, {1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}, false},
    {{1, 40, 9, 21}, {3, 5}, 70, 1, {1, 1}, {1, 1}, {1, 2, 1, 2}, true},  // more than one block of everything
};

TEST(Convolution, AgreesWithTheDefinition) {
  uint32_t seed = 100;
  for (const DataType dtype : kFloatTypes)
    for (const Geometry& geometry : kGeometries) check(geometry, false, seed += 10, dtype);
}

TEST(Convolution, TransposedAgreesWithTheDefinition) {
  uint32_t seed = 500;
  for (const DataType dtype : kFloatTypes)
    for (const Geometry& geometry : kGeometries) check(geometry, true, seed += 10, dtype);
}

TEST(Convolution, TakesAWeightThatIsOnlyKnownWhenRunning) {
  for (const int64_t filters : {24, 5}) {
    const Geometry g{{1, 16, 8, 9}, {3, 3}, filters, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}, true};
    const Tensor x = random_tensor(g.input, 1);
    const Tensor w = random_tensor({filters, 16, 3, 3}, 2);
    const Tensor b = random_tensor({filters}, 3);
    const Shape out = output_shape(g, false);
    ir::Graph graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", 13}}));
    const auto xi = graph.add_input("x", ir::Type::of(x));
    const auto wi = graph.add_input("w", ir::Type::of(w));
    const auto bi = graph.add_input("b", ir::Type::of(b));
    const auto id = graph.add_node({"Conv", "", "", {xi, wi, bi}, {{"y", {}, {}}}, {ints("pads", {1, 1, 1, 1})}, {}});
    const Limits limits;
    ops::PrepareContext context{
        graph,
        graph.node(id),
        limits,
        13,
        {compute::channels_last(DataType::kFloat32, g.input), compute::plain(DataType::kFloat32, {filters, 16, 3, 3}),
         compute::plain(DataType::kFloat32, {filters})},
        {nullptr, nullptr, nullptr},
        {compute::channels_last(DataType::kFloat32, out)},
        {},
        1};
    const auto kernel = ops::prepare_convolution(context);
    const auto state = kernel->make_state();
    // A channels-last x: [H, W, C].
    std::vector<float> image(x.size());
    for (size_t c = 0; c < 16; ++c)
      for (size_t p = 0; p < 72; ++p) image[p * 16 + c] = x.data<float>()[c * 72 + p];
    Tensor y(DataType::kFloat32, out);
    Tensor scratch(DataType::kUint8, {static_cast<int64_t>(kernel->scratch_bytes())});
    const void* in[] = {image.data(), w.bytes().data(), b.bytes().data()};
    void* results[] = {y.mutable_raw()};
    kernel->run({in, results, scratch.mutable_raw(), state.get()});
    Tensor rows(DataType::kFloat32, out);
    const auto n = static_cast<size_t>(filters);
    for (size_t c = 0; c < n; ++c)
      for (size_t p = 0; p < 72; ++p) rows.mutable_data<float>()[c * 72 + p] = y.data<float>()[p * n + c];
    expect_near(rows, out, reference(g, false, x, w, &b, out), 1e-4, 1e-5);
  }
}

TEST(Convolution, RefusesWhatContradictsItself) {
  const auto infer_conv = [](Shape x, Shape w, std::vector<ir::Attribute> attributes) {
    return infer("Conv", 13,
                 {ir::Type::of(Tensor(DataType::kFloat32, std::move(x))),
                  ir::Type::of(Tensor(DataType::kFloat32, std::move(w)))},
                 attributes);
  };
  const Shape x{1, 6, 8, 8};
  const Shape w{4, 6, 3, 3};
  EXPECT_NO_THROW(infer_conv(x, w, {}));
  const std::pair<Shape, std::vector<ir::Attribute>> broken[] = {
      {{4, 5, 3, 3}, {}},  // channels
      {{4, 6, 3}, {}},     // rank
      {w, {attribute("group", 0)}},
      {w, {attribute("group", 4)}},  // does not divide the channels
      {w, {ints("strides", {0, 1})}},
      {w, {ints("strides", {1})}},
      {w, {ints("dilations", {1, -1})}},
      {w, {ints("pads", {1, 1, 1})}},
      {w, {ints("pads", {0, 0, -1, 0})}},
      {w, {ints("kernel_shape", {3, 2})}},
      {{4, 6, 11, 3}, {}},  // no window fits
      {w, {ints("dilations", {INT64_MAX, 1})}},
      {w, {ints("pads", {INT64_MAX, INT64_MAX, 1, 1})}},
  };
  for (const auto& [weight, attributes] : broken)
    EXPECT_EQ(error_of([&, &w = weight, &a = attributes] { infer_conv(x, w, a); }).code(), ErrorCode::kInvalidModel)
        << to_string(weight);
}

}  // namespace
}  // namespace pli::test
