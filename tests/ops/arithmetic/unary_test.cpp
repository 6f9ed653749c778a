#include "tests/ops/elementwise_reference.h"

namespace pli::test {
namespace {

struct Case {
  const char* op_type;
  int64_t opset;
  float low, high;
  double (*exact)(double);
};

double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double reciprocal(double x) { return 1 / x; }
double negated(double x) { return -x; }

const Case kCases[] = {
    {"Abs", 6, -3, 3, std::fabs},
    {"Neg", 6, -3, 3, negated},
    {"Sign", 9, -1, 1, sign},
    {"Reciprocal", 6, 0.1f, 3, reciprocal},
    {"Ceil", 6, -5, 5, std::ceil},
    {"Floor", 13, -5, 5, std::floor},
    {"Round", 11, -5, 5, std::nearbyint},
    {"Sqrt", 13, 0, 9, std::sqrt},
    {"Exp", 6, -20, 20, std::exp},
    {"Log", 13, 0, 100, std::log},
    {"Erf", 9, -4, 4, std::erf},
    {"Tanh", 6, -10, 10, std::tanh},
    {"Sin", 7, -9, 9, std::sin},
    {"Cos", 7, -9, 9, std::cos},
    {"Tan", 7, -1.5f, 1.5f, std::tan},
    {"Asin", 7, -1, 1, std::asin},
    {"Acos", 7, -1, 1, std::acos},
    {"Atan", 7, -9, 9, std::atan},
    {"Sinh", 9, -5, 5, std::sinh},
    {"Cosh", 9, -5, 5, std::cosh},
    {"Asinh", 9, -9, 9, std::asinh},
    {"Acosh", 9, 1, 9, std::acosh},
    {"Atanh", 9, -0.99f, 0.99f, std::atanh},
};

class Unary : public testing::TestWithParam<Case> {};

TEST_P(Unary, MatchesTheFunctionInDouble) {
  const Case& test = GetParam();
  for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{7}, Shape{2, 3, 5, 7}, Shape{1, 19, 41, 43}}) {
    const Tensor x = random_tensor(shape, 3, test.low, test.high);
    const auto expected = reference(shape, {x}, [&](const auto& v) { return test.exact(v[0]); });
    expect_both({test.op_type, test.opset, {x}}, shape, expected, 1e-6, 2e-7);
    const Tensor wide = from_doubles(DataType::kFloat64, shape, to_doubles(x));
    expect_both({test.op_type, test.opset, {wide}}, shape, expected, 1e-14, 1e-15);
  }
}

TEST_P(Unary, KeepsNaN) {
  const Tensor x = tensor<float>({5}, std::vector<float>(5, kNaN));
  for (const float value : values_of<float>({GetParam().op_type, GetParam().opset, {x}}))
    EXPECT_TRUE(std::isnan(value));
}

TEST_P(Unary, KeepsTypeAndSymbols) {
  const ir::Type type = ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("batch"), ir::Dim(3), ir::Dim()});
  const auto inferred = infer(GetParam().op_type, GetParam().opset, {type}).at(0);
  EXPECT_EQ(ir::to_string(inferred), ir::to_string(type));
}

INSTANTIATE_TEST_SUITE_P(All, Unary, testing::ValuesIn(kCases), [](const auto& test) { return test.param.op_type; });

TEST(UnaryIntegers, WrapAtTheLeastNumber) {
  const auto x8 = tensor<int8_t>({4}, {-128, -5, 0, 127});
  EXPECT_EQ(values_of<int8_t>({"Abs", 13, {x8}}), (std::vector<int8_t>{-128, 5, 0, 127}));
  EXPECT_EQ(values_of<int8_t>({"Neg", 13, {x8}}), (std::vector<int8_t>{-128, 5, 0, -127}));
  EXPECT_EQ(values_of<int8_t>({"Sign", 13, {x8}}), (std::vector<int8_t>{-1, -1, 0, 1}));
  const auto x64 = tensor<int64_t>({3}, {INT64_MIN, -7, 9});
  EXPECT_EQ(values_of<int64_t>({"Abs", 13, {x64}}), (std::vector<int64_t>{INT64_MIN, 7, 9}));
  EXPECT_EQ(values_of<int64_t>({"Neg", 13, {x64}}), (std::vector<int64_t>{INT64_MIN, 7, -9}));
  const auto u = tensor<uint32_t>({3}, {0, 7, UINT32_MAX});
  EXPECT_EQ(values_of<uint32_t>({"Abs", 13, {u}}), (std::vector<uint32_t>{0, 7, UINT32_MAX}));
  EXPECT_EQ(values_of<uint32_t>({"Sign", 13, {u}}), (std::vector<uint32_t>{0, 1, 1}));
}

TEST(UnaryIntegers, BitwiseNotFlipsEveryBit) {
  EXPECT_EQ(values_of<uint8_t>({"BitwiseNot", 18, {tensor<uint8_t>({3}, {0, 1, 200})}}),
            (std::vector<uint8_t>{255, 254, 55}));
  EXPECT_EQ(values_of<int64_t>({"BitwiseNot", 18, {tensor<int64_t>({2}, {0, 41})}}), (std::vector<int64_t>{-1, -42}));
}

TEST(UnaryPredicates, SeeNaNAndInfinities) {
  const auto x = tensor<float>({5}, {1, kNaN, kInfinity, -kInfinity, 0});
  EXPECT_EQ(doubles(run({"IsNaN", 13, {x}})[0]), (std::vector<double>{0, 1, 0, 0, 0}));
  EXPECT_EQ(doubles(run({"IsInf", 10, {x}})[0]), (std::vector<double>{0, 0, 1, 1, 0}));
  EXPECT_EQ(doubles(run({"IsInf", 10, {x}, {attribute("detect_negative", 0)}})[0]),
            (std::vector<double>{0, 0, 1, 0, 0}));
  EXPECT_EQ(doubles(run({"IsInf", 20, {x}, {attribute("detect_positive", 0)}})[0]),
            (std::vector<double>{0, 0, 0, 1, 0}));
  EXPECT_EQ(infer("IsNaN", 13, {ir::Type::tensor(DataType::kFloat32, ir::Dims{2})}).at(0).dtype, DataType::kBool);
}

TEST(UnaryPredicates, NotTakesEveryByteButZeroAsTrue) {
  const Tensor result = run({"Not", 13, {bools({2, 2}, {0, 1, 2, 255})}})[0];
  EXPECT_EQ(result.dtype(), DataType::kBool);
  EXPECT_EQ(doubles(result), (std::vector<double>{1, 0, 0, 0}));
}

TEST(UnaryRound, GoesToTheEvenNeighbour) {
  const auto x = tensor<float>({6}, {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f});
  EXPECT_EQ(values_of<float>({"Round", 11, {x}}), (std::vector<float>{-2, -2, 0, 0, 2, 2}));
}

TEST(UnaryErrors, SayWhatIsWrong) {
  const ir::Type type = ir::Type::tensor(DataType::kFloat32, ir::Dims{2});
  EXPECT_EQ(error_of([&] { infer("Exp", 13, {}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Exp", 13, {type, type}); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Exp", 13, {type}, {}, {}, 2); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer("Exp", 13, {type}, {}, {}, 0); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([] { run({"Exp", 13, {tensor<int32_t>({1}, {1})}}); }).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of([] { run({"Round", 10, {random_tensor({2}, 1)}}); }).code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pli::test
