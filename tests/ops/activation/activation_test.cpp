#include "runtime/ops/activation/activation.h"
#include "tests/ops/elementwise_reference.h"

namespace pli::test {
namespace {

using Kind = ops::Activation::Kind;

double relu(double x) { return std::max(x, 0.0); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::log1p(std::exp(-std::abs(x))) + relu(x); }
double elu(double x, double alpha) { return x < 0 ? alpha * std::expm1(x) : x; }
double hard_sigmoid(double x, double alpha, double beta) { return std::min(std::max(alpha * x + beta, 0.0), 1.0); }
double gelu_erf(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double selu(double x, double alpha, double gamma) { return gamma * elu(x, alpha); }
double shrink(double x, double bias, double lambd) { return x < -lambd ? x + bias : x > lambd ? x - bias : 0; }

struct Case {
  std::string name;
  NodeCase node;
  std::function<double(double)> exact;
};

std::vector<Case> cases() {
  return {
      {"Relu", {"Relu", 6, {}}, relu},
      {"LeakyRelu", {"LeakyRelu", 6, {}}, [](double x) { return x < 0 ? 0.01f * x : x; }},
      {"LeakyReluSlope",
       {"LeakyRelu", 16, {}, {attribute("alpha", 0.3f)}},
       [](double x) { return x < 0 ? 0.3f * x : x; }},
      {"Elu", {"Elu", 6, {}}, [](double x) { return elu(x, 1); }},
      {"EluAlpha", {"Elu", 22, {}, {attribute("alpha", -1.7f)}}, [](double x) { return elu(x, -1.7f); }},
      {"Selu", {"Selu", 6, {}}, [](double x) { return selu(x, 1.67326319217681884765625, 1.05070102214813232421875); }},
      {"SeluFirst", {"Selu", 5, {}}, [](double x) { return selu(x, 1.6732f, 1.0507f); }},
      {"SeluGamma",
       {"Selu", 6, {}, {attribute("alpha", 2.0f), attribute("gamma", 3.0f)}},
       [](double x) { return selu(x, 2, 3); }},
      {"Celu", {"Celu", 12, {}}, [](double x) { return elu(x, 1); }},
      {"CeluAlpha",
       {"Celu", 12, {}, {attribute("alpha", 0.4f)}},
       [](double x) { return relu(x) + std::min(0.0, 0.4f * std::expm1(x / 0.4f)); }},
      {"CeluNegative",
       {"Celu", 12, {}, {attribute("alpha", -2.0f)}},
       [](double x) { return relu(x) + std::min(0.0, -2 * std::expm1(x / -2)); }},
      {"ThresholdedRelu", {"ThresholdedRelu", 10, {}}, [](double x) { return x > 1 ? x : 0; }},
      {"ThresholdedReluAlpha",
       {"ThresholdedRelu", 10, {}, {attribute("alpha", -2.0f)}},
       [](double x) { return x > -2 ? x : 0; }},
      {"Sigmoid", {"Sigmoid", 6, {}}, sigmoid},
      {"HardSigmoid", {"HardSigmoid", 6, {}}, [](double x) { return hard_sigmoid(x, 0.2f, 0.5); }},
      {"HardSigmoidSlope",
       {"HardSigmoid", 6, {}, {attribute("alpha", 0.1f), attribute("beta", 0.7f)}},
       [](double x) { return hard_sigmoid(x, 0.1f, 0.7f); }},
      {"HardSwish", {"HardSwish", 14, {}}, [](double x) { return x * hard_sigmoid(x, 1.0 / 6, 0.5); }},
      {"Mish", {"Mish", 18, {}}, [](double x) { return x * std::tanh(softplus(x)); }},
      {"Swish", {"Swish", 24, {}}, [](double x) { return x * sigmoid(x); }},
      {"SwishAlpha", {"Swish", 24, {}, {attribute("alpha", 1.5f)}}, [](double x) { return x * sigmoid(1.5 * x); }},
      {"Gelu", {"Gelu", 20, {}}, gelu_erf},
      {"GeluTanh", {"Gelu", 20, {}, {attribute("approximate", "tanh")}}, gelu_tanh},
      {"Softplus", {"Softplus", 6, {}}, softplus},
      {"Softsign", {"Softsign", 6, {}}, [](double x) { return x / (1 + std::abs(x)); }},
      {"Shrink", {"Shrink", 9, {}}, [](double x) { return shrink(x, 0, 0.5); }},
      {"ShrinkSoft",
       {"Shrink", 9, {}, {attribute("bias", 1.5f), attribute("lambd", 1.5f)}},
       [](double x) { return shrink(x, 1.5, 1.5); }},
      {"ClipAttributes",
       {"Clip", 6, {}, {attribute("min", -1.5f), attribute("max", 2.5f)}},
       [](double x) { return std::min(std::max(x, -1.5), 2.5); }},
      {"ClipAttributeMax", {"Clip", 10, {}, {attribute("max", 2.5f)}}, [](double x) { return std::min(x, 2.5); }},
  };
}

class ActivationOp : public testing::TestWithParam<size_t> {
 protected:
  Case test_ = cases()[GetParam()];
  NodeCase with(Tensor x) const {
    NodeCase node = test_.node;
    node.inputs = {std::move(x)};
    return node;
  }
};

TEST_P(ActivationOp, MatchesTheFormulaInDouble) {
  SCOPED_TRACE(test_.name);
  for (const Shape& shape : {Shape{7}, Shape{2, 3, 5, 7}, Shape{1, 19, 41, 43}}) {
    const Tensor x = random_tensor(shape, 5, -9, 9);
    const auto expected = reference(shape, {x}, [&](const auto& v) { return test_.exact(v[0]); });
    expect_both(with(x), shape, expected, 2e-6, 1e-6);
    expect_both(with(from_doubles(DataType::kFloat64, shape, to_doubles(x))), shape, expected, 1e-13, 1e-15);
  }
}

TEST_P(ActivationOp, KeepsNaN) {
  SCOPED_TRACE(test_.name);
  for (const float value : values_of<float>(with(tensor<float>({3}, {kNaN, kNaN, kNaN}))))
    EXPECT_TRUE(std::isnan(value));
}

TEST_P(ActivationOp, StaysExactForLargeValues) {
  SCOPED_TRACE(test_.name);
  const std::vector<float> x{-1e4f, -100, -90, -20, 20, 90, 100, 1e4f};
  std::vector<double> expected;
  for (const float value : x) expected.push_back(test_.exact(value));
  expect_near(run(with(tensor<float>({8}, x)))[0], {8}, expected, 1e-5, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, ActivationOp, testing::Range(size_t{0}, cases().size()),
                         [](const auto& test) { return cases()[test.param].name; });

TEST(Relu, TakesIntegers) {
  EXPECT_EQ(values_of<int8_t>({"Relu", 14, {tensor<int8_t>({3}, {-128, 0, 5})}}), (std::vector<int8_t>{0, 0, 5}));
  EXPECT_EQ(values_of<int64_t>({"Relu", 14, {tensor<int64_t>({2}, {-1, 7})}}), (std::vector<int64_t>{0, 7}));
}

TEST(Clip, TakesBoundsAsInputs) {
  const auto x = tensor<float>({6}, {-kInfinity, -3, 0.5f, 3, kInfinity, kNaN});
  const auto low = tensor<float>({}, {-1});
  const auto high = tensor<float>({}, {2});
  const auto bounded = [&](std::optional<Tensor> a, std::optional<Tensor> b) {
    return values_of<float>({"Clip", 13, {x, std::move(a), std::move(b)}});
  };
  const auto same = [](std::vector<float> actual, const std::vector<float>& expected) {
    EXPECT_TRUE(std::isnan(actual.back()));
    actual.pop_back();
    EXPECT_EQ(actual, expected);
  };
  same(bounded(low, high), {-1, -1, 0.5f, 2, 2});
  same(bounded(std::nullopt, high), {-kInfinity, -3, 0.5f, 2, 2});
  same(bounded(low, std::nullopt), {-1, -1, 0.5f, 3, kInfinity});
  same(bounded(high, low), {-1, -1, -1, -1, -1});  // the upper bound wins
  same(values_of<float>({"Clip", 11, {x}}), {-kInfinity, -3, 0.5f, 3, kInfinity});
  same(bounded(tensor<float>({1}, {kNaN}), high), {-kInfinity, -3, 0.5f, 2, 2});
}

TEST(Clip, TakesIntegers) {
  const auto x = tensor<int8_t>({4}, {-128, -3, 3, 127});
  EXPECT_EQ(values_of<int8_t>({"Clip", 12, {x, tensor<int8_t>({}, {-5}), tensor<int8_t>({}, {5})}}),
            (std::vector<int8_t>{-5, -3, 3, 5}));
  EXPECT_EQ(values_of<int8_t>({"Clip", 12, {x}}), (std::vector<int8_t>{-128, -3, 3, 127}));
  EXPECT_EQ(values_of<uint64_t>(
                {"Clip", 12, {tensor<uint64_t>({2}, {7, UINT64_MAX}), std::nullopt, tensor<uint64_t>({}, {9})}}),
            (std::vector<uint64_t>{7, 9}));
}

TEST(Clip, RefusesWhatDoesNotFit) {
  const ir::Type x = ir::Type::tensor(DataType::kFloat32, ir::Dims{2, 3});
  const auto code = [](auto&& body) { return error_of(body).code(); };
  EXPECT_EQ(code([&] {
              infer("Clip", 13, {x, ir::Type::tensor(DataType::kFloat32, ir::Dims{2})});
            }),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(code([&] {
              infer("Clip", 13, {x, ir::Type::tensor(DataType::kInt32, ir::Dims{})});
            }),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(code([&] { infer("Clip", 6, {x, x}); }), ErrorCode::kInvalidModel);
  EXPECT_EQ(code([&] { infer("Clip", 13, {x, x, x, x}); }), ErrorCode::kInvalidModel);
  EXPECT_EQ(code([] { run({"Clip", 6, {random_tensor({2}, 1)}, {attribute("min", 1)}}); }), ErrorCode::kInvalidModel);
}

TEST(PRelu, StretchesTheSlope) {
  const Shape shape{2, 3, 5, 7};
  const Tensor x = random_tensor(shape, 8, -2, 2);
  const auto exact = [](const std::vector<double>& v) { return v[0] < 0 ? v[0] * v[1] : v[0]; };
  for (const Shape& slope :
       {Shape{3, 1, 1}, Shape{1}, Shape{}, Shape{7}, Shape{1, 1, 5, 7}, Shape{2, 3, 5, 7}, Shape{2, 1, 1, 1}}) {
    const Tensor s = random_tensor(slope, 9, -1, 1);
    expect_both({"PRelu", 16, {x, s}}, shape, reference(shape, {x, s}, exact));
  }
  const Tensor s = random_tensor({3}, 9, -1, 1);
  expect_both({"PRelu", 6, {x, s}}, shape, reference(shape, {x, s.reshaped({3, 1, 1})}, exact));
  EXPECT_EQ(values_of<int32_t>({"PRelu", 9, {tensor<int32_t>({2}, {INT32_MIN, 5}), tensor<int32_t>({}, {3})}}),
            (std::vector<int32_t>{INT32_MIN, 5}));
  EXPECT_EQ(values_of<uint32_t>({"PRelu", 9, {tensor<uint32_t>({1}, {5}), tensor<uint32_t>({}, {3})}}),
            (std::vector<uint32_t>{5}));
}

TEST(PRelu, RefusesASlopeThatWouldStretchTheInput) {
  const auto infer_with = [](ir::Dims x, ir::Dims slope, int64_t opset = 16) {
    return infer("PRelu", opset, {ir::Type::tensor(DataType::kFloat32, x), ir::Type::tensor(DataType::kFloat32, slope)})
        .at(0);
  };
  for (const auto& slope : {ir::Dims{4}, ir::Dims{3, 1, 1, 1}, ir::Dims{2, 2}, ir::Dims{1, 1, 2, 1, 1}})
    EXPECT_EQ(error_of([&] { infer_with({2, 1, 5}, slope); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(error_of([&] { infer_with({2, 4, 5}, {5}, 6); }).code(), ErrorCode::kInvalidModel);
  EXPECT_EQ(ir::to_string(infer_with({ir::Dim("n"), 4, 5}, {4}, 6)), "float32[n, 4, 5]");
}

TEST(Gelu, RefusesAnUnknownApproximation) {
  const auto error = error_of([] { run({"Gelu", 20, {random_tensor({2}, 1)}, {attribute("approximate", "fast")}}); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidModel);
  EXPECT_NE(std::string(error.what()).find("fast"), std::string::npos);
}

// --- as_activation ---------------------------------------------------------------------------------------------------

std::optional<ops::Activation> read(const NodeCase& node, DataType dtype = DataType::kFloat32) {
  ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", node.opset}}));
  ir::NodeSpec spec{node.op_type,    "", "node", {graph.add_input("x", ir::Type::tensor(dtype, ir::Dims{2, 3}))}, {},
                    node.attributes, {}};
  for (const auto& input : node.inputs)
    spec.inputs.push_back(input ? graph.add_constant(*input, "parameter") : ir::ValueId{});
  spec.outputs.push_back({"y", {}, {}});
  return ops::as_activation(graph, graph.node(graph.add_node(std::move(spec))));
}

void expect_activation(const NodeCase& node, Kind kind, float alpha = 0, float beta = 0) {
  SCOPED_TRACE(node.op_type);
  const auto activation = read(node);
  ASSERT_TRUE(activation.has_value());
  EXPECT_EQ(activation->kind, kind);
  EXPECT_EQ(activation->alpha, alpha);
  EXPECT_EQ(activation->beta, beta);
}

TEST(AsActivation, ReadsWhatAKernelCanApply) {
  expect_activation({"Relu", 13, {}}, Kind::kRelu);
  expect_activation({"LeakyRelu", 13, {}}, Kind::kLeakyRelu, 0.01f);
  expect_activation({"LeakyRelu", 13, {}, {attribute("alpha", 0.2f)}}, Kind::kLeakyRelu, 0.2f);
  expect_activation({"PRelu", 13, {tensor<float>({1}, {0.25f})}}, Kind::kLeakyRelu, 0.25f);
  expect_activation({"Elu", 13, {}}, Kind::kElu, 1);
  expect_activation({"Sigmoid", 13, {}}, Kind::kSigmoid);
  expect_activation({"Tanh", 13, {}}, Kind::kTanh);
  expect_activation({"HardSwish", 14, {}}, Kind::kHardSwish);
  expect_activation({"HardSigmoid", 13, {}}, Kind::kHardSigmoid, 0.2f, 0.5f);
  expect_activation({"Swish", 24, {}, {attribute("alpha", 2.0f)}}, Kind::kSwish, 2);
  expect_activation({"Gelu", 20, {}}, Kind::kGeluErf);
  expect_activation({"Gelu", 20, {}, {attribute("approximate", "tanh")}}, Kind::kGeluTanh);
  expect_activation({"Clip", 6, {}, {attribute("min", 0.0f), attribute("max", 6.0f)}}, Kind::kClip, 0, 6);
  expect_activation({"Clip", 6, {}, {attribute("max", 6.0f)}}, Kind::kClip, -kInfinity, 6);
  expect_activation({"Clip", 13, {tensor<float>({}, {-1}), tensor<float>({1}, {1})}}, Kind::kClip, -1, 1);
  expect_activation({"Clip", 13, {tensor<float>({}, {0})}}, Kind::kRelu);
}

TEST(AsActivation, ReadsTheNodesThatStandForSeveral) {
  for (const auto& [type, kind] :
       {std::pair{"Swish", Kind::kSwish}, {"HardSwish", Kind::kHardSwish}, {"Gelu", Kind::kGeluErf}}) {
    ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 13}}));
    const ir::ValueId x = graph.add_input("x", ir::Type::tensor(DataType::kFloat32, ir::Dims{2}));
    const auto id = graph.add_node({type, std::string(ops::kInternalDomain), "", {x}, {{"y", {}, {}}}, {}, {}});
    const auto activation = ops::as_activation(graph, graph.node(id));
    ASSERT_TRUE(activation.has_value()) << type;
    EXPECT_EQ(activation->kind, kind);
    EXPECT_NE(ops::find_operator(graph, graph.node(id)), nullptr);
  }
}

TEST(AsActivation, LeavesTheRest) {
  EXPECT_FALSE(read({"Relu", 13, {}}, DataType::kInt32));
  EXPECT_FALSE(read({"Relu", 13, {}}, DataType::kUndefined));
  EXPECT_FALSE(read({"Exp", 13, {}}));
  EXPECT_FALSE(read({"Add", 13, {random_tensor({1}, 1)}}));
  EXPECT_FALSE(read({"PRelu", 13, {random_tensor({3}, 1)}}));
  EXPECT_FALSE(read({"Clip", 13, {tensor<float>({}, {1}), tensor<float>({}, {-1})}}));
  EXPECT_FALSE(read({"Clip", 13, {tensor<float>({}, {kNaN})}}));

  ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 13}}));
  const auto type = ir::Type::tensor(DataType::kFloat32, ir::Dims{});
  const ir::ValueId x = graph.add_input("x", type);
  const ir::ValueId bound = graph.add_input("bound", type);
  const auto id = graph.add_node({"Clip", "", "", {x, bound}, {{"y", {}, {}}}, {}, {}});
  EXPECT_FALSE(ops::as_activation(graph, graph.node(id)));
  const auto foreign = graph.add_node({"Relu", "com.example", "", {x}, {{"z", {}, {}}}, {}, {}});
  EXPECT_FALSE(ops::as_activation(graph, graph.node(foreign)));
}

}  // namespace
}  // namespace pli::test
