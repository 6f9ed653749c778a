#include "runtime/exec/executor.h"

#include "tests/exec/expect.h"
#include "tests/exec/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>

namespace pli::exec {
namespace {

using ir::ValueId;
using test::code_of;
using test::expect_equal;
using test::Network;
using test::options;

/// What every kind of fusion and layout change meets: residuals of both orders, activations, depthwise and grouped
/// convolutions, a concatenation, squeeze-and-excite, a channel shuffle, a classifier.
Network residual_network() {
  Network net;
  const auto x = net.input("x", {ir::Dim("batch"), 3, 16, 12});
  const auto stem = net.node("Relu", {net.conv(x, 3, 16, 3, 2)});
  const auto branch = net.conv(net.node("Relu", {net.conv(stem, 16, 24, 1)}), 24, 16, 3);
  const auto sum = net.node("Relu", {net.node("Add", {branch, stem})});
  const auto wide = net.node("HardSwish", {net.conv(sum, 16, 16, 3, 1, 16)});
  const auto both = net.node("Add", {sum, net.conv(wide, 16, 16, 1)});
  const auto left = net.conv(both, 16, 20, 3, 2);
  const auto right = net.node("Sigmoid", {net.conv(both, 16, 12, 1, 2)});
  const auto joined = net.node("Concat", {left, right}, {{"axis", int64_t{1}, {}}});
  const auto pooled = net.node("GlobalAveragePool", {joined});
  const auto gate = net.node("Sigmoid", {net.conv(net.node("Relu", {net.conv(pooled, 32, 8, 1)}), 8, 32, 1)});
  const auto excited = net.node("Mul", {joined, gate});
  const auto split = net.node("Reshape", {excited, net.ints({0, 2, 16, 4, 3})});
  const auto swapped = net.node("Transpose", {split}, {{"perm", std::vector<int64_t>{0, 2, 1, 3, 4}, {}}});
  const auto shuffled = net.node("Reshape", {swapped, net.ints({0, 32, 4, 3})});
  const auto last = net.conv(shuffled, 32, 10, 3, 1, 2);
  const auto flat = net.node("Flatten", {net.node("GlobalAveragePool", {last})});
  net.output("scores", net.node("Gemm", {flat, net.weight({10, 7}), net.weight({7})}));
  net.output("image", shuffled);
  net.graph.verify();
  return net;
}

TEST(Executor, FusedAndUnfusedAgree) {
  Network net = residual_network();
  const Executor plain(net.graph, options(false));
  const Executor fused(net.graph, options(true));
  const Executor threaded(net.graph, options(true, 2));
  for (const int64_t batch : {1, 3}) {
    const NamedValues inputs{{"x", net.tensor({batch, 3, 16, 12})}};
    const NamedValues expected = plain.run(inputs);
    expect_equal(fused.run(inputs), expected);
    expect_equal(threaded.run(inputs), expected);
    expect_equal(fused.run(inputs), expected);
    EXPECT_LT(fused.plan(inputs)->steps.size(), plain.plan(inputs)->steps.size());
  }
}

TEST(Executor, FusesResidualsAndActivationsIntoConvolutions) {
  Network net = residual_network();
  const Executor executor(net.graph, options(true));
  const std::string plan = describe(*executor.plan({{"x", net.tensor({1, 3, 16, 12})}}), 0);
  EXPECT_NE(plan.find("Conv + Add + Relu"), std::string::npos) << plan;
  EXPECT_NE(plan.find("Conv + HardSwish"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("ref"), std::string::npos) << plan;
}

/// oneDNN would compute both with the numbers of the first.
TEST(Executor, FusesOneActivationOfAKind) {
  using Attributes = std::vector<ir::Attribute>;
  struct Pair {
    std::string first;
    Attributes first_numbers;
    std::string second;
    Attributes second_numbers;
  };
  const auto numbers = [](float alpha, float beta) { return Attributes{{"alpha", alpha, {}}, {"beta", beta, {}}}; };
  const auto bounds = [](float low, float high) { return Attributes{{"min", low, {}}, {"max", high, {}}}; };
  const std::vector<Pair> pairs{
      {"LeakyRelu", {{"alpha", 0.5f, {}}}, "Relu", {}},
      {"LeakyRelu", {{"alpha", 0.5f, {}}}, "LeakyRelu", {{"alpha", 0.25f, {}}}},
      {"Elu", {{"alpha", 1.0f, {}}}, "Elu", {{"alpha", 0.5f, {}}}},
      {"Clip", bounds(-0.8f, 0.7f), "Clip", bounds(-0.3f, 0.9f)},
      {"HardSigmoid", numbers(0.4f, 0.5f), "Clip", bounds(0.2f, 0.6f)},
      {"HardSigmoid", numbers(0.4f, 0.5f), "HardSigmoid", numbers(0.9f, 0.1f)},
      {"Clip", bounds(-0.3f, 0.4f), "HardSigmoid", numbers(0.9f, 0.4f)},
  };
  for (const Pair& pair : pairs) {
    SCOPED_TRACE(pair.first + ", " + pair.second);
    Network net(10);  // in which the bounds of Clip are attributes
    const auto x = net.input("x", {2, 8, 5, 6}), a = net.input("a", {7, 12});
    const auto activate = [&](ValueId value) {
      return net.node(pair.second, {net.node(pair.first, {value}, pair.first_numbers)}, pair.second_numbers);
    };
    net.output("conv", activate(net.conv(x, 8, 16, 3)));
    net.output("gemm", activate(net.node("Gemm", {a, net.weight({12, 9}), net.weight({9})})));
    net.output("matmul", activate(net.node("MatMul", {a, net.weight({12, 10})})));
    const NamedValues inputs{{"x", net.tensor({2, 8, 5, 6})}, {"a", net.tensor({7, 12})}};
    expect_equal(Executor(net.graph, options(true)).run(inputs), Executor(net.graph, options(false)).run(inputs));
  }
}

TEST(Executor, JoinsTheNodesOfAnActivation) {
  Network net(13);
  const auto x = net.input("x", {2, 8, 5, 6});
  const auto conv = net.conv(x, 8, 8, 1);
  const auto swish = net.node("Mul", {conv, net.node("Sigmoid", {conv})});
  const auto conv2 = net.conv(swish, 8, 8, 1);
  const auto hard =
      net.node("Mul", {net.node("HardSigmoid", {conv2}, {{"alpha", 1.0f / 6, {}}, {"beta", 0.5f, {}}}), conv2});
  const auto conv3 = net.conv(hard, 8, 8, 1);
  const auto erf = net.node("Erf", {net.node("Div", {conv3, net.scalar(std::sqrt(2.0f))})});
  const auto gelu =
      net.node("Mul", {net.node("Mul", {conv3, net.node("Add", {erf, net.scalar(1)})}), net.scalar(0.5f)});
  net.output("y", net.conv(gelu, 8, 4, 1));
  const NamedValues inputs{{"x", net.tensor({2, 8, 5, 6})}};
  const Executor fused(net.graph, options(true));
  const std::string plan = describe(*fused.plan(inputs), 0);
  for (const char* group : {"Conv + Swish", "Conv + HardSwish", "Conv + Gelu"})
    EXPECT_NE(plan.find(group), std::string::npos) << group << "\n" << plan;
  expect_equal(fused.run(inputs), Executor(net.graph, options(false)).run(inputs));
}

/// Other ways in which exporters write the activations.
TEST(Executor, JoinsEveryFormOfAnActivation) {
  using Form = std::function<ir::ValueId(Network&, ir::ValueId)>;
  const auto shifted = [](Network& net, ir::ValueId x) {
    return net.node("Clip", {net.node("Add", {x, net.scalar(3)}), net.scalar(0), net.scalar(6)});
  };
  const auto gate = [](Network& net, ir::ValueId x) {
    const auto erf = net.node("Erf", {net.node("Mul", {x, net.scalar(std::sqrt(0.5f))})});
    return net.node("Add", {net.scalar(1), erf});
  };
  const std::vector<std::pair<std::string, Form>> forms{
      {"HardSwish",
       [&](Network& net, ir::ValueId x) {
         return net.node("Div", {net.node("Mul", {x, shifted(net, x)}), net.scalar(6)});
       }},
      {"Gelu",
       [&](Network& net, ir::ValueId x) {
         return net.node("Mul", {net.node("Mul", {x, net.scalar(0.5f)}), gate(net, x)});
       }},
      {"Gelu",
       [&](Network& net, ir::ValueId x) {
         return net.node("Mul", {net.scalar(0.5f), net.node("Mul", {gate(net, x), x})});
       }},
  };
  for (const auto& [type, form] : forms) {
    Network net(13);
    net.output("y", form(net, net.input("x", {3, 5})));
    const NamedValues inputs{{"x", net.tensor({3, 5})}};
    const Executor fused(net.graph, options(true));
    EXPECT_EQ(fused.plan(inputs)->steps.size(), 1u) << type;
    EXPECT_EQ(fused.plan(inputs)->steps[0].group, type);
    expect_equal(fused.run(inputs), test::run_each_node(net.graph, inputs));
  }
}

TEST(Executor, JoinsNothingWhoseConstantsMakeTheShape) {
  Network net(13);
  const auto x = net.input("x", {});
  const auto one = [&](float value) {
    return net.graph.add_constant(Tensor::copy<float>({1}, std::span<const float>(&value, 1)), "one");
  };
  const auto clip = net.node("Clip", {net.node("Add", {x, one(3)}), net.scalar(0), net.scalar(6)});
  net.output("y", net.node("Div", {net.node("Mul", {x, clip}), one(6)}));
  const NamedValues inputs{{"x", net.tensor({})}};
  const NamedValues outputs = Executor(net.graph, options(true)).run(inputs);
  EXPECT_EQ(outputs.at("y").shape().size(), 1u);
  expect_equal(outputs, test::run_each_node(net.graph, inputs));
}

TEST(Executor, AnAddBehindAnActivationIsNoBias) {
  Network net;
  const auto conv = net.conv(net.input("x", {1, 4, 6, 7}), 4, 5, 3);
  net.output("y", net.node("Add", {net.node("Relu", {conv}), net.weight({7})}));
  const NamedValues inputs{{"x", net.tensor({1, 4, 6, 7})}};
  expect_equal(Executor(net.graph, options(true)).run(inputs), Executor(net.graph, options(false)).run(inputs));
}

TEST(Executor, AnAddAlongAnotherAxisIsNoBiasOfAMatMul) {  // before opset 7 it may be
  Network net(6);
  const auto product = net.node("MatMul", {net.input("x", {2, 4, 3}), net.weight({3, 4})});
  net.output("y",
             net.node("Add", {product, net.weight({4})}, {{"broadcast", int64_t{1}, {}}, {"axis", int64_t{1}, {}}}));
  const NamedValues inputs{{"x", net.tensor({2, 4, 3})}};
  expect_equal(Executor(net.graph, options(true)).run(inputs), Executor(net.graph, options(false)).run(inputs));
}

TEST(Executor, KeepsWhatAnotherNodeReads) {
  Network net;
  const auto x = net.input("x", {1, 4, 6, 7});
  const auto conv = net.conv(x, 4, 4, 3);
  const auto relu = net.node("Relu", {conv});
  net.output("before", conv);
  net.output("after", relu);
  net.output("twice", net.node("Add", {relu, relu}));
  net.output("same", relu);
  net.output("input", x);
  const NamedValues inputs{{"x", net.tensor({1, 4, 6, 7})}};
  expect_equal(Executor(net.graph, options(true)).run(inputs), Executor(net.graph, options(false)).run(inputs));
}

TEST(Executor, AResidualThatIsReadLaterIsNotOverwritten) {
  Network net;
  const auto x = net.input("x", {1, 16, 6, 7});
  const auto a = net.node("Relu", {net.conv(x, 16, 16, 3)});
  const auto sum = net.node("Add", {a, net.conv(a, 16, 16, 3)});
  net.output("y", net.node("Mul", {sum, a}));
  const NamedValues inputs{{"x", net.tensor({1, 16, 6, 7})}};
  expect_equal(Executor(net.graph, options(true)).run(inputs), Executor(net.graph, options(false)).run(inputs));
}

TEST(Executor, ASumWithAnInputIsRightWhateverConvolvesIt) {
  // Pads that cover the kernel, strides that leave something out: for these oneDNN takes another implementation.
  struct Form {
    Shape x, w;
    std::vector<int64_t> pads, strides;
    int64_t group;
    Shape result;
  };
  const Form forms[] = {{{1, 3, 8, 8}, {4, 3, 1, 1}, {1, 1, 1, 1}, {1, 1}, 1, {1, 4, 10, 10}},
                        {{1, 16, 8, 8}, {16, 16, 2, 2}, {1, 0, 0, 2}, {1, 1}, 1, {1, 16, 8, 9}},
                        {{1, 16, 8, 8}, {16, 1, 3, 3}, {3, 3, 3, 3}, {1, 1}, 16, {1, 16, 12, 12}},
                        {{1, 3, 8}, {4, 3, 1}, {0, 2}, {3}, 1, {1, 4, 4}},
                        {{1, 3, 8, 8}, {4, 3, 3, 3}, {1, 1, 1, 1}, {1, 1}, 1, {1, 4, 8, 8}}};
  for (const Form& form : forms) {
    Network net;
    const auto x = net.input("x", {form.x.begin(), form.x.end()});
    const auto other = net.input("other", {form.result.begin(), form.result.end()});
    const auto conv = net.node("Conv", {x, net.weight(form.w), net.weight({form.w[0]})},
                               {{"pads", form.pads, {}}, {"strides", form.strides, {}}, {"group", form.group, {}}});
    net.output("y", net.node("Relu", {net.node("Add", {conv, other})}));
    const NamedValues inputs{{"x", net.tensor(form.x)}, {"other", net.tensor(form.result)}};
    const Executor executor(net.graph, options(true));
    const auto plan = executor.plan(inputs);
    EXPECT_TRUE(std::ranges::any_of(plan->steps, [](const Step& step) { return step.group == "Conv + Add + Relu"; }));
    expect_equal(executor.run(inputs), test::run_each_node(net.graph, inputs));
  }
}

TEST(Executor, WhatOneDnnDoesNotTakeIsUnsupported) {
  Network net;
  const auto x = net.input("x", {1, 3, 7, 7});
  net.output("y", net.node("ConvTranspose", {x, net.weight({3, 4, 3, 1})},
                           {{"dilations", std::vector<int64_t>{2, 2}, {}},
                            {"output_padding", std::vector<int64_t>{1, 1}, {}}}));
  const Executor executor(net.graph, options(true));
  EXPECT_EQ(code_of([&] { executor.run({{"x", net.tensor({1, 3, 7, 7})}}); }), ErrorCode::kUnsupported);
}

TEST(Executor, RunsFromManyThreadsAtOnce) {
  Network net = residual_network();
  const Executor executor(net.graph, options(true));
  std::vector<NamedValues> inputs, expected;
  for (int64_t i = 0; i < 4; ++i) {
    inputs.push_back({{"x", net.tensor({1 + i % 2, 3, 16, 12})}});
    expected.push_back(Executor(net.graph, options(true)).run(inputs.back()));
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 25; ++round) {
        const NamedValues got = executor.run(inputs[t]);
        for (const auto& [name, value] : got)
          if (!std::ranges::equal(value.data<float>(), expected[t].at(name).data<float>())) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Executor, KeepsABoundedNumberOfPlans) {
  Network net = residual_network();
  SessionOptions few = options(true);
  few.plan_cache = 2;
  const Executor executor(net.graph, few);
  const auto plan = [&](int64_t batch) { return executor.plan({{"x", net.tensor({batch, 3, 16, 12})}}); };
  const auto first = plan(1);
  EXPECT_EQ(plan(1), first);
  plan(2);
  EXPECT_EQ(plan(1), first);
  plan(3);
  EXPECT_EQ(plan(1), first) << "the least recently used goes first";
  plan(4);
  plan(5);
  EXPECT_NE(plan(1), first);
}

/// A convolution whose weights are Constant nodes, as some exporters write all of them, for images of any width.
Network network_of_constant_nodes() {
  Network net;
  const auto constant = [&](Shape shape) {
    return net.node("Constant", {}, {{"value", net.tensor(std::move(shape)), {}}});
  };
  const auto x = net.input("x", {1, 16, 8, ir::Dim("width")});
  const std::vector<ir::Attribute> padded{{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}};
  auto y = net.node("Conv", {x, constant({24, 16, 3, 3}), constant({24})}, padded);
  y = net.node("Conv", {net.node("Relu", {y}), constant({32, 24, 3, 3}), constant({32})}, padded);
  y = net.node("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}, {}}});
  net.output("y", net.node("MatMul", {y, constant({32, 48})}));
  return net;
}

TEST(Executor, NewShapesNeedNoFurtherWeights) {
  Network net = network_of_constant_nodes();
  SessionOptions few = options(true);
  few.plan_cache = 3;
  const Executor executor(net.graph, few);
  EXPECT_EQ(executor.packed_weight_bytes(), 0) << "nothing is packed before the first plan";
  executor.run({{"x", net.tensor({1, 16, 8, 20})}});
  const int64_t one_shape = executor.packed_weight_bytes();
  EXPECT_GE(one_shape, 4 * (24 * 16 * 9 + 32 * 24 * 9)) << "both convolutions' weights are packed";
  int64_t most = one_shape;
  for (int64_t width = 1; width <= 60; ++width) {
    executor.run({{"x", net.tensor({1, 16, 8, width})}});
    most = std::max(most, executor.packed_weight_bytes());
  }
  // Layouts of weights differ between narrow and wide images; few plans know few of them.
  EXPECT_LE(most, 3 * one_shape);
}

TEST(Executor, WeightsGoWithTheLastPlanThatUsesThem) {
  Network net = network_of_constant_nodes();
  auto executor = std::make_unique<Executor>(net.graph, options(true));
  const auto plan = executor->plan({{"x", net.tensor({1, 16, 8, 20})}});
  const NamedValues inputs{{"x", net.tensor({1, 16, 8, 20})}};
  const NamedValues expected = executor->run(inputs);
  executor.reset();
  Execution execution(plan);  // the weights are the plan's own
  const void* const address = inputs.at("x").tensor().bytes().data();
  Tensor y = make_output(*plan, 0);
  void* const place = y.mutable_raw();
  const WorkingBlock block = WorkingMemory().take(working_bytes(*plan));
  execution.run(std::span(&address, 1), std::span(&place, 1), block.memory.get());
  EXPECT_TRUE(identical(y, expected.at("y").tensor()));
}

TEST(Executor, SizesMayContradictASymbol) {
  Network net;
  const auto a = net.input("a", {ir::Dim("N"), 2});
  const auto b = net.input("b", {ir::Dim("N"), 2});
  net.output("rows", net.node("Concat", {a, b}, {{"axis", int64_t{0}, {}}}));
  SessionOptions logging = options(true);
  std::vector<std::string> log, plans;
  logging.log = [&](LogLevel level, const std::string& message) {
    (level == LogLevel::kWarning ? log : plans).push_back(message);
  };
  const Executor executor(net.graph, logging);
  executor.run({{"a", net.tensor({3, 2})}, {"b", net.tensor({3, 2})}});
  EXPECT_TRUE(log.empty());
  const NamedValues inputs{{"a", net.tensor({3, 2})}, {"b", net.tensor({4, 2})}};
  const Tensor rows = executor.run(inputs).at("rows").tensor();
  EXPECT_EQ(rows.shape()[0], 7);
  executor.run(inputs);
  EXPECT_EQ(log,
            std::vector<std::string>{R"("N" is 3 in input "a" and 4 in input "b"; the plan is made for these sizes)"});
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_TRUE(plans[1].starts_with("a plan of 1 steps for a float32[3, 2], b float32[4, 2] was made in ")) << plans[1];
}

TEST(Executor, AnOperatorThatCanNotTakeTheSizesNamesTheSymbol) {
  Network net;
  const auto a = net.input("a", {ir::Dim("N"), 2});
  const auto b = net.input("b", {ir::Dim("N"), 2});
  net.output("sum", net.node("Add", {a, b}));
  const Executor executor(net.graph, options(true));
  const Tensor sum = executor.run({{"a", net.tensor({3, 2})}, {"b", net.tensor({1, 2})}}).at("sum").tensor();
  EXPECT_EQ(sum.shape()[0], 3);
  std::string text;
  EXPECT_EQ(code_of(
                [&] {
                  executor.run({{"a", net.tensor({3, 2})}, {"b", net.tensor({4, 2})}});
                },
                &text),
            ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find(R"("N" is 3 in input "a" and 4 in input "b")"), std::string::npos) << text;
  EXPECT_NE(text.find("--dim N="), std::string::npos) << text;
}

/// How many elements are NaN.
size_t nan_count(const Value& value) {
  return static_cast<size_t>(
      std::ranges::count_if(value.tensor().data<float>(), [](float v) { return std::isnan(v); }));
}

TEST(Executor, NanInAnInputMeetsNoFusedActivation) {
  for (const std::string activation : {"Relu", "HardSigmoid", "Clip"}) {
    Network net;
    const auto x = net.input("x", {1, 3, 9, 7});
    std::vector<ValueId> operands{net.conv(x, 3, 8, 3)};
    if (activation == "Clip") operands.insert(operands.end(), {net.scalar(0), net.scalar(6)});
    net.output("y", net.node("Add", {net.conv(net.node(activation, operands), 8, 8, 1), net.conv(x, 3, 8, 1)}));
    const Executor fused(net.graph, options(true));
    const Executor plain(net.graph, options(false));
    Tensor image = net.tensor({1, 3, 9, 7});
    expect_equal(fused.run({{"x", image}}), plain.run({{"x", image}}));
    for (const float special : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Tensor spoilt = deep_copy(image);
      spoilt.mutable_data<float>()[30] = special;
      const NamedValues expected = plain.run({{"x", spoilt}});
      const NamedValues actual = fused.run({{"x", spoilt}});
      EXPECT_TRUE(!std::isnan(special) || nan_count(expected.at("y")) > 0);
      EXPECT_EQ(nan_count(actual.at("y")), nan_count(expected.at("y"))) << activation;
    }
    EXPECT_LT(fused.plan({{"x", image}})->steps.size(), plain.plan({{"x", image}})->steps.size());
  }
}

TEST(Executor, ThePlanForNanSharesWeights) {
  Network net;
  const auto x = net.input("x", {1, 32, 16, 16});
  net.output("y", net.node("Relu", {net.conv(x, 32, 64, 1)}));
  const Executor executor(net.graph, options(true));
  Tensor image = net.tensor({1, 32, 16, 16});
  executor.run({{"x", image}});
  const int64_t bytes = executor.packed_weight_bytes();
  EXPECT_GT(bytes, 0);
  image.mutable_data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_GT(nan_count(executor.run({{"x", image}}).at("y")), 0u);
  EXPECT_EQ(executor.packed_weight_bytes(), bytes);
}

TEST(Executor, NanInAConstantMeetsNoFusedActivation) {
  Network net;
  const auto x = net.input("x", {1, 3, 5, 4});
  Tensor bias = net.tensor({8});
  bias.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  const auto conv = net.node("Conv", {x, net.weight({8, 3, 1, 1}), net.graph.add_constant(bias, "bias")});
  net.output("y", net.node("Relu", {conv}));
  const Executor executor(net.graph, options(true));
  EXPECT_EQ(nan_count(executor.run({{"x", net.tensor({1, 3, 5, 4})}}).at("y")), 20u);
}

TEST(Executor, NanInADefaultMeetsNoFusedActivation) {
  Network net;
  const auto x = net.input("x", {1, 3, 5, 4});
  Tensor bias = net.tensor({8});
  bias.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  const auto b = net.graph.add_input("b", ir::Type::of(bias));
  net.graph.set_default(b, bias, {}, false);
  net.output("y", net.node("Relu", {net.node("Conv", {x, net.weight({8, 3, 1, 1}), b})}));
  const Executor executor(net.graph, options(true));
  const Tensor image = net.tensor({1, 3, 5, 4});
  EXPECT_EQ(nan_count(executor.run({{"x", image}}).at("y")), 20u);
  EXPECT_EQ(nan_count(executor.run({{"x", image}, {"b", net.tensor({8})}}).at("y")), 0u);
}

TEST(Executor, AnInfiniteBoundOfClipIsNoReasonNotToFuse) {
  Network net;
  const auto x = net.input("x", {1, 3, 5, 4});
  const auto bounds = {net.scalar(0), net.scalar(std::numeric_limits<float>::infinity())};
  std::vector<ValueId> operands{net.conv(x, 3, 8, 1)};
  operands.insert(operands.end(), bounds);
  net.output("y", net.node("Clip", operands));
  const Executor executor(net.graph, options(true));
  const std::string plan = describe(*executor.plan({{"x", net.tensor({1, 3, 5, 4})}}), 0);
  EXPECT_NE(plan.find("Conv + Clip"), std::string::npos) << plan;
}

TEST(Executor, AnInputThatDecidesAShapeIsPartOfThePlan) {
  Network net;
  const auto x = net.input("x", {2, 6});
  const auto shape = net.input("shape", {2}, DataType::kInt64);
  net.output("y", net.node("Reshape", {x, net.node("Identity", {shape})}));
  const Executor executor(net.graph, options(true));
  const Tensor data = net.tensor({2, 6});
  for (const std::vector<int64_t>& wanted : {std::vector<int64_t>{3, 4}, {12, 1}, {4, -1}}) {
    const NamedValues outputs = executor.run({{"x", data}, {"shape", int64_tensor(wanted)}});
    EXPECT_EQ(outputs.at("y").shape()[0], wanted[0]);
    EXPECT_TRUE(std::ranges::equal(outputs.at("y").data<float>(), data.data<float>()));
  }
  EXPECT_EQ(code_of([&] {
              executor.run({{"x", data}, {"shape", int64_tensor(std::vector<int64_t>{5, 5})}});
            }),
            ErrorCode::kInvalidModel);
}

/// A branch of one node on a captured value.
ir::Subgraph branch(Network& net, const std::string& op_type, ValueId captured, std::string domain = {}) {
  ir::Graph body(net.graph.opsets());
  const ValueId inner = body.add_capture(net.graph.name(captured), net.graph.type(captured));
  const ir::NodeId node = body.add_node({op_type, std::move(domain), "", {inner}, {{"result", {}, {}}}, {}, {}});
  body.add_output({"result", body.node(node).outputs[0], {}, {}});
  return {std::make_shared<const ir::Graph>(std::move(body)), {captured}};
}

/// y = batch == 1 ? Neg(x) : Exp(x), both through a condition that follows from the shape.
Network branching_network() {
  Network net(13);
  const auto x = net.input("x", {ir::Dim("batch"), 3});
  const auto batch = net.node("Gather", {net.node("Shape", {x}), net.ints({0})});
  const auto condition = net.node("Squeeze", {net.node("Equal", {batch, net.ints({1})})});
  net.output("y", net.node("Relu", {net.node("If", {condition},
                                             {{"then_branch", branch(net, "Neg", x), {}},
                                              {"else_branch", branch(net, "Exp", x), {}}})}));
  return net;
}

TEST(Executor, TakesTheBranchThatAShapeDecides) {
  Network net = branching_network();
  const Executor executor(net.graph, options(true));
  for (const int64_t batch : {1, 2}) {
    const Tensor x = net.tensor({batch, 3});
    const NamedValues outputs = executor.run({{"x", x}});
    for (size_t i = 0; i < x.size(); ++i) {
      const float value = x.data<float>()[i];
      EXPECT_FLOAT_EQ(outputs.at("y").data<float>()[i], batch == 1 ? std::max(-value, 0.0f) : std::exp(value));
    }
  }
}

Tensor boolean(bool value) {
  Tensor tensor(DataType::kBool, {});
  tensor.mutable_data<bool>()[0] = value;
  return tensor;
}

TEST(Executor, TakesTheBranchThatAnInputDecides) {
  Network net(13);
  const auto x = net.input("x", {1, 3});
  const auto condition = net.input("condition", {}, DataType::kBool);
  const auto other = net.node("Not", {condition});
  net.output("y", net.node("If", {other},
                           {{"then_branch", branch(net, "Neg", x), {}}, {"else_branch", branch(net, "Exp", x), {}}}));
  const Executor executor(net.graph, options(true));
  const Tensor data = net.tensor({1, 3});
  for (const bool value : {true, false, true}) {
    const NamedValues outputs = executor.run({{"x", data}, {"condition", boolean(value)}});
    for (size_t i = 0; i < data.size(); ++i)
      EXPECT_FLOAT_EQ(outputs.at("y").data<float>()[i],
                      value ? std::exp(data.data<float>()[i]) : -data.data<float>()[i]);
  }
  EXPECT_EQ(executor.statistics().plans, 2);
}

TEST(Executor, WhatDecidesAShapeInABranchIsPartOfThePlan) {
  Network net(13);
  const auto x = net.input("x", {2, 6});
  const auto shape = net.input("shape", {2}, DataType::kInt64);
  const auto condition = net.input("condition", {}, DataType::kBool);
  const auto reshaping = [&] {
    ir::Graph body(net.graph.opsets());
    const ValueId inner = body.add_capture("x", net.graph.type(x)),
                  wanted = body.add_capture("shape", net.graph.type(shape));
    const ir::NodeId node = body.add_node({"Reshape", "", "", {inner, wanted}, {{"result", {}, {}}}, {}, {}});
    body.add_output({"result", body.node(node).outputs[0], {}, {}});
    return ir::Subgraph{std::make_shared<const ir::Graph>(std::move(body)), {x, shape}};
  };
  net.output(
      "y", net.node("If", {condition}, {{"then_branch", reshaping(), {}}, {"else_branch", branch(net, "Exp", x), {}}}));
  const Executor executor(net.graph, options(true));
  for (const std::vector<int64_t>& wanted : {std::vector<int64_t>{3, 4}, {12, 1}}) {
    const NamedValues outputs =
        executor.run({{"x", net.tensor({2, 6})}, {"shape", int64_tensor(wanted)}, {"condition", boolean(true)}});
    EXPECT_EQ(outputs.at("y").shape()[0], wanted[0]);
  }
}

TEST(Executor, RefusesABranchThatMuchDataDecides) {
  Network net(13);
  const auto x = net.input("x", {1, 20000});
  const auto condition = net.node("Less", {net.node("ReduceMax", {x}, {{"keepdims", int64_t{0}, {}}}), net.scalar(0)});
  net.output("y", net.node("If", {condition},
                           {{"then_branch", branch(net, "Neg", x), {}}, {"else_branch", branch(net, "Exp", x), {}}}));
  const Executor executor(net.graph, options(true));
  std::string text;
  EXPECT_EQ(code_of([&] { executor.run({{"x", net.tensor({1, 20000})}}); }, &text), ErrorCode::kUnsupported);
  EXPECT_NE(text.find("decides a shape or a branch"), std::string::npos) << text;
}

TEST(Executor, RefusesWhatABranchMayNotHold) {
  const auto refusal = [](const std::string& op_type, std::string domain, std::string_view attribute) {
    Network net(13);
    const auto x = net.input("x", {1, 3});
    const auto no = net.graph.add_constant(Tensor(DataType::kBool, {}), "no");
    net.output("y", net.node("If", {no},
                             {{"then_branch", branch(net, "Neg", x), {}},
                              {std::string(attribute), branch(net, op_type, x, std::move(domain)), {}}}));
    std::string text;
    const ErrorCode code = code_of([&] { Executor(net.graph, options(true)).run({{"x", net.tensor({1, 3})}}); }, &text);
    return std::pair(code, text);
  };
  EXPECT_EQ(refusal("NoSuchOperator", "", "else_branch").first, ErrorCode::kUnsupported);
  EXPECT_EQ(refusal("Swish", std::string(ops::kInternalDomain), "else_branch").first, ErrorCode::kUnsupported);
  const auto [code, text] = refusal("Neg", "", "other_branch");
  EXPECT_EQ(code, ErrorCode::kInvalidModel);
  EXPECT_NE(text.find("else_branch is missing"), std::string::npos) << text;
}

TEST(Executor, AnOperandOfWhichOnlyTheTypeCountsIsNoPartOfThePlan) {
  Network net(15);
  const auto x = net.input("x", {ir::Dim("batch"), 3});
  const auto size = net.input("size", {1}, DataType::kInt64);  // only its type counts
  const auto length = net.node("CastLike", {net.scalar(6), size});
  net.output("y", net.node("Reshape", {x, net.node("Reshape", {length, net.ints({1})})}));
  const Executor executor(net.graph, options(true));
  const auto plan = [&](int64_t value) {
    return executor.plan({{"x", net.tensor({2, 3})}, {"size", int64_tensor(std::vector<int64_t>{value})}});
  };
  EXPECT_EQ(plan(1), plan(2));
  const NamedValues outputs =
      executor.run({{"x", net.tensor({2, 3})}, {"size", int64_tensor(std::vector<int64_t>{9})}});
  EXPECT_EQ(outputs.at("y").shape()[0], 6);
}

TEST(Executor, KeepsNothingOfItsCallers) {
  Network net;
  const auto x = net.input("x", {2, 6});
  const auto shape = net.input("shape", {2}, DataType::kInt64);
  net.output("y", net.node("Reshape", {x, shape}));
  net.output("same", net.node("Identity", {shape}));
  const Executor executor(net.graph, options(true));
  const Tensor data = net.tensor({2, 6});
  std::vector<int64_t> wanted{3, 4};
  Tensor owned = int64_tensor(wanted);
  const auto run = [&](const Tensor& shape_tensor) {
    return executor.run({{"x", data}, {"shape", shape_tensor}}).at("same").tensor();
  };
  (void)run(Tensor::view<int64_t>({2}, std::span<const int64_t>(wanted)));
  wanted = {12, 1};  // the memory of the first call is its caller's again
  EXPECT_EQ(to_int64s(run(owned)), (std::vector<int64_t>{3, 4}));
  owned = int64_tensor(std::vector<int64_t>{4, 3});  // a new plan
  (void)run(owned);
  EXPECT_EQ(owned.mutable_data<int64_t>().size(), 2u);
}

TEST(Executor, OutputsBelongToTheCaller) {
  Network net;
  const auto x = net.input("x", {2});
  net.output("y", x);
  net.output("k", net.weight({3}));
  const Executor executor(net.graph, options(true));
  const NamedValues inputs{{"x", net.tensor({2})}};
  const Tensor first = executor.run(inputs).at("k").tensor();
  for (const char* name : {"y", "k"}) {
    Tensor output = executor.run(inputs).at(name).tensor();
    for (float& value : output.mutable_data<float>()) value = 7;
  }
  EXPECT_TRUE(identical(executor.run(inputs).at("k").tensor(), first));
}

TEST(Executor, AStringMayBeAConstantOutput) {
  Network net;
  const std::vector<std::string> words{"fold", "it"};
  net.output("words", net.graph.add_constant(Tensor::copy<std::string>({2}, std::span(words)), "words"));
  net.output("y", net.node("Relu", {net.input("x", {2})}));
  const Executor executor(net.graph, options(true));
  const NamedValues outputs = executor.run({{"x", net.tensor({2})}});
  EXPECT_TRUE(std::ranges::equal(outputs.at("words").data<std::string>(), words));
}

/// y = x + w, with w a graph input as well; as before IR version 4 when it can't be overridden.
Network with_default(bool overridable) {
  Network net;
  const auto x = net.input("x", {3});
  const auto w = net.graph.add_input("w", ir::Type::tensor(DataType::kFloat32));
  net.graph.set_default(w, Tensor::copy<float>({3}, std::array<float, 3>{1, 20, 300}), {}, !overridable);
  net.output("y", net.node("Add", {x, w}));
  net.output("w", w);
  return net;
}

TEST(Executor, AnInputMayTakeItsDefault) {
  const Tensor x = Tensor::copy<float>({3}, std::array<float, 3>{1, 2, 3});
  for (const bool overridable : {false, true}) {
    const Executor executor(with_default(overridable).graph, options(true));
    const NamedValues outputs = executor.run({{"x", x}});
    EXPECT_EQ(to_doubles(outputs.at("y").tensor()), (std::vector<double>{2, 22, 303}));
    EXPECT_EQ(to_doubles(outputs.at("w").tensor()), (std::vector<double>{1, 20, 300}));
  }
  const Tensor other = Tensor::copy<float>({1}, std::array<float, 1>{5});
  const NamedValues outputs = Executor(with_default(true).graph, options(true)).run({{"x", x}, {"w", other}});
  EXPECT_EQ(to_doubles(outputs.at("y").tensor()), (std::vector<double>{6, 7, 8}));
  EXPECT_EQ(to_doubles(outputs.at("w").tensor()), (std::vector<double>{5}));
}

/// A plan is made in the graph of the one before it: nothing of what that was bound to may be left.
TEST(Executor, APlanKnowsNothingOfThoseBefore) {
  Network net;
  const auto x = net.input("x", {ir::Dim("n"), 6});
  const auto shape = net.input("shape", {2}, DataType::kInt64);
  const auto w = net.graph.add_input("w", ir::Type::tensor(DataType::kFloat32));
  net.graph.set_default(w, Tensor::copy<float>({1}, std::array<float, 1>{3}), {}, false);
  const auto rows = net.node("Gather", {net.node("Shape", {x}), net.ints({0})});
  net.output("z", net.node("Mul", {net.node("Reshape", {net.node("Relu", {x}), shape}), w}));
  net.output("rows", net.node("Add", {rows, rows}));
  const Executor executor(net.graph, options(true));
  std::mt19937 random(4);
  for (int i = 0; i < 40; ++i) {
    const int64_t n = 1 + static_cast<int64_t>(random() % 5);
    const bool tall = random() % 2 == 0;
    NamedValues inputs{{"x", net.tensor({n, 6})}, {"shape", int64_tensor({{tall ? 2 * n : n, tall ? 3 : 6}})}};
    if (random() % 2 == 0) inputs.add("w", net.tensor({random() % 2 == 0 ? n * (tall ? 2 : 1) : 1, 1}));
    const NamedValues outputs = executor.run(inputs), alone = Executor(net.graph, options(true)).run(inputs);
    for (const char* name : {"z", "rows"})
      EXPECT_TRUE(identical(outputs.at(name).tensor(), alone.at(name).tensor())) << name << " of run " << i;
  }
}

TEST(Executor, AWeightThatIsDeclaredAsAnInputCanNotBeGiven) {
  const Executor executor(with_default(false).graph, options(true));
  const Tensor longer(DataType::kFloat32, {1000});
  std::string text;
  EXPECT_EQ(code_of([&] { executor.run({{"x", longer}, {"w", longer}}); }, &text), ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find("\"w\" is a weight"), std::string::npos) << text;
  EXPECT_EQ(code_of([&] { executor.run({{"v", longer}}); }, &text), ErrorCode::kInvalidArgument);
  EXPECT_EQ(text.find("\"w\""), std::string::npos) << text;
}

TEST(Executor, AShapeThatIsKnownIsNoReader) {
  Network net;
  const auto x = net.input("x", {1, 4, ir::Dim("height"), ir::Dim("width")});
  const auto lateral = net.conv(x, 4, 8, 1);
  const auto top = net.conv(
      net.node("MaxPool", {x},
               {{"kernel_shape", std::vector<int64_t>{2, 2}, {}}, {"strides", std::vector<int64_t>{2, 2}, {}}}),
      4, 8, 3);
  const auto up = net.node("Resize", {top, {}, {}, net.node("Shape", {lateral})});
  net.output("y", net.node("Add", {lateral, up}));
  const Executor executor(net.graph, options(true));
  const NamedValues inputs{{"x", net.tensor({1, 4, 6, 10})}};
  const std::string plan = describe(*executor.plan(inputs), 0);
  EXPECT_NE(plan.find("Conv + Add"), std::string::npos) << plan;
  expect_equal(executor.run(inputs), test::run_each_node(net.graph, inputs));
}

TEST(Executor, RefusesInputsThatDoNotFit) {
  Network net = residual_network();
  const Executor executor(net.graph, options(true));
  std::string text;
  EXPECT_EQ(code_of([&] { executor.run({}); }, &text), ErrorCode::kInvalidArgument);
  EXPECT_NE(text.find("float32[batch, 3, 16, 12]"), std::string::npos) << text;
  EXPECT_EQ(code_of([&] { executor.run({{"y", net.tensor({1, 3, 16, 12})}}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { executor.run({{"x", net.tensor({1, 3, 16, 13})}}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { executor.run({{"x", net.tensor({3, 16, 12})}}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] {
              executor.run({{"x", Tensor(DataType::kInt64, {1, 3, 16, 12})}});
            }),
            ErrorCode::kInvalidArgument);
  const NamedValues twice{{"x", net.tensor({1, 3, 16, 12})}, {"x", net.tensor({1, 3, 16, 12})}};
  EXPECT_EQ(code_of([&] { executor.run(twice); }), ErrorCode::kInvalidArgument);
  SessionOptions negative = options(true);
  negative.threads = -1;
  EXPECT_EQ(code_of([&] { Executor(net.graph, negative); }), ErrorCode::kInvalidArgument);
}

TEST(Executor, ListsEverythingUnsupportedAtOnce) {
  Network net;
  const auto x = net.input("x", {2, 6});
  net.output("y", net.node("NoSuchOperator", {net.node("NorThisOne", {net.node("Relu", {x})})}));
  std::string text;
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)); }, &text), ErrorCode::kUnsupported);
  EXPECT_NE(text.find("NoSuchOperator"), std::string::npos) << text;
  EXPECT_NE(text.find("NorThisOne"), std::string::npos) << text;
}

TEST(Executor, ListsEverythingThatItCanNotCompileAtOnce) {
  Network net;
  const auto x = net.input("x", {2, 6});
  const auto to_float8 = [&](ValueId value) {
    return net.node("Cast", {value}, {{"to", static_cast<int64_t>(DataType::kFloat8E5M2), {}}});
  };
  net.output("y", to_float8(x));
  net.output("z", to_float8(net.node("Relu", {x})));
  net.output("again", to_float8(net.node("Abs", {x})));
  const Executor executor(net.graph, options(true));
  std::string text;
  EXPECT_EQ(code_of([&] { executor.run({{"x", net.tensor({2, 6})}}); }, &text), ErrorCode::kUnsupported);
  for (const char* name : {"\"Cast\"", "\"Cast_1\"", "\"Cast_2\""})
    EXPECT_NE(text.find(name), std::string::npos) << text;
}

TEST(Executor, ErrorsWhileRunningNameTheNode) {
  Network net;
  const auto x = net.input("x", {3, 4});
  const auto indices = net.input("indices", {2}, DataType::kInt64);
  net.output("y", net.node("Gather", {net.node("Relu", {x}), indices}));
  const Executor executor(net.graph, options(true));
  std::string text;
  const NamedValues inputs{{"x", net.tensor({3, 4})}, {"indices", int64_tensor(std::vector<int64_t>{0, 3})}};
  EXPECT_EQ(code_of([&] { executor.run(inputs); }, &text), ErrorCode::kInvalidArgument);
  EXPECT_EQ(text, "Gather with output \"Gather\": index 3 is outside of a dimension of 3");
}

TEST(Executor, StatisticsOfTrainingAreNotGiven) {
  Network net(9);
  const auto x = net.input("x", {2, 3, 4, 5});
  const std::vector<ValueId> inputs{x, net.weight({3}), net.weight({3}), net.weight({3}), net.weight({3})};
  const ir::NodeId id = net.graph.add_node(
      {"BatchNormalization", "", "bn", inputs, {{"y", {}, {}}, {"mean", {}, {}}, {"var", {}, {}}}, {}, {}});
  net.output("y", net.graph.node(id).outputs[0]);
  const NamedValues given{{"x", net.tensor({2, 3, 4, 5})}};
  EXPECT_EQ(Executor(net.graph, options(true)).run(given).size(), 1u);
  net.output("mean", net.graph.node(id).outputs[1]);
  std::string text;
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)).run(given); }, &text), ErrorCode::kUnsupported);
  EXPECT_NE(text.find("statistics are read"), std::string::npos) << text;
  // Leaving out the output does not make it inference.
  EXPECT_EQ(code_of([&] { Executor(net.graph, options(true)).run(given, {.outputs = {"y"}}); }),
            ErrorCode::kUnsupported);
}

TEST(Executor, StopsAtItsLimits) {
  Network net = residual_network();
  SessionOptions small = options(true);
  small.limits.arena_bytes = 1000;
  EXPECT_EQ(code_of([&] {
              Executor(net.graph, small).run({{"x", net.tensor({1, 3, 16, 12})}});
            }),
            ErrorCode::kResourceLimit);
}

TEST(Executor, ChannelsLastFromTheFirstConvolutionToTheLast) {
  Network net;
  const auto x = net.input("x", {1, 3, 16, 12});
  auto y = net.node("Relu", {net.conv(x, 3, 16, 3)});
  for (int i = 0; i < 3; ++i)
    y = net.node("Relu", {net.node("Add", {net.conv(net.node("Relu", {net.conv(y, 16, 16, 3)}), 16, 16, 1), y})});
  y = net.node("MaxPool", {y},
               {{"kernel_shape", std::vector<int64_t>{2, 2}, {}}, {"strides", std::vector<int64_t>{2, 2}, {}}});
  net.output("y", net.node("Flatten", {net.node("GlobalAveragePool", {net.conv(y, 16, 16, 1)})}));
  const Executor executor(net.graph, options(true));
  const auto plan = executor.plan({{"x", net.tensor({1, 3, 16, 12})}});
  const auto reorders = std::ranges::count_if(plan->steps, [](const Step& step) { return step.group == "Reorder"; });
  EXPECT_LE(reorders, 2) << describe(*plan, 0);  // the network's input; the classifier's features into the output
}

}  // namespace
}  // namespace pli::exec
