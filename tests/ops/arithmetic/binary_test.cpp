#include "runtime/ops/activation/activation.h"
#include "tests/ops/elementwise_reference.h"

namespace pli::test {
namespace {

using Kind = ops::Activation::Kind;
using Function = std::function<double(const std::vector<double>&)>;

struct Shapes {
  Shape a, b, result;
};

/// Every way in which two operands meet: alike, a scalar, a vector along each dimension, per image and channel, both
/// stretched.
const std::vector<Shapes> kShapes{
    {{2, 3, 5, 7}, {2, 3, 5, 7}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {}, {2, 3, 5, 7}},
    {{}, {2, 3, 5, 7}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {3, 1, 1}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {7}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {2, 3, 1, 1}, {2, 3, 5, 7}},
    {{2, 3, 1, 1}, {2, 3, 5, 7}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {1, 3, 5, 7}, {2, 3, 5, 7}},
    {{2, 3, 5, 7}, {2, 1, 5, 1}, {2, 3, 5, 7}},
    {{3, 1, 7}, {2, 1, 5, 1}, {2, 3, 5, 7}},
    {{4}, {3, 1}, {3, 4}},
    {{0, 3}, {3}, {0, 3}},
    {{}, {}, {}},
    {{2, 3, 4, 1, 2, 1, 3}, {1, 4, 2, 2, 5, 1}, {2, 3, 4, 2, 2, 5, 3}},
};

struct Case {
  const char* op_type;
  int64_t opset;
  Function exact;
  float low = -3;
};

double mean(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

const std::vector<Case> kCases{
    {"Add", 7, [](const auto& v) { return v[0] + v[1]; }},
    {"Sub", 14, [](const auto& v) { return v[0] - v[1]; }},
    {"Mul", 13, [](const auto& v) { return v[0] * v[1]; }},
    {"Div", 7, [](const auto& v) { return v[0] / v[1]; }},
    {"Pow", 13, [](const auto& v) { return std::pow(v[0], v[1]); }, 0},
    {"Max", 8, [](const auto& v) { return std::ranges::max(v); }},
    {"Min", 13, [](const auto& v) { return std::ranges::min(v); }},
    {"Sum", 8, [](const auto& v) { return mean(v) * static_cast<double>(v.size()); }},
    {"Mean", 13, mean},
};

class Binary : public testing::TestWithParam<Case> {};

TEST_P(Binary, MatchesTheFunctionInDouble) {
  const Case& test = GetParam();
  for (const Shapes& shapes : kShapes) {
    SCOPED_TRACE(to_string(shapes.a) + " and " + to_string(shapes.b));
    const Tensor a = random_tensor(shapes.a, 21, test.low, 3);
    const Tensor b = random_tensor(shapes.b, 22, test.low, 3);
    const auto expected = reference(shapes.result, {a, b}, test.exact);
    expect_both({test.op_type, test.opset, {a, b}}, shapes.result, expected, 1e-6, 1e-6);
    const auto wide = [](const Tensor& x) { return from_doubles(DataType::kFloat64, shape_of(x), to_doubles(x)); };
    expect_both({test.op_type, test.opset, {wide(a), wide(b)}}, shapes.result, expected, 1e-14, 1e-14);
  }
}

TEST_P(Binary, WorksOnManyTilesAndThreads) {
  const Case& test = GetParam();
  const Shape shape{2, 19, 47, 45};
  const Tensor a = random_tensor(shape, 23, test.low, 3);
  for (const Shape& other : {shape, Shape{2, 19, 1, 1}, Shape{19, 1, 1}}) {
    const Tensor b = random_tensor(other, 24, test.low, 3);
    expect_both({test.op_type, test.opset, {a, b}}, shape, reference(shape, {a, b}, test.exact), 1e-6, 1e-6);
  }
}

TEST_P(Binary, InfersStretchedDimensions) {
  const auto type = [](ir::Dims dims) { return ir::Type::tensor(DataType::kFloat32, std::move(dims)); };
  const auto inferred = [&](const ir::Type& a, const ir::Type& b) {
    return ir::to_string(infer(GetParam().op_type, GetParam().opset, {a, b}).at(0));
  };
  EXPECT_EQ(inferred(type({ir::Dim("n"), 3, 1}), type({4})), "float32[n, 3, 4]");
  EXPECT_EQ(inferred(type({ir::Dim("n"), 1}), type({ir::Dim("n"), ir::Dim("m")})), "float32[n, m]");
  EXPECT_EQ(inferred(type({ir::Dim("n")}), type({5})), "float32[5]");
  EXPECT_EQ(inferred(type({ir::Dim("n")}), type({ir::Dim("m")})), "float32[?]");
  EXPECT_FALSE(
      infer(GetParam().op_type, GetParam().opset, {type({2}), ir::Type::tensor(DataType::kFloat32)}).at(0).dims);
  EXPECT_EQ(error_of([&] { inferred(type({2, 3}), type({4})); }).code(), ErrorCode::kInvalidModel);
}

INSTANTIATE_TEST_SUITE_P(All, Binary, testing::ValuesIn(kCases), [](const auto& test) { return test.param.op_type; });

TEST(BinaryErrors, SayWhatIsWrong) {
  const ir::Type f = ir::Type::tensor(DataType::kFloat32, ir::Dims{2});
  const ir::Type i = ir::Type::tensor(DataType::kInt64, ir::Dims{2});
  const auto code = [](const char* op, const std::vector<ir::Type>& inputs,
                       const std::vector<ir::Attribute>& attributes = {}, size_t outputs = 1) {
    return error_of([&] { infer(op, 13, inputs, attributes, {}, outputs); }).code();
  };
  for (const char* op : {"Add", "Max", "Mod", "Equal"}) EXPECT_EQ(code(op, {f, i}), ErrorCode::kInvalidModel) << op;
  for (const char* op : {"Add", "Pow", "Less", "And"}) {
    EXPECT_EQ(code(op, {f}), ErrorCode::kInvalidModel) << op;
    EXPECT_EQ(code(op, {f, f, f}), ErrorCode::kInvalidModel) << op;
    EXPECT_EQ(code(op, {f, f}, {}, 2), ErrorCode::kInvalidModel) << op;
  }
  EXPECT_EQ(code("Sum", {}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code("Mod", {f, f}), ErrorCode::kInvalidModel);  // floats need fmod
  EXPECT_EQ(error_of([] { run({"Sum", 13, {tensor<int32_t>({1}, {1})}}); }).code(), ErrorCode::kUnsupported);
}

// --- integers --------------------------------------------------------------------------------------------------------

template <class T>
std::vector<T> binary(const char* op, const std::vector<T>& a, const std::vector<T>& b,
                      std::vector<ir::Attribute> attributes = {}) {
  const auto count = static_cast<int64_t>(a.size());
  return values_of<T>({op, 14, {tensor<T>({count}, a), tensor<T>({count}, b)}, std::move(attributes)});
}

TEST(BinaryIntegers, WrapAround) {
  EXPECT_EQ(binary<int32_t>("Add", {INT32_MAX, 5}, {1, -7}), (std::vector<int32_t>{INT32_MIN, -2}));
  EXPECT_EQ(binary<int64_t>("Sub", {INT64_MIN, 5}, {1, 7}), (std::vector<int64_t>{INT64_MAX, -2}));
  EXPECT_EQ(binary<int64_t>("Mul", {INT64_MIN, 5}, {-1, -7}), (std::vector<int64_t>{INT64_MIN, -35}));
  EXPECT_EQ(binary<uint16_t>("Mul", {65535, 300}, {65535, 300}), (std::vector<uint16_t>{1, 24464}));
  EXPECT_EQ(binary<uint8_t>("Add", {250}, {10}), (std::vector<uint8_t>{4}));
}

TEST(BinaryIntegers, DivideWithoutTraps) {
  EXPECT_EQ(binary<int32_t>("Div", {7, -7, 7, INT32_MIN, 5}, {2, 2, -2, -1, 0}),
            (std::vector<int32_t>{3, -3, -3, INT32_MIN, 0}));
  EXPECT_EQ(binary<int64_t>("Div", {INT64_MIN, 0}, {-1, 0}), (std::vector<int64_t>{INT64_MIN, 0}));
  EXPECT_EQ(binary<int8_t>("Div", {-128, 9}, {-1, -4}), (std::vector<int8_t>{-128, -2}));
  EXPECT_EQ(binary<uint64_t>("Div", {UINT64_MAX, 3}, {2, 0}), (std::vector<uint64_t>{UINT64_MAX / 2, 0}));
}

TEST(BinaryIntegers, TakeRemainders) {
  const std::vector<int32_t> a{7, -7, 7, -7, INT32_MIN, 5, 6};
  const std::vector<int32_t> b{3, 3, -3, -3, -1, 0, 3};
  EXPECT_EQ(binary<int32_t>("Mod", a, b), (std::vector<int32_t>{1, 2, -2, -1, 0, 0, 0}));
  EXPECT_EQ(binary<int32_t>("Mod", a, b, {attribute("fmod", 1)}), (std::vector<int32_t>{1, -1, 1, -1, 0, 0, 0}));
  EXPECT_EQ(binary<uint8_t>("Mod", {250, 3}, {7, 0}), (std::vector<uint8_t>{5, 0}));
  EXPECT_EQ(binary<int8_t>("Mod", {-128, -100}, {-1, 127}), (std::vector<int8_t>{0, 27}));
  EXPECT_EQ(binary<float>("Mod", {-4.3f, 7.2f}, {2.1f, -3.0f}, {attribute("fmod", 1)}),
            (std::vector<float>{std::fmod(-4.3f, 2.1f), std::fmod(7.2f, -3.0f)}));
}

TEST(Mod, OfFloatsHasTheSignOfTheDivisorSinceOpset28) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> a{-4.5f, 4.5f, 7.0f, -7.0f, 6.0f, -6.0f, 0.0f, 3.0f, -3.0f, kInf, 1.0f, NAN};
  const std::vector<float> b{2.0f, -2.0f, 3.0f, -3.0f, -2.0f, 2.0f, -5.0f, kInf, kInf, 2.0f, 0.0f, 1.0f};
  const auto result = values_of<float>({"Mod", 28, {tensor<float>({12}, a), tensor<float>({12}, b)}});
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    double expected = x - std::floor(x / y) * y;
    if (std::isinf(y) && std::isfinite(x)) expected = (x < 0) == (y < 0) ? x : y;
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(result[i])) << i;
      continue;
    }
    EXPECT_EQ(result[i], static_cast<float>(expected)) << i;
    EXPECT_EQ(std::signbit(result[i]), std::signbit(b[i])) << i;
  }
}

TEST(BinaryIntegers, HaveAMaximum) {
  const auto of = [](const char* op) {
    return values_of<int64_t>(
        {op,
         12,
         {tensor<int64_t>({2, 1}, {INT64_MIN, 5}), tensor<int64_t>({2}, {3, INT64_MAX}), tensor<int64_t>({}, {4})}});
  };
  EXPECT_EQ(of("Max"), (std::vector<int64_t>{4, INT64_MAX, 5, INT64_MAX}));
  EXPECT_EQ(of("Min"), (std::vector<int64_t>{INT64_MIN, INT64_MIN, 3, 4}));
}

// --- special cases ---------------------------------------------------------------------------------------------------

TEST(MaxMin, KeepNaNOfEitherSide) {
  for (const char* op : {"Max", "Min"})
    for (const float value : binary<float>(op, {kNaN, 1, kNaN}, {1, kNaN, kNaN})) EXPECT_TRUE(std::isnan(value)) << op;
}

TEST(Variadic, TakesAnyNumberOfOperands) {
  const Shape shape{2, 3, 5, 7};
  const std::vector<Tensor> operands{random_tensor({3, 1, 1}, 31), random_tensor({2, 1, 1, 7}, 32),
                                     random_tensor(shape, 33), random_tensor({}, 34), random_tensor({1, 3, 5, 1}, 35)};
  for (const Case& test : kCases) {
    const std::string op = test.op_type;
    if (op != "Max" && op != "Min" && op != "Sum" && op != "Mean") continue;
    for (const auto& chosen : {operands, std::vector(operands.begin() + 2, operands.begin() + 3)}) {
      NodeCase node{op, 13, {}};
      for (const Tensor& operand : chosen) node.inputs.emplace_back(operand);
      expect_both(node, shape, reference(shape, chosen, test.exact));
    }
  }
}

TEST(Pow, TakesExponentsOfOtherTypes) {
  const auto base = tensor<float>({4}, {-2, 3, 0.5f, -1.5f});
  const std::vector<double> cubes{-8, 27, 0.125, -3.375};
  expect_both({"Pow", 12, {base, tensor<int64_t>({}, {3})}}, {4}, cubes);
  expect_both({"Pow", 12, {base, tensor<uint8_t>({1}, {3})}}, {4}, cubes);
  expect_both({"Pow", 15, {base, tensor<double>({4}, {3, 3, 3, 3})}}, {4}, cubes);
  expect_both({"Pow", 15, {tensor<double>({2}, {2, 9}), tensor<float>({2}, {-1, 0.5f})}}, {2}, {0.5, 3});
  EXPECT_EQ(values_of<int32_t>({"Pow", 15, {tensor<int32_t>({3}, {4, 9, 2}), tensor<float>({3}, {0.5f, 1.5f, 99})}}),
            (std::vector<int32_t>{2, 27, INT32_MAX}));
  EXPECT_EQ(values_of<int64_t>({"Pow", 13, {tensor<int64_t>({2, 1}, {-3, 2}), tensor<int32_t>({2}, {3, 0})}}),
            (std::vector<int64_t>{-27, 1, 8, 1}));
}

TEST(Pow, OfIntegersIsDefinedEverywhere) {
  const std::vector<int64_t> base{2, 1, -1, -1, 0, 0, 3, 2, -2};
  const std::vector<int64_t> exponent{-1, -5, -4, -3, -2, 0, 40, 64, 63};
  const std::vector<int64_t> expected{0, 1, 1, -1, 0, 1, -6289078614652622815, 0, INT64_MIN};
  EXPECT_EQ(binary<int64_t>("Pow", base, exponent), expected);
}

TEST(Pow, SpecialExponentsMatchTheGeneralOne) {
  const std::vector<float> x{0, -0.0f, 1.5f, -1.5f, kInfinity, -kInfinity, kNaN, 1e-30f};
  for (const float exponent : {2.0f, 0.5f}) {
    std::vector<double> expected;
    for (const float value : x) expected.push_back(std::pow(value, exponent));
    const Tensor base = tensor<float>({8}, x);
    expect_near(run({"Pow", 13, {base, tensor<float>({1, 1}, {exponent})}})[0], {1, 8}, expected);
    const Tensor root = run({"Pow", 13, {base, tensor<float>({}, {exponent})}})[0];
    EXPECT_FALSE(std::signbit(root.data<float>()[1])) << "of a power of -0";
  }
}

TEST(LegacyBroadcast, AlignsAtTheAxis) {
  const Shape shape{2, 3, 5, 7};
  const Tensor a = random_tensor(shape, 41);
  const auto exact = [](const std::vector<double>& v) { return v[0] - v[1]; };
  const auto check = [&](const Shape& own, const Shape& meant, std::vector<ir::Attribute> attributes) {
    SCOPED_TRACE(to_string(own));
    const Tensor b = random_tensor(own, 42);
    attributes.push_back(attribute("broadcast", 1));
    expect_both({"Sub", 6, {a, b}, attributes}, shape, reference(shape, {a, b.reshaped(meant)}, exact));
  };
  check({3}, {3, 1, 1}, {attribute("axis", 1)});
  check({3, 5}, {3, 5, 1}, {attribute("axis", 1)});
  check({3, 5}, {3, 5, 1}, {attribute("axis", -3)});
  check({2}, {2, 1, 1, 1}, {attribute("axis", 0)});
  check({7}, {7}, {});
  check({5, 7}, {5, 7}, {});
  check({}, {}, {});
  expect_both({"Sub", 6, {a, a}}, shape, std::vector<double>(210, 0));
}

TEST(LegacyBroadcast, RefusesWhatDoesNotFit) {
  const auto code = [](ir::Dims a, ir::Dims b, const std::vector<ir::Attribute>& attributes) {
    const auto type = [](const ir::Dims& dims) { return ir::Type::tensor(DataType::kFloat32, dims); };
    return error_of([&] { infer("Add", 6, {type(a), type(b)}, attributes); }).code();
  };
  const auto on = attribute("broadcast", 1);
  EXPECT_EQ(code({2, 3, 5}, {5}, {}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({2, 3, 5}, {3}, {on}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({2, 3, 5}, {3, 5}, {on, attribute("axis", 2)}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({2, 3, 5}, {3}, {on, attribute("axis", 3)}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({5}, {3, 5}, {on}), ErrorCode::kInvalidModel);
}

// --- activations in the same loop ------------------------------------------------------------------------------------

/// op(a, b) and then the activations, row-major or channels-last, through the operator's kernel.
Tensor run_fused(const char* op_type, const Tensor& a, const Tensor& b, const std::vector<ops::Activation>& activations,
                 bool channels_last) {
  ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 13}}));
  const ir::NodeId id = graph.add_node(
      {op_type, "", "", {graph.add_initializer("a", a), graph.add_initializer("b", b)}, {{"y", {}, {}}}, {}, {}});
  const ops::Operator& op = *ops::find_operator(graph, graph.node(id));
  EXPECT_TRUE(op.epilogues & ops::kTakesActivation);
  const auto desc = [&](const Tensor& t) { return compute::plain(t.dtype(), shape_of(t)); };
  const Limits limits;
  ops::PrepareContext context{graph, graph.node(id), limits, 13, {desc(a), desc(b)}, {nullptr, nullptr}, {desc(a)}, {},
                              2};
  for (const auto& activation : activations)
    context.epilogues.push_back({ops::Epilogue::Kind::kActivation, activation, 0});
  // The same memory read as (N, C, H, W) channels-last of permuted dimensions: the elements stay where they are.
  if (channels_last)
    for (auto* operand : {&context.inputs[0], &context.inputs[1], &context.outputs[0]})
      if (operand->rank() == 4) {
        const Shape d = operand->dims;
        *operand = compute::channels_last(operand->dtype, {d[0], d[3], d[1], d[2]});
      }
  const auto kernel = op.prepare(context);
  Tensor result(DataType::kFloat32, shape_of(a));
  const std::array<const void*, 2> in{a.bytes().data(), b.bytes().data()};
  const std::array<void*, 1> out{result.mutable_raw()};
  kernel->run({in, out, nullptr, nullptr});
  return result;
}

TEST(FusedActivations, ApplyToTheResult) {
  const Shape shape{2, 31, 37, 23};
  const Tensor a = random_tensor(shape, 51, -4, 4);
  const ops::Activation relu{Kind::kRelu};
  const ops::Activation clip{Kind::kClip, -1, 2};
  const ops::Activation leaky{Kind::kLeakyRelu, 0.1f};
  const ops::Activation sigmoid{Kind::kSigmoid};
  const ops::Activation linear{Kind::kLinear, 2, -1};
  const auto exact = [](const ops::Activation& f, double x) -> double {
    switch (f.kind) {
      case Kind::kRelu:
        return std::max(x, 0.0);
      case Kind::kClip:
        return std::min(std::max(x, -1.0), 2.0);
      case Kind::kLeakyRelu:
        return x < 0 ? x * 0.1f : x;
      case Kind::kSigmoid:
        return 1 / (1 + std::exp(-x));
      case Kind::kLinear:
        return 2 * x - 1;
      default:
        return kNaN;
    }
  };
  for (const Case& test : kCases) {
    const std::string op = test.op_type;
    if (op != "Add" && op != "Sub" && op != "Mul" && op != "Div") continue;
    for (const auto& chain : {std::vector{relu}, {clip}, {leaky}, {sigmoid}, {linear, relu}, {relu, linear, sigmoid}}) {
      SCOPED_TRACE(op + " and " + std::to_string(static_cast<int>(chain[0].kind)));
      for (const Shape& other : {shape, Shape{2, 1, 1, 23}}) {
        const Tensor b = random_tensor(other, 52, 0.5f, 4);
        const auto expected = reference(shape, {a, b}, [&](const auto& v) {
          double x = test.exact(v);
          for (const auto& f : chain) x = exact(f, x);
          return x;
        });
        expect_near(run_fused(test.op_type, a, b, chain, true), shape, expected);
        expect_near(run_fused(test.op_type, a, b, chain, false), shape, expected);
      }
    }
  }
}

TEST(FusedActivations, KeepNaN) {
  const Tensor a = tensor<float>({4}, {kNaN, -kInfinity, kInfinity, -1});
  const Tensor b = tensor<float>({4}, {0, 0, 0, 0});
  const auto values = [&](const ops::Activation& f) { return to_doubles(run_fused("Add", a, b, {f}, false)); };
  const auto relu = values({Kind::kRelu});
  EXPECT_TRUE(std::isnan(relu[0]));
  EXPECT_EQ(relu[1], 0);
  EXPECT_EQ(relu[2], kInfinity);
  EXPECT_TRUE(std::isnan(values({Kind::kClip, -1, 1})[0]));
  EXPECT_TRUE(std::isnan(values({Kind::kLeakyRelu, 0.1f})[0]));
  EXPECT_TRUE(std::isnan(values({Kind::kSwish, 1})[0]));
}

}  // namespace
}  // namespace pli::test
