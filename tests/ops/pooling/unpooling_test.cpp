#include "runtime/ops/pooling/unpooling.h"

#include "tests/ops/op_test.h"

namespace pli::ops {
namespace {

using test::error_of;
using test::expect_near;
using test::ints;
using test::NodeCase;
using test::random_tensor;
using test::tensor;

const std::vector<ir::Attribute> kTwoByTwo{ints("kernel_shape", {2, 2}), ints("strides", {2, 2})};

TEST(Unpooling, PutsWhatAPoolTookBackInItsPlace) {
  const Tensor x = random_tensor({2, 3, 6, 8}, 1);
  const auto pooled = test::run({"MaxPool", 12, {x}, kTwoByTwo, 2});
  const auto values = to_doubles(x);
  std::vector<double> expected(values.size(), 0);
  for (const int64_t i : to_int64s(pooled[1])) expected[static_cast<size_t>(i)] = values[static_cast<size_t>(i)];
  const NodeCase node{"MaxUnpool", 11, {pooled[0], pooled[1]}, kTwoByTwo};
  expect_near(test::run(node)[0], {2, 3, 6, 8}, expected, 0, 0);
  expect_near(test::run_channels_last(node)[0], {2, 3, 6, 8}, expected, 0, 0);
}

TEST(Unpooling, CountsIndicesInThePoolsShapeWhateverTheOutputs) {
  const Tensor x = tensor<float>({1, 1, 2, 2}, {5, 6, 7, 8});
  const Tensor indices = tensor<int64_t>({1, 1, 2, 2}, {5, 7, 13, 15});
  std::vector<double> expected(25, 0);
  expected[6] = 5;
  expected[8] = 6;
  expected[16] = 7;
  expected[18] = 8;
  const NodeCase node{"MaxUnpool", 9, {x, indices, int64_tensor(Shape{1, 1, 5, 5})}, kTwoByTwo};
  expect_near(test::run(node)[0], {1, 1, 5, 5}, expected, 0, 0);
}

TEST(Unpooling, InfersShapes) {
  using ir::Dim;
  using ir::Dims;
  using ir::Type;
  const Dim batch(std::string("batch"));
  const Type x = Type::tensor(DataType::kFloat32, Dims{batch, 3, 4, 5});
  const Type indices = Type::tensor(DataType::kInt64, Dims{batch, 3, 4, 5});
  const std::vector<ir::Attribute> padded{ints("kernel_shape", {3, 2}), ints("strides", {2, 1}),
                                          ints("pads", {1, 0, 1, 0})};
  EXPECT_EQ(test::infer("MaxUnpool", 11, {x, indices}, padded)[0],
            Type::tensor(DataType::kFloat32, Dims{batch, 3, 7, 6}));
  const Type shape = Type::tensor(DataType::kInt64, Dims{4});
  const Type unknown = test::infer("MaxUnpool", 11, {x, indices, shape}, kTwoByTwo)[0];
  EXPECT_EQ(unknown.rank(), 4);
  EXPECT_EQ((*unknown.dims)[1], Dim(3));
  EXPECT_FALSE((*unknown.dims)[2].known());
}

TEST(Unpooling, RefusesWhatDoesNotFit) {
  const Tensor x = random_tensor({1, 2, 3, 3}, 1);
  const Tensor indices(DataType::kInt64, {1, 2, 3, 3});
  const auto refused = [](const NodeCase& node, std::string_view why, ErrorCode code = ErrorCode::kInvalidModel) {
    const Error e = error_of([&] { test::run(node); });
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  };
  const auto with = [&](int64_t index) {
    Tensor result(DataType::kInt64, {1, 2, 3, 3});
    result.mutable_data<int64_t>()[4] = index;
    return result;
  };
  refused({"MaxUnpool", 11, {x, indices}}, "kernel_shape is missing");
  refused({"MaxUnpool", 11, {x, indices}, {ints("kernel_shape", {2})}}, "1 dimensions on an input of rank 4");
  refused({"MaxUnpool", 11, {x, indices}, {ints("kernel_shape", {2, 0})}}, "kernel_shape 0");
  refused({"MaxUnpool", 11, {x, indices}, {ints("kernel_shape", {2, 2}), ints("pads", {4, 0, 4, 0})}},
          "can't come from");
  refused({"MaxUnpool", 11, {x, x}, kTwoByTwo}, "indices are float32");
  refused({"MaxUnpool", 11, {x, Tensor(DataType::kInt64, {1, 2, 3, 4})}, kTwoByTwo}, "indices of shape");
  refused({"MaxUnpool", 11, {x, indices, int64_tensor(Shape{1, 2, 6})}, kTwoByTwo}, "3 elements");
  refused({"MaxUnpool", 11, {x, indices, int64_tensor(Shape{1, 3, 6, 6})}, kTwoByTwo}, "does not fit");
  refused({"MaxUnpool", 11, {x, indices, int64_tensor(Shape{1, 2, 6, -6})}, kTwoByTwo}, "does not fit");
  refused({"MaxUnpool", 11, {x, indices, random_tensor({4}, 1)}, kTwoByTwo}, "output_shape is float32");
  refused({"MaxUnpool", 11, {x, with(72)}, kTwoByTwo}, "index 72", ErrorCode::kInvalidArgument);
  refused({"MaxUnpool", 11, {x, with(-1)}, kTwoByTwo}, "index -1", ErrorCode::kInvalidArgument);
  refused({"MaxUnpool", 11, {x, with(35), int64_tensor(Shape{1, 2, 5, 5})}, kTwoByTwo}, "index 35",
          ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace pli::ops
