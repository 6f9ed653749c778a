#include "runtime/ops/movement/resize.h"

#include "tests/ops/movement_case.h"

#include <array>
#include <cmath>

namespace pli::test {
namespace {

using ir::Dims;

Tensor floats_tensor(const std::vector<float>& values) {
  return tensor<float>({static_cast<int64_t>(values.size())}, values);
}

/// A dimension as the reference sees it.
struct Axis {
  double in, out, scale;
  double start = 0, end = 1;
};

/// The formulas of the operator's definition, one after the other.
double source(const std::string& mode, const Axis& a, double x) {
  if (mode == "half_pixel") return (x + 0.5) / a.scale - 0.5;
  if (mode == "pytorch_half_pixel") return a.out > 1 ? (x + 0.5) / a.scale - 0.5 : 0;
  if (mode == "align_corners") return a.out > 1 ? x * (a.in - 1) / (a.in * a.scale - 1) : 0;
  if (mode == "asymmetric") return x / a.scale;
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / a.scale;
  if (mode == "half_pixel_symmetric") return a.in / 2 * (1 - a.out / (a.in * a.scale)) + (x + 0.5) / a.scale - 0.5;
  return a.out > 1 ? a.start * (a.in - 1) + x * (a.end - a.start) * (a.in - 1) / (a.out - 1)
                   : 0.5 * (a.start + a.end) * (a.in - 1);
}

struct Weight {
  int64_t index;
  double weight;
};

double cubic(double d, double a) {
  d = std::abs(d);
  if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
  return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

/// The positions of the input that make position x of the output, unclamped ones made border or, if excluded, dropped.
std::vector<Weight> weights(const std::string& interpolation, double position, const Axis& axis, double a,
                            bool exclude) {
  std::vector<Weight> result;
  const double base = std::floor(position);
  double sum = 0;
  for (int64_t i = -1; i <= 2; ++i) {
    const double index = base + static_cast<double>(i), d = std::abs(position - index);
    double weight = interpolation == "cubic" ? cubic(d, a) : std::max(0.0, 1 - d);
    if (exclude && (index < 0 || index >= axis.in)) weight = 0;
    result.push_back({static_cast<int64_t>(std::clamp(index, 0.0, axis.in - 1)), weight});
    sum += weight;
  }
  if (exclude)
    for (Weight& w : result) w.weight /= sum;
  return result;
}

/// Interpolates over the last two dimensions of a tensor of rank 4.
std::vector<double> interpolated(const Tensor& input, const std::array<Axis, 2>& axes, const std::string& interpolation,
                                 const std::string& coordinates, double a = -0.75, bool exclude = false,
                                 double extrapolation = 0) {
  const Shape shape{input.shape()[0], input.shape()[1], static_cast<int64_t>(axes[0].out),
                    static_cast<int64_t>(axes[1].out)};
  std::vector<double> result;
  for_each_index(shape, [&](const Shape& i) {
    const double y = source(coordinates, axes[0], static_cast<double>(i[2])),
                 x = source(coordinates, axes[1], static_cast<double>(i[3]));
    if (coordinates == "tf_crop_and_resize" && (y < 0 || y > axes[0].in - 1 || x < 0 || x > axes[1].in - 1))
      return result.push_back(extrapolation);
    double sum = 0;
    for (const Weight& row : weights(interpolation, y, axes[0], a, exclude))
      for (const Weight& column : weights(interpolation, x, axes[1], a, exclude))
        sum += row.weight * column.weight * at(input, {i[0], i[1], row.index, column.index});
    result.push_back(sum);
  });
  return result;
}

void expect_interpolated(const NodeCase& node, const Shape& shape, const std::vector<double>& expected) {
  expect_near(run(node).at(0), shape, expected, 1e-5, 1e-5);
  expect_near(run_channels_last(node).at(0), shape, expected, 1e-5, 1e-5);
}

const std::array<const char*, 6> kCoordinates{"half_pixel", "pytorch_half_pixel",   "align_corners",
                                              "asymmetric", "tf_half_pixel_for_nn", "half_pixel_symmetric"};

TEST(Resize, InterpolatesWithEveryCoordinateMode) {
  const Tensor input = random_tensor({2, 3, 5, 6}, 1);
  for (const char* interpolation : {"linear", "cubic"})
    for (const char* coordinates : kCoordinates) {
      const std::vector<ir::Attribute> attributes{attribute("mode", interpolation),
                                                  attribute("coordinate_transformation_mode", coordinates)};
      SCOPED_TRACE(std::string(interpolation) + " " + coordinates);
      const std::array<Axis, 2> scaled{Axis{5, 11, 2.25f}, Axis{6, 4, 0.75f}};
      expect_interpolated({"Resize", 19, {input, {}, floats_tensor({1, 1, 2.25f, 0.75f})}, attributes}, {2, 3, 11, 4},
                          interpolated(input, scaled, interpolation, coordinates));
      const std::array<Axis, 2> sized{Axis{5, 3, 3.0 / 5}, Axis{6, 13, 13.0 / 6}};
      expect_interpolated({"Resize", 19, {input, {}, {}, int64s({2, 3, 3, 13})}, attributes}, {2, 3, 3, 13},
                          interpolated(input, sized, interpolation, coordinates));
    }
}

TEST(Resize, TakesTheOptionsOfCubic) {
  const Tensor input = random_tensor({1, 2, 5, 6}, 2);
  const std::array<Axis, 2> axes{Axis{5, 10, 2}, Axis{6, 3, 0.5}};
  const NodeCase node{"Resize",
                      13,
                      {input, {}, floats_tensor({1, 1, 2, 0.5f})},
                      {attribute("mode", "cubic"), attribute("cubic_coeff_a", -0.5f), attribute("exclude_outside", 1)}};
  expect_interpolated(node, {1, 2, 10, 3}, interpolated(input, axes, "cubic", "half_pixel", -0.5, true));
}

TEST(Resize, CropsAndExtrapolates) {
  const Tensor input = random_tensor({1, 2, 5, 6}, 3);
  const Tensor region = floats_tensor({0, 0, 0.4f, -0.3f, 1, 1, 0.8f, 1.2f});
  const auto region_of = [&](double in, double out, size_t d) {
    return Axis{in, out, out / in, static_cast<double>(region.data<float>()[d]),
                static_cast<double>(region.data<float>()[d + 4])};
  };
  const std::array<Axis, 2> axes{region_of(5, 4, 2), region_of(6, 7, 3)};
  for (const char* interpolation : {"linear", "cubic"}) {
    const NodeCase node{
        "Resize",
        13,
        {input, region, {}, int64s({1, 2, 4, 7})},
        {attribute("mode", interpolation), attribute("coordinate_transformation_mode", "tf_crop_and_resize"),
         attribute("extrapolation_value", 10.0f)}};
    expect_interpolated(node, {1, 2, 4, 7},
                        interpolated(input, axes, interpolation, "tf_crop_and_resize", -0.75, false, 10));
  }
  const NodeCase nearest{"Resize",
                         13,
                         {input, region, {}, int64s({1, 2, 4, 7})},
                         {attribute("coordinate_transformation_mode", "tf_crop_and_resize"),
                          attribute("extrapolation_value", 10.0f), attribute("nearest_mode", "floor")}};
  expect_output(nearest, {1, 2, 4, 7}, [&](const Shape& i) {
    const double y = source("tf_crop_and_resize", axes[0], static_cast<double>(i[2])),
                 x = source("tf_crop_and_resize", axes[1], static_cast<double>(i[3]));
    if (x < 0 || x > 5) return 10.0;
    return at(input, {i[0], i[1], static_cast<int64_t>(y), static_cast<int64_t>(x)});
  });
}

TEST(Resize, TakesTheNearestWithEveryRule) {
  const Tensor input = random_tensor({2, 3, 5, 6}, 4);
  const auto round = [](const std::string& rule, double v) {
    if (rule == "round_prefer_floor") return std::ceil(v - 0.5);
    if (rule == "round_prefer_ceil") return std::floor(v + 0.5);
    return rule == "floor" ? std::floor(v) : std::ceil(v);
  };
  const std::array<Axis, 2> axes{Axis{5, 12, 2.5}, Axis{6, 3, 0.5}};
  for (const std::string rule : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})
    for (const char* coordinates : kCoordinates) {
      const NodeCase node{
          "Resize",
          19,
          {input, {}, floats_tensor({1, 1, 2.5f, 0.5f})},
          {attribute("nearest_mode", rule.c_str()), attribute("coordinate_transformation_mode", coordinates)}};
      SCOPED_TRACE(rule + " " + coordinates);
      expect_output(node, {2, 3, 12, 3}, [&](const Shape& i) {
        const auto index = [&](size_t d) {
          return static_cast<int64_t>(std::clamp(
              round(rule, source(coordinates, axes[d], static_cast<double>(i[d + 2]))), 0.0, axes[d].in - 1));
        };
        return at(input, {i[0], i[1], index(0), index(1)});
      });
    }
}

TEST(Resize, WorksInOneAndThreeDimensions) {
  const Tensor line = random_tensor({2, 3, 7}, 5), volume = random_tensor({1, 2, 3, 4, 5}, 6);
  expect_output({"Resize",
                 13,
                 {line, {}, floats_tensor({1, 1, 2})},
                 {attribute("coordinate_transformation_mode", "asymmetric"), attribute("nearest_mode", "floor")}},
                {2, 3, 14}, [&](const Shape& i) {
                  return at(line, {i[0], i[1], i[2] / 2});
                });
  const NodeCase node{"Resize",
                      13,
                      {volume, {}, floats_tensor({1, 1, 2, 1, 2})},
                      {attribute("mode", "linear"), attribute("coordinate_transformation_mode", "asymmetric")}};
  std::vector<double> expected;
  for_each_index({1, 2, 6, 4, 10}, [&](const Shape& i) {
    const auto between = [&](int64_t z, int64_t x) {
      return at(volume, {0, i[1], std::min<int64_t>(z, 2), i[3], std::min<int64_t>(x, 4)});
    };
    const int64_t z = i[2] / 2, x = i[4] / 2;
    const double v = 0.5 * static_cast<double>(i[2] % 2), u = 0.5 * static_cast<double>(i[4] % 2);
    expected.push_back((1 - v) * ((1 - u) * between(z, x) + u * between(z, x + 1)) +
                       v * ((1 - u) * between(z + 1, x) + u * between(z + 1, x + 1)));
  });
  expect_interpolated(node, {1, 2, 6, 4, 10}, expected);
}

TEST(Resize, TakesAxesAndKeepsAspectRatios) {
  const Tensor input = random_tensor({2, 3, 4, 6}, 7);
  const auto shape_with = [&](const char* policy, std::vector<int64_t> sizes) {
    return shape_of(run({"Resize",
                         18,
                         {input, {}, {}, int64s(sizes)},
                         {ints("axes", {3, -2}), attribute("keep_aspect_ratio_policy", policy)}})
                        .at(0));
  };
  EXPECT_EQ(shape_with("stretch", {9, 5}), (Shape{2, 3, 5, 9}));
  EXPECT_EQ(shape_with("not_larger", {9, 5}), (Shape{2, 3, 5, 8}));   // 1.25 of each, 7.5 rounded up
  EXPECT_EQ(shape_with("not_smaller", {9, 5}), (Shape{2, 3, 6, 9}));  // 1.5 of each
  expect_output({"Resize",
                 18,
                 {input, {}, floats_tensor({2}), {}},
                 {ints("axes", {1}), attribute("coordinate_transformation_mode", "asymmetric"),
                  attribute("nearest_mode", "floor")}},
                {2, 6, 4, 6}, [&](const Shape& i) {
                  return at(input, {i[0], i[1] / 2, i[2], i[3]});
                });
}

TEST(Upsample, RepeatsInEveryVersion) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 8);
  const auto repeated = [&](const Shape& i) { return at(input, {i[0], i[1], i[2] / 2, i[3] / 3}); };
  expect_output({"Upsample", 7, {input}, {floats("scales", {1, 1, 2, 3})}}, {2, 3, 8, 15}, repeated);
  expect_output({"Upsample", 9, {input, floats_tensor({1, 1, 2, 3})}}, {2, 3, 8, 15}, repeated);
  expect_output({"Resize", 10, {input, floats_tensor({1, 1, 2, 3})}}, {2, 3, 8, 15}, repeated);
  const Tensor row = tensor<int64_t>({1, 4}, {1, 2, 3, 4});
  EXPECT_EQ(to_int64s(run({"Resize", 10, {row, floats_tensor({1, 0.6f})}}).at(0)), (std::vector<int64_t>{1, 3}));
  const std::array<Axis, 2> axes{Axis{4, 8, 2}, Axis{5, 15, 3}};
  expect_interpolated({"Upsample", 9, {input, floats_tensor({1, 1, 2, 3})}, {attribute("mode", "linear")}},
                      {2, 3, 8, 15}, interpolated(input, axes, "linear", "asymmetric"));
}

TEST(Upsample, BeforeOpset7ScalesRowsAndColumns) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 12);
  const auto upsampled = [&](const char* mode) {
    return NodeCase{"Upsample",
                    6,
                    {input},
                    {attribute("height_scale", 2.0f), attribute("width_scale", 3.0f), attribute("mode", mode)}};
  };
  expect_output(upsampled("nearest"), {2, 3, 8, 15}, [&](const Shape& i) {
    return at(input, {i[0], i[1], i[2] / 2, i[3] / 3});
  });
  const std::array<Axis, 2> axes{Axis{4, 8, 2}, Axis{5, 15, 3}};
  expect_interpolated(upsampled("bilinear"), {2, 3, 8, 15}, interpolated(input, axes, "linear", "asymmetric"));
  EXPECT_EQ(refusal({"Upsample", 6, {input}, {attribute("height_scale", 2.0f)}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Upsample",
                     6,
                     {random_tensor({3, 4, 5}, 13)},
                     {attribute("height_scale", 2.0f), attribute("width_scale", 2.0f)}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Upsample", 7, {input}, {floats("scales", {1, 1, 2, 2}), attribute("mode", "bilinear")}}),
            ErrorCode::kInvalidModel);
}

TEST(Resize, ThatChangesNothingIsAView) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 9);
  const NodeCase node{"Resize", 13, {input, {}, floats_tensor({1, 1, 1, 1})}, {attribute("mode", "linear")}};
  EXPECT_TRUE(run_laid_out(node, arriving(node, compute::channels_last_strides(input.shape()))).is_view);
}

TEST(Resize, KeepsLayouts) {
  const Tensor input = random_tensor({1, 3, 4, 5}, 10);
  for (const char* mode : {"nearest", "linear"}) {
    const NodeCase node{"Resize", 13, {input, {}, floats_tensor({1, 1, 2, 2})}, {attribute("mode", mode)}};
    EXPECT_TRUE(compute::is_channels_last(
        run_laid_out(node, arriving(node, compute::channels_last_strides(input.shape()))).layouts.at(0)));
    EXPECT_TRUE(
        compute::is_plain(run_laid_out(node, arriving(node, compute::plain_strides(input.shape()))).layouts.at(0)));
  }
}

TEST(Resize, Infers) {
  EXPECT_EQ(infer("Resize", 13, {f32(Dims{"N"s, 3, 4, "W"s}), {}, {}}, {},
                  {{}, floats_tensor({}), floats_tensor({1, 1, 2.5f, 2})})
                .at(0)
                .dims->at(2),
            ir::Dim(10));
  EXPECT_EQ(infer("Upsample", 7, {f32(Dims{"N"s, 3})}, {floats("scales", {1, 2})}).at(0).dims, (Dims{"N"s, 6}));
  const auto sized = infer("Resize", 13, {f32(Dims{"N"s, 3}), {}, {}, {}}, {},
                           {{}, floats_tensor({}), floats_tensor({}), int64s({4, 5})});
  EXPECT_EQ(sized.at(0).dims, (Dims{4, 5}));
  const auto unknown = infer("Resize", 13, {f32(Dims{2, 3}), f32(Dims{0}), f32(Dims{0}), int64_type(Dims{2})});
  EXPECT_EQ(unknown.at(0).rank(), 2);
  EXPECT_FALSE(unknown.at(0).dims->at(0).known());
  EXPECT_FALSE(infer("Upsample", 7, {f32(std::nullopt)}, {floats("scales", {1, 2})}).at(0).has_rank());
}

TEST(Resize, Refuses) {
  const Tensor input = random_tensor({2, 3}, 11);
  const auto scaled = [&](const std::vector<float>& scales, std::vector<ir::Attribute> attributes = {}) {
    return refusal({"Resize", 18, {input, {}, floats_tensor(scales)}, std::move(attributes)});
  };
  for (const std::vector<float>& scales : {std::vector<float>{1}, {1, 0}, {1, -2}, {1, NAN}, {1, INFINITY}, {}})
    EXPECT_EQ(scaled(scales), ErrorCode::kInvalidModel);
  EXPECT_EQ(scaled({1, 1e30f}), ErrorCode::kResourceLimit);
  EXPECT_EQ(scaled({1, 1e15f}), ErrorCode::kResourceLimit);
  for (const char* name : {"mode", "coordinate_transformation_mode", "nearest_mode", "keep_aspect_ratio_policy"})
    EXPECT_EQ(scaled({1, 2}, {attribute(name, "other")}), ErrorCode::kInvalidModel);
  EXPECT_EQ(scaled({1, 2}, {ints("axes", {0, 2})}), ErrorCode::kInvalidModel);
  EXPECT_EQ(scaled({1, 2}, {ints("axes", {0})}), ErrorCode::kInvalidModel);
  EXPECT_EQ(scaled({1, 2}, {attribute("coordinate_transformation_mode", "tf_crop_and_resize")}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(scaled({1, 0.5f}, {attribute("mode", "linear"), attribute("antialias", 1)}), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal({"Resize", 13, {input, {}, floats_tensor({1, 1}), int64s({2, 3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Resize", 13, {input, {}, {}, int64s({2, -3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Resize", 13, {random_tensor({2, 0}, 1), {}, {}, int64s({2, 3})}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Resize", 13, {int64s({1, 2}), {}, floats_tensor({2})}, {attribute("mode", "linear")}}),
            ErrorCode::kUnsupported);
  EXPECT_EQ(refusal({"Upsample", 9, {input, floats_tensor({1, 2})}, {attribute("mode", "cubic")}}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Upsample", 9, {input}}), ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace pli::test
