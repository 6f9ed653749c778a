#include "tests/ops/elementwise_reference.h"

namespace pli::test {
namespace {

struct Case {
  const char* op_type;
  int64_t opset;
  bool (*holds)(double, double);
};

const Case kComparisons[] = {
    {"Equal", 7, [](double a, double b) { return a == b; }},
    {"Less", 9, [](double a, double b) { return a < b; }},
    {"Greater", 13, [](double a, double b) { return a > b; }},
    {"LessOrEqual", 12, [](double a, double b) { return a <= b; }},
    {"GreaterOrEqual", 16, [](double a, double b) { return a >= b; }},
};

class Comparison : public testing::TestWithParam<Case> {};

template <class T>
void check(const Case& test, const Tensor& a, const Tensor& b, const Shape& shape) {
  const auto expected = reference(shape, {a, b}, [&](const auto& v) { return test.holds(v[0], v[1]) ? 1 : 0; });
  const NodeCase node{test.op_type, test.opset, {a, b}};
  EXPECT_EQ(run(node).at(0).dtype(), DataType::kBool);
  expect_both(node, shape, expected, 0, 0);
}

TEST_P(Comparison, MatchesTheDefinition) {
  const Shape shape{2, 3, 5, 7};
  for (const Shape& other : {shape, Shape{}, Shape{3, 1, 1}, Shape{2, 3, 1, 1}, Shape{7}}) {
    std::vector<float> few(static_cast<size_t>(*checked_size(other)));
    for (size_t i = 0; i < few.size(); ++i) few[i] = i % 5 == 4 ? kNaN : static_cast<float>(i % 5) - 1;
    std::vector<float> many(210);
    for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<float>(i * 7 % 4) - 1;
    check<float>(GetParam(), tensor<float>(shape, many), tensor<float>(other, few), shape);
  }
}

TEST_P(Comparison, TakesIntegers) {
  check<int64_t>(GetParam(), tensor<int64_t>({3}, {1, 2, 3}), tensor<int64_t>({3}, {2, 2, 2}), {3});
  check<uint8_t>(GetParam(), tensor<uint8_t>({3}, {0, 200, 255}), tensor<uint8_t>({1}, {200}), {3});
  check<int32_t>(GetParam(), tensor<int32_t>({3}, {INT32_MIN, 0, 7}), tensor<int32_t>({}, {0}), {3});
}

INSTANTIATE_TEST_SUITE_P(All, Comparison, testing::ValuesIn(kComparisons),
                         [](const auto& test) { return test.param.op_type; });

TEST(Equal, TakesEveryByteButZeroAsTrue) {
  const NodeCase node{"Equal", 13, {bools({4}, {0, 1, 2, 0}), bools({4}, {0, 2, 1, 1})}};
  EXPECT_EQ(doubles(run(node)[0]), (std::vector<double>{1, 1, 1, 0}));
}

TEST(Logical, MatchesTheTruthTables) {
  const Tensor a = bools({4}, {0, 0, 1, 2});
  const Tensor b = bools({4}, {0, 4, 0, 1});
  EXPECT_EQ(doubles(run({"And", 7, {a, b}})[0]), (std::vector<double>{0, 0, 0, 1}));
  EXPECT_EQ(doubles(run({"Or", 7, {a, b}})[0]), (std::vector<double>{0, 1, 1, 1}));
  EXPECT_EQ(doubles(run({"Xor", 7, {a, b}})[0]), (std::vector<double>{0, 1, 1, 0}));
  EXPECT_EQ(doubles(run({"And",
                         6,
                         {bools({2, 2}, {1, 1, 1, 0}), bools({2}, {0, 1})},
                         {attribute("broadcast", 1), attribute("axis", 0)}})[0]),
            (std::vector<double>{0, 0, 1, 0}));
  EXPECT_EQ(error_of([&] {
              run({"And", 7, {tensor<int32_t>({1}, {1}), tensor<int32_t>({1}, {1})}});
            }).code(),
            ErrorCode::kUnsupported);
}

TEST(Bitwise, MatchesTheOperators) {
  const auto a = tensor<uint8_t>({3}, {0b1100, 0xff, 7});
  const auto b = tensor<uint8_t>({3}, {0b1010, 0x0f, 0});
  EXPECT_EQ(values_of<uint8_t>({"BitwiseAnd", 18, {a, b}}), (std::vector<uint8_t>{0b1000, 0x0f, 0}));
  EXPECT_EQ(values_of<uint8_t>({"BitwiseOr", 18, {a, b}}), (std::vector<uint8_t>{0b1110, 0xff, 7}));
  EXPECT_EQ(values_of<uint8_t>({"BitwiseXor", 18, {a, b}}), (std::vector<uint8_t>{0b0110, 0xf0, 7}));
  EXPECT_EQ(values_of<int64_t>({"BitwiseAnd", 18, {tensor<int64_t>({2, 1}, {-1, 6}), tensor<int64_t>({2}, {5, -2})}}),
            (std::vector<int64_t>{5, -2, 4, 6}));
}

TEST(BitShift, GivesZeroFromTheWidthOn) {
  const auto shift = [](const char* direction, const auto& value, const auto& places) {
    return NodeCase{"BitShift", 11, {value, places}, {attribute("direction", direction)}};
  };
  const auto v8 = tensor<uint8_t>({5}, {1, 200, 3, 255, 255});
  const auto p8 = tensor<uint8_t>({5}, {3, 1, 7, 8, 255});
  EXPECT_EQ(values_of<uint8_t>(shift("LEFT", v8, p8)), (std::vector<uint8_t>{8, 144, 128, 0, 0}));
  EXPECT_EQ(values_of<uint8_t>(shift("RIGHT", v8, p8)), (std::vector<uint8_t>{0, 100, 0, 0, 0}));
  const auto v64 = tensor<uint64_t>({3}, {1, UINT64_MAX, UINT64_MAX});
  const auto p64 = tensor<uint64_t>({3}, {63, 64, 1});
  EXPECT_EQ(values_of<uint64_t>(shift("LEFT", v64, p64)),
            (std::vector<uint64_t>{uint64_t{1} << 63, 0, UINT64_MAX - 1}));
  EXPECT_EQ(values_of<uint64_t>(shift("RIGHT", v64, p64)), (std::vector<uint64_t>{0, 0, UINT64_MAX / 2}));
  EXPECT_EQ(error_of([&] { run(shift("UP", v8, p8)); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { run({"BitShift", 11, {v8, p8}}); }).code(), ErrorCode::kInvalidModel);
}

TEST(BitShift, RepeatsTheSignSinceOpset28) {
  const auto shift = [](const char* direction, const std::vector<int8_t>& values, const std::vector<int8_t>& places,
                        int64_t opset = 28) {
    const auto count = static_cast<int64_t>(values.size());
    return NodeCase{"BitShift",
                    opset,
                    {tensor<int8_t>({count}, values), tensor<int8_t>({count}, places)},
                    {attribute("direction", direction)}};
  };
  EXPECT_EQ(values_of<int8_t>(shift("RIGHT", {-7, 7, -128, -1, 9}, {1, 1, 7, 8, -1})),
            (std::vector<int8_t>{-4, 3, -1, -1, 0}));
  EXPECT_EQ(values_of<int8_t>(shift("LEFT", {-7, 3, 65, -1, -9}, {1, 2, 1, 8, -1})),
            (std::vector<int8_t>{-14, 12, -126, 0, 0}));
  EXPECT_EQ(error_of([&] { run(shift("LEFT", {1}, {1}, 27)); }).code(), ErrorCode::kUnsupported);
}

TEST(Where, ChoosesAmongStretchedOperands) {
  const Shape shape{2, 3, 5, 7};
  std::vector<uint8_t> bytes(210);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 5 % 3);
  const auto exact = [](const std::vector<double>& v) { return v[0] != 0 ? v[1] : v[2]; };
  const auto condition = [&](const Shape& dims) {
    return bools(dims, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*checked_size(dims))});
  };
  const Shape shapes[][3] = {{shape, shape, shape},
                             {shape, {}, {}},
                             {{3, 1, 1}, shape, {2, 3, 1, 1}},
                             {{2, 1, 5, 1}, {3, 1, 1}, {7}},
                             {{}, shape, {1, 1, 1, 7}},
                             {shape, shape, {}},
                             {shape, {}, shape}};
  for (const auto& [c, x, y] : shapes) {
    const Tensor yes = random_tensor(x, 61);
    const Tensor no = random_tensor(y, 62);
    const auto expected = reference(shape, {condition(c), yes, no}, exact);
    expect_both({"Where", 16, {condition(c), yes, no}}, shape, expected, 0, 0);
  }
}

TEST(Where, MovesEveryElementType) {
  const Tensor c = bools({2}, {1, 0});
  EXPECT_EQ(values_of<int64_t>({"Where", 9, {c, tensor<int64_t>({2}, {1, 2}), tensor<int64_t>({2}, {3, 4})}}),
            (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(values_of<uint8_t>({"Where", 9, {c, tensor<uint8_t>({2}, {1, 2}), tensor<uint8_t>({}, {9})}}),
            (std::vector<uint8_t>{1, 9}));
  EXPECT_EQ(doubles(run({"Where", 9, {c, bools({2}, {1, 1}), bools({2}, {0, 0})}})[0]), (std::vector<double>{1, 0}));
  const std::vector<double> ones{1, 2}, twos{3, 4};
  EXPECT_EQ(
      doubles(run({"Where",
                   9,
                   {c, from_doubles(DataType::kFloat16, {2}, ones), from_doubles(DataType::kFloat16, {2}, twos)}})[0]),
      (std::vector<double>{1, 4}));
}

TEST(Where, RefusesWhatDoesNotFit) {
  const auto type = [](DataType dtype, ir::Dims dims) { return ir::Type::tensor(dtype, std::move(dims)); };
  const auto b = type(DataType::kBool, {2, 1});
  const auto f = type(DataType::kFloat32, {3});
  EXPECT_EQ(ir::to_string(infer("Where", 16, {b, f, type(DataType::kUndefined, {ir::Dim("n"), 1, 1})}).at(0)),
            "float32[n, 2, 3]");
  const auto code = [](const std::vector<ir::Type>& types) {
    return error_of([&] { infer("Where", 16, types); }).code();
  };
  EXPECT_EQ(code({f, f, f}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({b, f, type(DataType::kInt32, {3})}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({b, f, type(DataType::kFloat32, {4})}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({b, f}), ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace pli::test
