#include "tests/ops/elementwise_reference.h"

#include "runtime/ops/quantization/quantization.h"

#include <cmath>

namespace pli::test {
namespace {

/// Integers of all of the type's range, of a short period.
template <class T>
Tensor integers(Shape shape) {
  Tensor made(dtype_of<T>(), std::move(shape));
  uint64_t state = 12345;
  for (T& value : made.mutable_data<T>()) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<T>(state >> 33);
  }
  return made;
}

/// What the standard says, element by element. `axis` < 0: by tensor. Positions along it share numbers by `block`.
std::vector<double> expected(const NodeCase& node, int64_t axis, int64_t block = 1) {
  const std::vector<double> x = doubles(*node.inputs[0]), scale = doubles(*node.inputs[1]);
  const std::vector<double> zero =
      node.inputs.size() > 2 ? doubles(*node.inputs[2]) : std::vector<double>(scale.size(), 0.0);
  const Shape dims = shape_of(*node.inputs[0]);
  std::vector<double> y;
  for (size_t i = 0; i < x.size(); ++i) {
    size_t at = 0;
    if (axis >= 0) {
      size_t rest = i, stride = 1;
      for (size_t d = dims.size(); d-- > 0;) {
        const auto size = static_cast<size_t>(dims[d]), position = rest % size;
        rest /= size;
        const bool along = static_cast<int64_t>(d) == axis;
        if (along) at += position / static_cast<size_t>(block) * stride;
        if (!along && block > 1) at += position * stride;
        if (along && block > 1)
          stride *= size / static_cast<size_t>(block);
        else if (block > 1)
          stride *= size;
      }
    }
    if (node.op_type == "DequantizeLinear") {
      y.push_back((x[i] - zero[at]) * scale[at]);
      continue;
    }
    const DataType to = node.inputs.size() > 2 ? node.inputs[2]->dtype() : DataType::kUint8;
    const bool has_sign = to == DataType::kInt8 || to == DataType::kInt16;
    const double range = std::pow(2.0, bit_width(to));
    const double low = has_sign ? -range / 2 : 0;
    const auto ratio = static_cast<double>(static_cast<float>(x[i]) / static_cast<float>(scale[at]));
    y.push_back(std::clamp(std::nearbyint(ratio) + zero[at], low, low + range - 1));
  }
  return y;
}

TEST(DequantizeLinear, OfEveryIntegerByTensorAndByAxis) {
  const auto of = [](const Tensor& x, const Tensor& zero, const Tensor& zeros) {
    SCOPED_TRACE(to_string(x.dtype()));
    const Shape shape = shape_of(x);
    const NodeCase plain{"DequantizeLinear", 10, {x, tensor<float>({}, {0.037f})}};
    expect_both(plain, shape, expected(plain, -1));
    const NodeCase by_tensor{"DequantizeLinear", 10, {x, tensor<float>({}, {0.5f}), zero}};
    expect_both(by_tensor, shape, expected(by_tensor, -1));
    const Tensor scales = random_tensor({5}, 3, 0.01f, 2);
    const NodeCase by_axis{"DequantizeLinear", 13, {x, scales, zeros}};
    expect_both(by_axis, shape, expected(by_axis, 1));
  };
  const Shape shape{2, 5, 3, 7};
  of(integers<int8_t>(shape), tensor<int8_t>({}, {-7}), tensor<int8_t>({5}, {1, -128, 127, 0, 9}));
  of(integers<uint8_t>(shape), tensor<uint8_t>({}, {131}), tensor<uint8_t>({5}, {1, 0, 255, 128, 9}));
  of(integers<int16_t>(shape), tensor<int16_t>({}, {-700}), tensor<int16_t>({5}, {1, -32768, 32767, 0, 9}));
  of(integers<uint16_t>(shape), tensor<uint16_t>({}, {131}), tensor<uint16_t>({5}, {1, 0, 65535, 128, 9}));
  of(integers<int32_t>(shape), tensor<int32_t>({}, {0}), tensor<int32_t>({5}, {1, -3, 100000, 0, 9}));
}

TEST(DequantizeLinear, TakesAxesFromTheEndAndBlocks) {
  const Tensor x = integers<int8_t>({3, 8, 5});
  const NodeCase last{"DequantizeLinear", 19, {x, random_tensor({5}, 1, 0.1f, 1)}, {attribute("axis", -1)}};
  expect_both(last, {3, 8, 5}, expected(last, 2));
  const NodeCase blocks{"DequantizeLinear",
                        21,
                        {x, random_tensor({3, 2, 5}, 2, 0.1f, 1), integers<int8_t>({3, 2, 5})},
                        {attribute("axis", 1), attribute("block_size", 4)}};
  expect_both(blocks, {3, 8, 5}, expected(blocks, 1, 4));
  const NodeCase uneven{"DequantizeLinear",
                        21,
                        {x, random_tensor({3, 3, 5}, 2, 0.1f, 1)},
                        {attribute("axis", 1), attribute("block_size", 3)}};
  EXPECT_EQ(error_of([&] { (void)run(uneven); }).code(), ErrorCode::kUnsupported);
}

TEST(DequantizeLinear, GivesTheTypeOfItsScale) {
  const Tensor x = integers<int8_t>({2, 3});
  for (const DataType dtype : {DataType::kFloat16, DataType::kBfloat16}) {
    const NodeCase node{"DequantizeLinear", 19, {x, from_doubles(dtype, {}, std::vector{0.25})}};
    const Tensor y = run(node)[0];
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_EQ(doubles(y), expected(node, -1)) << "a power of two rounds nothing";
  }
}

TEST(QuantizeLinear, RoundsToEvenAndSaturates) {
  const NodeCase node{"QuantizeLinear",
                      10,
                      {tensor<float>({8}, {-1000, -1.25f, -0.75f, 0.25f, 0.75f, 1.25f, 63.6f, kInfinity}),
                       tensor<float>({}, {0.5f}), tensor<int8_t>({}, {3})}};
  EXPECT_EQ(values_of<int8_t>(node), (std::vector<int8_t>{-128, 1, 1, 3, 5, 5, 127, 127}));
}

TEST(QuantizeLinear, ByTensorAndByAxisIntoEveryType) {
  const Tensor x = random_tensor({2, 5, 3, 7}, 7, -40, 40);
  const NodeCase plain{"QuantizeLinear", 13, {x, tensor<float>({1}, {0.3f})}};
  expect_both(plain, {2, 5, 3, 7}, expected(plain, -1));
  const auto into = [&](const Tensor& zeros) {
    SCOPED_TRACE(to_string(zeros.dtype()));
    const NodeCase node{"QuantizeLinear", 13, {x, random_tensor({5}, 3, 0.1f, 0.4f), zeros}};
    const Tensor y = run(node)[0];
    EXPECT_EQ(y.dtype(), zeros.dtype());
    expect_both(node, {2, 5, 3, 7}, expected(node, 1));
  };
  into(tensor<int8_t>({5}, {1, -128, 127, 0, 9}));
  into(tensor<uint8_t>({5}, {1, 0, 255, 128, 9}));
  into(tensor<int16_t>({5}, {1, -32768, 32767, 0, 9}));
  into(tensor<uint16_t>({5}, {1, 0, 65535, 128, 9}));
}

TEST(QuantizeLinear, TakesIntegersAndHalves) {
  const NodeCase whole{"QuantizeLinear", 10, {tensor<int32_t>({3}, {-9, 4, 7000}), tensor<float>({}, {2.0f})}};
  EXPECT_EQ(values_of<uint8_t>(whole), (std::vector<uint8_t>{0, 2, 255}));
  const std::vector<double> numbers{-2.5, 0.5, 100};
  const NodeCase half{"QuantizeLinear",
                      19,
                      {from_doubles(DataType::kFloat16, {3}, numbers),
                       from_doubles(DataType::kFloat16, {}, std::vector{0.5}), tensor<int8_t>({}, {0})}};
  EXPECT_EQ(doubles(run(half)[0]), (std::vector<double>{-5, 1, 127}));
}

TEST(QuantizeLinear, SaysItsTypeByAttribute) {
  const auto type_of = [](std::vector<ir::Type> inputs, int64_t output_dtype) {
    return infer("QuantizeLinear", 21, inputs, {attribute("output_dtype", output_dtype)})[0].dtype;
  };
  const ir::Type x = ir::Type::tensor(DataType::kFloat32, ir::Dims{2, 3}),
                 scale = ir::Type::tensor(DataType::kFloat32, ir::Dims{});
  EXPECT_EQ(type_of({x, scale}, static_cast<int64_t>(DataType::kInt16)), DataType::kInt16);
  EXPECT_EQ(type_of({x, scale}, 0), DataType::kUint8);
  EXPECT_EQ(error_of([&] {
              (void)type_of({x, scale, ir::Type::tensor(DataType::kInt8, ir::Dims{})},
                            static_cast<int64_t>(DataType::kInt16));
            }).code(),
            ErrorCode::kInvalidModel);
}

TEST(Quantization, RefusesOperandsThatDoNotFit) {
  const auto fails = [](const std::string& op, std::vector<ir::Type> inputs,
                        std::vector<ir::Attribute> attributes = {}) {
    return error_of([&] { (void)infer(op, 21, inputs, attributes); }).code() == ErrorCode::kInvalidModel;
  };
  const auto type = [](DataType dtype, ir::Dims dims) { return ir::Type::tensor(dtype, std::move(dims)); };
  const ir::Type x = type(DataType::kInt8, {2, 3, 4});
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {2})})) << "axis 1 has 3 positions";
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {3})}, {attribute("axis", 3)}));
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {3, 1})}));
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {3}), type(DataType::kInt8, {1})}));
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {}), type(DataType::kUint8, {})}));
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {2, 2, 4})}, {attribute("block_size", 3)}));
  EXPECT_TRUE(fails("DequantizeLinear", {x, type(DataType::kFloat32, {})}, {attribute("block_size", -1)}));
  EXPECT_TRUE(fails("QuantizeLinear", {type(DataType::kFloat32, {2, 3}), type(DataType::kFloat32, {4})}));
}

}  // namespace
}  // namespace pli::test
