#include "tests/ops/elementwise_reference.h"

namespace pli::test {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBfloat16,
                               DataType::kInt8,    DataType::kInt16,   DataType::kInt32,   DataType::kInt64,
                               DataType::kUint8,   DataType::kUint16,  DataType::kUint32,  DataType::kUint64,
                               DataType::kBool};

NodeCase cast(const Tensor& x, DataType to) { return {"Cast", 13, {x}, {attribute("to", static_cast<int64_t>(to))}}; }

/// Whole numbers from 0 to 100, which every type holds exactly (bool: their truth).
Tensor small_numbers(DataType dtype, const Shape& shape) {
  const auto count = static_cast<size_t>(*checked_size(shape));
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<double>(i * 7 % 101);
  if (dtype == DataType::kBool) {
    std::vector<uint8_t> bytes(count);
    for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(values[i]);
    return bools(shape, std::move(bytes));
  }
  const Tensor exact = from_doubles(DataType::kFloat64, shape, values);
  return is_float(dtype) ? from_doubles(dtype, shape, values) : run(cast(exact, dtype))[0];
}

TEST(Cast, KeepsSmallNumbersBetweenAllTypes) {
  const Shape shape{2, 3, 5, 7};
  const std::vector<double> values = doubles(small_numbers(DataType::kFloat64, shape));
  for (const DataType from : kTypes) {
    for (const DataType to : kTypes) {
      SCOPED_TRACE(to_string(from) + " to " + to_string(to));
      std::vector<double> expected = values;
      if (from == DataType::kBool || to == DataType::kBool)
        for (double& value : expected) value = value != 0 ? 1 : 0;
      for (const Tensor& result :
           {run(cast(small_numbers(from, shape), to))[0], run_channels_last(cast(small_numbers(from, shape), to))[0]}) {
        ASSERT_EQ(result.dtype(), to);
        ASSERT_EQ(shape_of(result), shape);
        if (from == to) continue;
        EXPECT_EQ(doubles(result), expected);
      }
    }
  }
}

TEST(Cast, SaturatesFromFloatingPointToIntegers) {
  const std::vector<float> x{-kInfinity, -1e30f, -2147483648.0f, -300.7f, -1.5f,     -0.5f,
                             0.99f,      300.7f, 2147483648.0f,  1e30f,   kInfinity, kNaN};
  const auto to = [&]<class T>(std::vector<T> expected) {
    const auto count = static_cast<int64_t>(x.size());
    EXPECT_EQ(values_of<T>(cast(tensor<float>({count}, x), dtype_of<T>())), expected);
    const Tensor wide = from_doubles(DataType::kFloat64, {count}, std::vector<double>(x.begin(), x.end()));
    EXPECT_EQ(values_of<T>(cast(wide, dtype_of<T>())), expected);
  };
  to(std::vector<int8_t>{-128, -128, -128, -128, -1, 0, 0, 127, 127, 127, 127, 0});
  to(std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0});
  to(std::vector<int16_t>{-32768, -32768, -32768, -300, -1, 0, 0, 300, 32767, 32767, 32767, 0});
  to(std::vector<int32_t>{INT32_MIN, INT32_MIN, INT32_MIN, -300, -1, 0, 0, 300, INT32_MAX, INT32_MAX, INT32_MAX, 0});
  to(std::vector<uint32_t>{0, 0, 0, 0, 0, 0, 0, 300, 2147483648u, UINT32_MAX, UINT32_MAX, 0});
  to(std::vector<int64_t>{INT64_MIN, INT64_MIN, INT32_MIN, -300, -1, 0, 0, 300, 2147483648, INT64_MAX, INT64_MAX, 0});
  to(std::vector<uint64_t>{0, 0, 0, 0, 0, 0, 0, 300, 2147483648, UINT64_MAX, UINT64_MAX, 0});
  EXPECT_EQ(values_of<int32_t>(cast(tensor<double>({2}, {2147483647.5, -2147483648.9}), DataType::kInt32)),
            (std::vector<int32_t>{INT32_MAX, INT32_MIN}));
}

TEST(Cast, DropsTheUpperBitsOfIntegers) {
  EXPECT_EQ(values_of<int8_t>(cast(tensor<int64_t>({3}, {200, -129, INT64_MIN}), DataType::kInt8)),
            (std::vector<int8_t>{-56, 127, 0}));
  EXPECT_EQ(values_of<uint32_t>(cast(tensor<int32_t>({2}, {-1, 7}), DataType::kUint32)),
            (std::vector<uint32_t>{UINT32_MAX, 7}));
  EXPECT_EQ(values_of<int64_t>(cast(tensor<uint64_t>({1}, {UINT64_MAX}), DataType::kInt64)),
            (std::vector<int64_t>{-1}));
}

TEST(Cast, RoundsIntoNarrowFloats) {
  const auto x = tensor<float>({6}, {1.0f + 0x1p-11f, 1.0f + 0x1.8p-10f, 65519, 65520, kNaN, -kInfinity});
  const auto half = to_doubles(run(cast(x, DataType::kFloat16))[0]);
  EXPECT_EQ(half[0], 1.0);
  EXPECT_EQ(half[1], 1.0 + 0x1p-9);
  EXPECT_EQ(half[2], 65504.0);
  EXPECT_EQ(half[3], kInfinity);
  EXPECT_TRUE(std::isnan(half[4]));
  EXPECT_EQ(half[5], -kInfinity);
  const auto bf = to_doubles(run(cast(x, DataType::kBfloat16))[0]);
  EXPECT_EQ(bf[1], 1.0);
  EXPECT_EQ(bf[3], 65536.0);
  EXPECT_TRUE(std::isnan(bf[4]));
  EXPECT_EQ(values_of<float>(cast(tensor<double>({2}, {1e300, 0.1}), DataType::kFloat32)),
            (std::vector<float>{kInfinity, 0.1f}));
  EXPECT_EQ(values_of<float>(cast(tensor<int64_t>({1}, {16777217}), DataType::kFloat32)),
            (std::vector<float>{16777216}));
}

TEST(Cast, CallsEverythingButZeroTrue) {
  const Tensor result = run(cast(tensor<float>({5}, {0, -0.0f, 0.25f, kNaN, -3}), DataType::kBool))[0];
  EXPECT_EQ(doubles(result), (std::vector<double>{0, 0, 1, 1, 1}));
}

TEST(CastLike, TakesTheTypeOfItsSecondInput) {
  EXPECT_EQ(values_of<int32_t>({"CastLike", 15, {tensor<float>({2}, {1.9f, -1.9f}), tensor<int32_t>({1}, {0})}}),
            (std::vector<int32_t>{1, -1}));
  const auto x = ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("n"), 2});
  EXPECT_EQ(ir::to_string(infer("CastLike", 15, {x, ir::Type::tensor(DataType::kInt64)}).at(0)), "int64[n, 2]");
  EXPECT_EQ(infer("CastLike", 15, {x, ir::Type{}}).at(0).dtype, DataType::kUndefined);
  EXPECT_EQ(error_of([&] { infer("CastLike", 15, {x}); }).code(), ErrorCode::kInvalidModel);
}

TEST(Cast, RefusesWhatIsNoType) {
  const auto x = random_tensor({2}, 1);
  const auto code = [&](const std::vector<ir::Attribute>& attributes) {
    return error_of([&] { run({"Cast", 13, {x}, attributes}); }).code();
  };
  EXPECT_EQ(code({}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({attribute("to", 99)}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({attribute("to", int64_t{-1})}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({attribute("to", (int64_t{1} << 32) + 1)}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({attribute("to", "FLOAT")}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({attribute("to", static_cast<int64_t>(DataType::kString))}), ErrorCode::kUnsupported);
  EXPECT_EQ(code({attribute("to", static_cast<int64_t>(DataType::kInt4))}), ErrorCode::kUnsupported);
  EXPECT_EQ(code({attribute("to", static_cast<int64_t>(DataType::kFloat8E5M2))}), ErrorCode::kUnsupported);
}

TEST(Cast, NamesItsTargetBeforeOpset6) {
  const auto cast = [](const char* to) {
    return NodeCase{"Cast", 1, {tensor<float>({3}, {1.75f, -2.5f, 0})}, {attribute("to", to)}};
  };
  EXPECT_EQ(to_int64s(run(cast("INT64"))[0]), (std::vector<int64_t>{1, -2, 0}));
  EXPECT_EQ(run(cast("DOUBLE"))[0].dtype(), DataType::kFloat64);
  EXPECT_EQ(run(cast("FLOAT"))[0].dtype(), DataType::kFloat32);
  EXPECT_EQ(run(cast("BOOL"))[0].dtype(), DataType::kBool);
  for (const char* name : {"", "float", "FLOAT33", "int64"})
    EXPECT_EQ(error_of([&] { run(cast(name)); }).code(), ErrorCode::kInvalidModel) << name;
}

}  // namespace
}  // namespace pli::test
