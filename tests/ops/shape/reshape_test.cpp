#include "runtime/ops/shape/reshape.h"

#include "tests/ops/movement_case.h"

namespace pli::test {
namespace {

using compute::channels_last;
using compute::plain;
using ir::Dims;

/// The dimensions that Reshape infers.
std::optional<Dims> reshape_dims(const ir::Type& input, const std::vector<int64_t>& target, int64_t allowzero = 0) {
  return infer("Reshape", 14, {input, {}}, {attribute("allowzero", allowzero)}, {{}, int64s(target)}).at(0).dims;
}

/// Row-major elements survive, plain and from channels-last, as a view and as a copy.
void expect_reshaped(const NodeCase& node, const Shape& shape) {
  const Tensor& input = *node.inputs[0];
  const Tensor expected = input.reshaped(shape);
  EXPECT_TRUE(identical(run(node).at(0), expected));
  EXPECT_TRUE(identical(run_channels_last(node).at(0), expected));
  std::vector<compute::TensorDesc> layouts{channels_last(input.dtype(), shape_of(input))};
  for (size_t i = 1; i < node.inputs.size(); ++i)
    layouts.push_back(plain(node.inputs[i]->dtype(), shape_of(*node.inputs[i])));
  EXPECT_TRUE(identical(run_laid_out(node, layouts).outputs.at(0), expected));
}

TEST(Reshape, KeepsRowMajorOrderInEveryLayout) {
  const Tensor input = random_tensor({2, 6, 4, 5}, 1);
  for (const Shape& target :
       {Shape{2, 3, 2, 4, 5}, Shape{2, 120}, Shape{4, 5, 6, 2}, Shape{240}, Shape{1, 2, 6, 1, 20}, Shape{24, 10}})
    expect_reshaped({"Reshape", 13, {input, int64s(target)}}, target);
  expect_reshaped({"Reshape", 5, {input, int64s({0, -1, 5, 4})}}, {2, 6, 5, 4});
}

TEST(Reshape, HasAnAttributeBeforeOpset5) {
  const Tensor input = random_tensor({2, 3, 4}, 3);
  expect_reshaped({"Reshape", 1, {input}, {ints("shape", {0, -1})}}, {2, 12});
  EXPECT_EQ(refusal({"Reshape", 4, {input}}), ErrorCode::kInvalidModel);
  EXPECT_EQ(refusal({"Reshape", 4, {input, int64s({24})}}), ErrorCode::kInvalidModel);
}

TEST(Reshape, TakesIntegersAndHalves) {
  expect_reshaped({"Reshape", 18, {tensor<int64_t>({2, 3}, {1, 2, 3, 4, 5, 6}), int64s({3, -1})}}, {3, 2});
  expect_reshaped({"Reshape", 18, {Tensor(DataType::kFloat16, {2, 3}), int64s({6})}}, {6});
  expect_reshaped({"Reshape", 18, {tensor<bool>({2}, {true, false}), int64s({1, 2})}}, {1, 2});
}

TEST(Reshape, SplitsChannelsLastAsAViewAndShufflesInOneCopy) {
  const Tensor input = random_tensor({2, 6, 4, 5}, 2);
  const auto split = run_laid_out({"Reshape", 13, {input, int64s({2, 2, 3, 4, 5})}},
                                  {channels_last(DataType::kFloat32, {2, 6, 4, 5}), plain(DataType::kInt64, {5})});
  EXPECT_TRUE(split.is_view);
  const Tensor groups = random_tensor({2, 3, 2, 4, 5}, 3);  // as transposed: channel c of group g at c * 1 + g * 3
  const compute::TensorDesc transposed{DataType::kFloat32, {2, 3, 2, 4, 5}, {120, 1, 3, 30, 6}};
  const auto joined =
      run_laid_out({"Reshape", 13, {groups, int64s({2, 6, 4, 5})}}, {transposed, plain(DataType::kInt64, {4})});
  EXPECT_FALSE(joined.is_view);
  EXPECT_TRUE(compute::is_channels_last(joined.layouts.at(0)));
  EXPECT_TRUE(identical(joined.outputs.at(0), groups.reshaped({2, 6, 4, 5})));
}

TEST(Reshape, WritesRowMajorWhereChannelsDoNotStay) {
  const Tensor input = random_tensor({2, 6, 4, 5}, 4);
  const auto result = run_laid_out({"Reshape", 13, {input, int64s({2, 4, 5, 6})}},
                                   {channels_last(DataType::kFloat32, {2, 6, 4, 5}), plain(DataType::kInt64, {4})});
  EXPECT_FALSE(result.is_view);
  EXPECT_TRUE(compute::is_plain(result.layouts.at(0)));
  EXPECT_TRUE(identical(result.outputs.at(0), input.reshaped({2, 4, 5, 6})));
}

TEST(Reshape, InfersFromSymbols) {
  const Dims image{"N"s, 512, 7, 7};
  EXPECT_EQ(reshape_dims(f32(image), {0, -1}), (Dims{"N"s, 25088}));
  EXPECT_EQ(reshape_dims(f32(image), {-1, 25088}), (Dims{"N"s, 25088}));
  EXPECT_EQ(reshape_dims(f32(image), {0, 512, -1}), (Dims{"N"s, 512, 49}));
  EXPECT_EQ(reshape_dims(f32(Dims{"N"s, 6, "H"s, "W"s}), {0, 2, 3, 0, -1}).value().at(0), ir::Dim("N"s));
  const auto partly = *reshape_dims(f32(Dims{"N"s, 6, "H"s, "W"s}), {0, 6, -1});
  EXPECT_EQ(partly[0], ir::Dim("N"s));
  EXPECT_EQ(partly[2], ir::Dim("H*W"s));
  const auto blind = *reshape_dims(f32(std::nullopt), {0, 3, -1});
  EXPECT_EQ(blind.size(), 3u);
  EXPECT_EQ(blind[1], ir::Dim(3));
  EXPECT_FALSE(blind[0].known() || blind[2].known());
  EXPECT_EQ(reshape_dims(f32(Dims{0, 3}), {3, 0}, 1), (Dims{3, 0}));
  EXPECT_EQ(reshape_dims(f32(Dims{}), {1, 1}), (Dims{1, 1}));
  EXPECT_EQ(reshape_dims(f32(Dims{0, 4, 3}), {0, 12}), (Dims{0, 12}));
}

TEST(Reshape, MultipliesAndDividesSymbols) {
  const auto open = [](const ir::Dim& dim) { return !dim.known() && !dim.symbolic(); };
  EXPECT_EQ(reshape_dims(f32(Dims{"N"s, 4, 16, 24}), {-1, 16, 24}), (Dims{"4*N"s, 16, 24}));
  EXPECT_EQ(reshape_dims(f32(Dims{"4*N"s, 16, 24}), {-1, 64, 24}), (Dims{"N"s, 64, 24}));
  EXPECT_EQ(reshape_dims(f32(Dims{"4*N"s, 6, "H"s}), {-1, 12}), (Dims{"2*H*N"s, 12}));
  EXPECT_EQ(reshape_dims(f32(Dims{"W"s, 2, "H"s, 3, "W"s}), {-1}), (Dims{"6*H*W*W"s}));
  EXPECT_EQ(reshape_dims(f32(Dims{"W*H"s, 2}), {-1}), (Dims{"2*H*W"s}));
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"4*N"s, 3}), {-1, 8}).value()[0]));  // may not fit
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"N + 1"s, 3}), {-1}).value()[0]));   // no product
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"2*N + 1"s, 3}), {-1}).value()[0]));
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"2*"s, 3}), {-1}).value()[0]));
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"4"s, 3}), {-1}).value()[0]));  // a name, not a number
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"0*N"s, 3}), {-1}).value()[0]));
  EXPECT_TRUE(open(reshape_dims(f32(Dims{"9999999999*N"s, "9999999999*N"s}), {-1}).value()[0]));  // overflows
  EXPECT_TRUE(open(reshape_dims(f32(Dims(9, "N"s)), {-1}).value()[0]));                           // too long
  EXPECT_EQ(reshape_dims(f32(Dims{"N + 1"s, 3}), {-1, 3}), (Dims{"N + 1"s, 3}));
}

TEST(Reshape, InfersTheRankFromAShapeThatIsNotKnown) {
  EXPECT_EQ(infer("Reshape", 14, {f32(Dims{2, 3}), int64_type(Dims{4})}).at(0).rank(), 4);
  EXPECT_FALSE(infer("Reshape", 14, {f32(Dims{2, 3}), int64_type(Dims{"k"s})}).at(0).has_rank());
}

TEST(Reshape, RefusesShapesThatDoNotFit) {
  const ir::Type input = f32(Dims{2, 3, 4});
  const auto refused = [&](const std::vector<int64_t>& target, int64_t allowzero = 0) {
    return error_of([&] { (void)reshape_dims(input, target, allowzero); }).code();
  };
  for (const auto& target : std::vector<std::vector<int64_t>>{
           {25}, {5, -1}, {-1, -1}, {-2, 12}, {1, 1, 1, 0}, {2, 0, 3}, {INT64_MAX, INT64_MAX, 4}})
    EXPECT_EQ(refused(target), ErrorCode::kInvalidModel) << to_string(target);
  EXPECT_EQ(refused({0, -1}, 1), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] { (void)reshape_dims(f32(Dims{0, 3}), {0, -1}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Reshape", 14, {input}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] {
              infer("Reshape", 14, {input, {}}, {}, {{}, random_tensor({2}, 1)});
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Reshape", 14, {input, int64_type(Dims{1, 3})}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] {
              infer("Reshape", 14, {input, int64_type(Dims{100000})});
            }).code(),
            ErrorCode::kResourceLimit);
}

TEST(Flatten, SplitsAtTheAxis) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 5);
  const std::vector<std::pair<int64_t, Shape>> cases{{0, {1, 120}}, {1, {2, 60}},  {3, {24, 5}},
                                                     {4, {120, 1}}, {-1, {24, 5}}, {-4, {1, 120}}};
  for (const auto& [axis, shape] : cases) expect_reshaped({"Flatten", 13, {input}, {attribute("axis", axis)}}, shape);
  expect_reshaped({"Flatten", 9, {input}}, {2, 60});
  expect_reshaped({"Flatten", 9, {random_tensor({}, 1)}, {attribute("axis", 0)}}, {1, 1});
  EXPECT_EQ(infer("Flatten", 9, {f32(Dims{"N"s, 4, 1, 1})}).at(0).dims, (Dims{"N"s, 4}));
  EXPECT_EQ(infer("Flatten", 9, {f32(std::nullopt)}).at(0).rank(), 2);
  EXPECT_EQ(error_of([] {
              infer("Flatten", 13, {f32(Dims{2, 3})}, {attribute("axis", 3)});
            }).code(),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] {
              infer("Flatten", 13, {f32(Dims{2, 3})}, {attribute("axis", -3)});
            }).code(),
            ErrorCode::kInvalidModel);
}

TEST(Flatten, OfOnePixelInChannelsLastIsAView) {
  const auto result = run_laid_out({"Flatten", 13, {random_tensor({2, 6, 1, 1}, 6)}},
                                   {channels_last(DataType::kFloat32, {2, 6, 1, 1})});
  EXPECT_TRUE(result.is_view);
}

TEST(Squeeze, TakesAxesFromAttributeOrInput) {
  const Tensor input = random_tensor({1, 3, 1, 5}, 7);
  expect_reshaped({"Squeeze", 11, {input}, {ints("axes", {0, -2})}}, {3, 5});
  expect_reshaped({"Squeeze", 11, {input}}, {3, 5});
  expect_reshaped({"Squeeze", 13, {input, int64s({2})}}, {1, 3, 5});
  expect_reshaped({"Squeeze", 13, {input}}, {3, 5});
  const ir::Type symbolic = f32(Dims{1, "C"s, 1});
  EXPECT_EQ(infer("Squeeze", 11, {symbolic}, {ints("axes", {0})}).at(0).dims, (Dims{"C"s, 1}));
  EXPECT_EQ(infer("Squeeze", 11, {symbolic}, {ints("axes", {1})}).at(0).dims, (Dims{1, 1}));  // it has to be 1
  EXPECT_FALSE(infer("Squeeze", 11, {symbolic}).at(0).has_rank());
  EXPECT_FALSE(infer("Squeeze", 13, {symbolic, int64_type(std::nullopt)}).at(0).has_rank());
  for (const auto& axes : std::vector<std::vector<int64_t>>{{1}, {4}, {-5}, {0, 0}, {0, -4}})
    EXPECT_EQ(error_of([&] { run({"Squeeze", 11, {input}, {ints("axes", axes)}}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { run({"Squeeze", 11, {input, int64s({0})}}); }).code(), ErrorCode::kInvalidModel);
}

TEST(Unsqueeze, PutsOnesWhereTheOutputHasThem) {
  const Tensor input = random_tensor({3, 4, 5}, 8);
  expect_reshaped({"Unsqueeze", 11, {input}, {ints("axes", {0, 4})}}, {1, 3, 4, 5, 1});
  expect_reshaped({"Unsqueeze", 13, {input, int64s({-1, 1})}}, {3, 1, 4, 5, 1});
  EXPECT_EQ(infer("Unsqueeze", 11, {f32(Dims{"N"s, {}})}, {ints("axes", {1})}).at(0).rank(), 3);
  EXPECT_EQ(infer("Unsqueeze", 11, {f32(Dims{"N"s})}, {ints("axes", {1})}).at(0).dims, (Dims{"N"s, 1}));
  EXPECT_FALSE(infer("Unsqueeze", 13, {f32(Dims{2}), int64_type(std::nullopt)}).at(0).has_rank());
  for (const auto& axes : std::vector<std::vector<int64_t>>{{4}, {-5}, {0, 0}})
    EXPECT_EQ(error_of([&] {
                run({"Unsqueeze", 11, {input}, {ints("axes", axes)}});
              }).code(),
              ErrorCode::kInvalidModel)
        << to_string(axes);
  EXPECT_EQ(error_of([&] { run({"Unsqueeze", 11, {input}}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { run({"Unsqueeze", 13, {input}}); }).code(), ErrorCode::kInvalidModel);
}

TEST(Identity, PassesEveryLayoutOn) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 9);
  expect_reshaped({"Identity", 6, {input}}, {2, 3, 4, 5});
  const auto slice = run_laid_out({"Identity", 16, {input}}, {{DataType::kFloat32, {2, 3, 4, 5}, {140, 1, 35, 7}}});
  EXPECT_TRUE(slice.is_view);
  EXPECT_TRUE(identical(slice.outputs.at(0), input));
}

TEST(Dropout, PassesAtInferenceInEveryVersion) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 10);
  expect_reshaped({"Dropout", 6, {input}, {attribute("ratio", 0.3f)}}, {2, 3, 4, 5});
  expect_reshaped({"Dropout", 10, {input}, {attribute("ratio", 0.3f)}}, {2, 3, 4, 5});
  expect_reshaped({"Dropout", 13, {input, tensor<float>({}, {0.3f}), tensor<bool>({}, {false})}}, {2, 3, 4, 5});
  expect_reshaped({"Dropout", 13, {input, tensor<float>({}, {0.0f}), tensor<bool>({}, {true})}}, {2, 3, 4, 5});
  EXPECT_EQ(error_of([&] {
              run({"Dropout", 13, {input, {}, tensor<bool>({}, {true})}});
            }).code(),
            ErrorCode::kUnsupported);
}

TEST(Dropout, MasksKeepEverything) {
  const Tensor input = random_tensor({2, 3, 4, 5}, 11);
  for (const auto& outputs :
       {run({"Dropout", 10, {input}, {}, 2}), run_channels_last({"Dropout", 13, {input}, {}, 2})}) {
    EXPECT_TRUE(identical(outputs.at(0), input));
    EXPECT_EQ(to_int64s(outputs.at(1)), std::vector<int64_t>(120, 1));
    EXPECT_EQ(outputs.at(1).dtype(), DataType::kBool);
  }
  const auto old = run({"Dropout", 7, {input}, {}, 2});
  EXPECT_EQ(to_doubles(old.at(1)), std::vector<double>(120, 1.0));
}

}  // namespace
}  // namespace pli::test
