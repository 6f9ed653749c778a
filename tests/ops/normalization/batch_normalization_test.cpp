#include "runtime/ops/normalization/batch_normalization.h"

#include "runtime/core/tensor.h"
#include "runtime/ops/activation/activation.h"
#include "tests/ops/op_test.h"

#include <cmath>

namespace pli::test {
namespace {

NodeCase batch_norm(Shape x, int64_t channels, uint32_t seed, int64_t opset = 15,
                    std::vector<ir::Attribute> attributes = {}) {
  return {.op_type = "BatchNormalization",
          .opset = opset,
          .inputs = {random_tensor(std::move(x), seed, -3, 3), random_tensor({channels}, seed + 1, -2, 2),
                     random_tensor({channels}, seed + 2, -1, 1), random_tensor({channels}, seed + 3, -1, 1),
                     random_tensor({channels}, seed + 4, 0.01f, 2)},
          .attributes = std::move(attributes)};
}

/// The definition, element by element.
std::vector<double> reference(const NodeCase& node, double epsilon) {
  const Tensor& x = *node.inputs[0];
  const auto number = [&](size_t input, size_t c) { return static_cast<double>(node.inputs[input]->data<float>()[c]); };
  const size_t channels = node.inputs[1]->size();
  size_t inner = 1;
  for (size_t i = 2; i < x.shape().size(); ++i) inner *= static_cast<size_t>(x.shape()[i]);
  std::vector<double> y;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i / inner % channels;
    y.push_back(number(1, c) * (number(0, i) - number(3, c)) / std::sqrt(number(4, c) + epsilon) + number(2, c));
  }
  return y;
}

TEST(BatchNormalization, AgreesWithTheDefinition) {
  uint32_t seed = 0;
  for (const Shape& shape :
       std::vector<Shape>{{4, 7}, {2, 3, 5}, {2, 3, 4, 5}, {1, 24, 33, 31}, {2, 3, 4, 5, 6}, {3, 1, 4, 5}, {5}}) {
    SCOPED_TRACE(to_string(shape));
    const NodeCase node =
        batch_norm(shape, shape.size() > 1 ? shape[1] : 1, seed += 10, 15, {attribute("epsilon", 0.02f)});
    const std::vector<double> expected = reference(node, static_cast<double>(0.02f));
    expect_near(run(node).at(0), shape, expected);
    expect_near(run_channels_last(node).at(0), shape, expected);
  }
}

TEST(BatchNormalization, EveryOpset) {
  for (const int64_t opset : {6, 7, 9, 13, 14, 15, 18}) {
    std::vector<ir::Attribute> attributes;
    if (opset < 7) attributes.push_back(attribute("is_test", 1));
    const NodeCase node = batch_norm({2, 3, 4, 5}, 3, 77, opset, attributes);
    expect_near(run(node).at(0), {2, 3, 4, 5}, reference(node, static_cast<double>(1e-5f)));
  }
}

TEST(BatchNormalization, NothingToDo) {
  EXPECT_EQ(run(batch_norm({0, 3, 4, 5}, 3, 1)).at(0).size(), 0u);
  EXPECT_EQ(run_channels_last(batch_norm({2, 3, 0, 5}, 3, 1)).at(0).size(), 0u);
}

TEST(BatchNormalization, ForEachElementOfASample) {  // spatial=0, before opset 9
  NodeCase node{.op_type = "BatchNormalization", .opset = 7, .attributes = {attribute("spatial", 0)}};
  node.inputs = {random_tensor({3, 2, 4, 5}, 1, -3, 3)};
  for (uint32_t i = 2; i < 6; ++i) node.inputs.push_back(random_tensor({2, 4, 5}, i, 0.1f, 2));
  std::vector<double> expected;
  const auto number = [&](size_t input, size_t i) { return static_cast<double>(node.inputs[input]->data<float>()[i]); };
  for (size_t i = 0; i < 120; ++i) {
    const size_t s = i % 40;
    expected.push_back(number(1, s) * (number(0, i) - number(3, s)) / std::sqrt(number(4, s) + 1e-5) + number(2, s));
  }
  expect_near(run(node).at(0), {3, 2, 4, 5}, expected);
  expect_near(run_channels_last(node).at(0), {3, 2, 4, 5}, expected);
}

TEST(BatchNormalization, NotANumberStays) {
  NodeCase node = batch_norm({1, 3, 2, 2}, 3, 5);
  Tensor x = random_tensor({1, 3, 2, 2}, 9);
  x.mutable_data<float>()[5] = std::nanf("");
  node.inputs[0] = x;
  expect_near(run(node).at(0), {1, 3, 2, 2}, reference(node, static_cast<double>(1e-5f)));
}

/// The kernel alone, statistics constant or not, with an activation behind it.
std::vector<float> run_kernel(const NodeCase& node, bool constant, const std::vector<ops::Epilogue>& epilogues) {
  ir::Graph graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", node.opset}}));
  ir::NodeSpec spec{.op_type = node.op_type, .outputs = {{"y", {}, {}}}, .attributes = node.attributes};
  std::vector<const void*> in;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    spec.inputs.push_back(graph.add_input("i" + std::to_string(i), ir::Type::of(*node.inputs[i])));
    in.push_back(node.inputs[i]->bytes().data());
  }
  const ir::NodeId id = graph.add_node(std::move(spec));
  const Limits limits;
  ops::PrepareContext context{graph, graph.node(id), limits, node.opset};
  for (const auto& input : node.inputs) {
    context.inputs.push_back(compute::plain(input->dtype(), Shape(input->shape().begin(), input->shape().end())));
    context.constants.push_back(constant && !context.constants.empty() ? &*input : nullptr);
  }
  context.outputs = {context.inputs[0]};
  context.epilogues = epilogues;
  context.threads = 2;
  const auto kernel = ops::find_operator(graph, graph.node(id))->prepare(context);
  std::vector<float> y(node.inputs[0]->size());
  std::vector<float> scratch(kernel->scratch_bytes() / sizeof(float));
  void* out = y.data();
  kernel->run({in, std::span(&out, 1), scratch.data(), nullptr});
  return y;
}

TEST(BatchNormalization, StatisticsOnlyKnownWhenRunning) {
  const NodeCase node = batch_norm({2, 5, 30, 40}, 5, 50);
  const std::vector<float> y = run_kernel(node, false, {});
  expect_near(Tensor::copy<float>({2, 5, 30, 40}, y), {2, 5, 30, 40}, reference(node, static_cast<double>(1e-5f)));
}

TEST(BatchNormalization, CarriesActivations) {
  const NodeCase node = batch_norm({2, 5, 30, 40}, 5, 60);
  ops::Epilogue relu;
  ops::Epilogue twice;
  twice.activation = {ops::Activation::Kind::kLinear, 2.0f, 1.0f};
  std::vector<double> expected = reference(node, static_cast<double>(1e-5f));
  for (double& value : expected) value = 2 * std::max(value, 0.0) + 1;
  for (const bool constant : {true, false})
    expect_near(Tensor::copy<float>({2, 5, 30, 40}, run_kernel(node, constant, {relu, twice})), {2, 5, 30, 40},
                expected);
}

/// The same with the mean and variance of x itself in the place of those that are given.
std::vector<double> training_reference(NodeCase node, double epsilon) {
  const Tensor& x = *node.inputs[0];
  const size_t channels = node.inputs[1]->size();
  const size_t inner = x.size() / static_cast<size_t>(x.shape()[0]) / channels;
  std::vector<double> mean(channels, 0.0), variance(channels, 0.0);
  const double count = static_cast<double>(x.size() / channels);
  const auto channel = [&](size_t i) { return i / inner % channels; };
  const std::vector<double> values = to_doubles(x);
  for (size_t i = 0; i < values.size(); ++i) mean[channel(i)] += values[i] / count;
  for (size_t i = 0; i < values.size(); ++i)
    variance[channel(i)] += (values[i] - mean[channel(i)]) * (values[i] - mean[channel(i)]) / count;
  const Shape shape{static_cast<int64_t>(channels)};
  node.inputs[3] = from_doubles(DataType::kFloat32, shape, mean);
  node.inputs[4] = from_doubles(DataType::kFloat32, shape, variance);
  return reference(node, epsilon);
}

TEST(BatchNormalization, TrainsWhereNobodyReadsTheStatistics) {
  for (const auto& [opset, outputs] : {std::pair(6, 1), {6, 5}, {14, 3}, {15, 1}}) {
    for (const Shape& shape : {Shape{2, 3, 4, 5}, {4, 3}, {1, 3, 7}}) {
      SCOPED_TRACE(fmt::format("{} {}", opset, to_string(shape)));
      std::vector<ir::Attribute> attributes;
      if (opset >= 14) attributes.push_back(attribute("training_mode", 1));
      NodeCase node = batch_norm(shape, 3, 5, opset, attributes);
      const std::vector<double> expected = training_reference(node, static_cast<double>(1e-5f));
      expect_near(run_channels_last(node).at(0), shape, expected);
      node.outputs = static_cast<size_t>(outputs);
      expect_near(run(node).at(0), shape, expected);
    }
  }
}

TEST(BatchNormalization, StatisticsThatNobodyReadsAreInference) {
  for (const int64_t opset : {7, 9, 13}) {
    NodeCase node = batch_norm({2, 3, 4, 5}, 3, 8, opset);
    node.outputs = 5;
    expect_near(run(node).at(0), {2, 3, 4, 5}, reference(node, static_cast<double>(1e-5f)));
  }
}

TEST(BatchNormalization, TrainingCarriesActivations) {
  const NodeCase node = batch_norm({2, 5, 30, 40}, 5, 60, 15, {attribute("training_mode", 1)});
  std::vector<double> expected = training_reference(node, static_cast<double>(1e-5f));
  for (double& value : expected) value = std::max(value, 0.0);
  expect_near(Tensor::copy<float>({2, 5, 30, 40}, run_kernel(node, true, {ops::Epilogue{}})), {2, 5, 30, 40}, expected);
}

ir::Type type(Shape shape, DataType dtype = DataType::kFloat32) {
  return ir::Type::of(Tensor(dtype, std::move(shape)));
}

TEST(BatchNormalization, Infers) {
  const ir::Type c = type({3});
  const ir::Type image = ir::Type::tensor(DataType::kFloat32, ir::Dims{std::string("n"), 3, ir::Dim{}, 8});
  EXPECT_EQ(to_string(infer("BatchNormalization", 15, {image, c, c, c, c}).at(0)), "float32[n, 3, ?, 8]");
  EXPECT_EQ(to_string(infer("BatchNormalization", 15, {ir::Type::tensor(DataType::kFloat32), c, c, c, c}).at(0)),
            "float32[...]");
  const auto all = infer("BatchNormalization", 14, {image, c, c, c, c}, {attribute("training_mode", 1)}, {}, 3);
  EXPECT_EQ(to_string(all.at(2)), "float32[3]");
}

TEST(BatchNormalization, RefusesWhatDoesNotFit) {
  const auto code = [](std::vector<ir::Type> inputs, int64_t opset = 15, std::vector<ir::Attribute> attributes = {}) {
    return error_of([&] { infer("BatchNormalization", opset, inputs, attributes); }).code();
  };
  const ir::Type x = type({2, 3, 4});
  const ir::Type c = type({3});
  EXPECT_EQ(code({x, c, c, c}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({x, c, c, c, c, c}), ErrorCode::kInvalidModel);
  EXPECT_EQ(code({type({}), c, c, c, c}), ErrorCode::kInvalidModel);
  for (size_t i = 1; i < 5; ++i) {
    std::vector<ir::Type> inputs{x, c, c, c, c};
    inputs[i] = type({4});
    EXPECT_EQ(code(inputs), ErrorCode::kInvalidModel);
    inputs[i] = type({3, 1});
    EXPECT_EQ(code(inputs), ErrorCode::kInvalidModel);
  }
  const Error not_spatial = error_of([&] {
    infer("BatchNormalization", 7, {x, c, c, c, c}, {attribute("spatial", 0)});
  });
  EXPECT_EQ(not_spatial.code(), ErrorCode::kInvalidModel);
  EXPECT_STREQ(not_spatial.what(),
               "scale has rank 1, where attribute spatial = 0 asks for the 2 dimensions of a sample");
  EXPECT_EQ(code({x, type({3, 5}), type({3, 5}), type({3, 5}), type({3, 5})}, 7, {attribute("spatial", 0)}),
            ErrorCode::kInvalidModel);
  EXPECT_EQ(code({x, c, c, c, c}, 15, {attribute("epsilon", 1)}), ErrorCode::kInvalidModel);
}

}  // namespace
}  // namespace pli::test
