// What a run leaves as it was, what ends it, and what its session keeps.

#include "runtime/compute/float_control.h"
#include "runtime/exec/executor.h"
#include "tests/exec/network.h"
#include "tests/expect_error.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <numeric>

namespace pli::exec {
namespace {

using test::fails_with;
using test::Network;

template <class T>
Tensor tensor_of(std::vector<T> values) {
  return Tensor::copy<T>({static_cast<int64_t>(values.size())}, std::span<const T>(values));
}

template <class T>
std::vector<T> values_of(const NamedValues& outputs, const std::string& name) {
  const auto data = outputs.at(name).data<T>();
  return {data.begin(), data.end()};
}

/// y = x * x of float32, z = w * w of float64.
ir::Graph squares() {
  Network net;
  const auto x = net.input("x", {ir::Dim("n")}), w = net.input("w", {ir::Dim("m")}, DataType::kFloat64);
  net.output("y", net.node("Mul", {x, x}));
  net.output("z", net.node("Mul", {w, w}));
  return std::move(net.graph);
}

TEST(FloatState, DenormalsOfFloat32AreZeroAndThoseOfFloat64AreNot) {
  for (const int threads : {1, 2}) {
    const Executor executor(squares(), {.threads = threads});
    // Enough for both threads to have some.
    const NamedValues inputs{{"x", tensor_of(std::vector<float>(200'000, 1e-20f))}, {"w", tensor_of<double>({1e-160})}};
    const NamedValues outputs = executor.run(inputs);
    EXPECT_EQ(values_of<float>(outputs, "y"), std::vector<float>(200'000, 0.0f));
    EXPECT_EQ(values_of<double>(outputs, "z"), (std::vector<double>{1e-160 * 1e-160}));
  }
}

TEST(FloatState, IsTheCallersAgainAfterARun) {
  const Executor executor(squares(), {.threads = 2});
  std::vector<float> x(200'000);
  std::iota(x.begin(), x.end(), 0.7f);
  const NamedValues inputs{{"x", tensor_of(x)}, {"w", tensor_of<double>({3.1})}};
  std::fesetround(FE_UPWARD);
  std::feclearexcept(FE_ALL_EXCEPT);
  const compute::FloatControl before = compute::float_control();
  const NamedValues upward = executor.run(inputs);
  const compute::FloatControl after = compute::float_control();
  std::fesetround(FE_TONEAREST);
  EXPECT_EQ(before, after);
  const NamedValues nearest = executor.run(inputs);
  for (const char* name : {"y", "z"}) EXPECT_TRUE(identical(upward.at(name).tensor(), nearest.at(name).tensor()));
}

TEST(Interrupt, EndsAStepThatHasBegun) {
  for (const int threads : {1, 2}) {
    Network net;
    const auto x = net.input("x", {3000, 1500});
    net.output("y", net.node("MatMul", {x, net.weight({1500, 3000})}));  // 13.5e9 multiply-adds in one step
    const Executor executor(net.graph, {.threads = threads});
    const NamedValues inputs{{"x", net.tensor({3000, 1500})}};
    executor.prepare(inputs);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
    EXPECT_TRUE(fails_with(ErrorCode::kCancelled, "deadline", [&] { executor.run(inputs, {.deadline = deadline}); }));
  }
}

TEST(Plans, ShareTheMemoryThatTheyWorkIn) {
  Network net;
  const auto x = net.input("x", {ir::Dim("n")});
  net.output("y", net.node("Exp", {net.node("Softmax", {net.node("Exp", {x})})}));
  const Executor executor(net.graph, {.threads = 1, .plan_cache = 2});
  const auto run = [&](int64_t n) {
    executor.run({{"x", Tensor(DataType::kFloat32, {n})}});
    return executor.statistics().working_bytes;
  };
  const int64_t small = run(1000);
  const int64_t large = run(100'000);
  EXPECT_GT(small, 0);
  EXPECT_GE(large, 100 * small / 2);
  EXPECT_EQ(run(1000), large);                 // where the larger one worked
  EXPECT_LE(run(105'000), large + large / 4);  // a little more than it takes
  EXPECT_EQ(run(106'000), run(107'000));       // with what was added
  run(3000);
  EXPECT_LT(run(2000), large);  // whose plan has left
  EXPECT_EQ(executor.statistics().plans, 2);
}

TEST(Plans, TakeNoMoreThanTheirLimit) {
  Network net;
  const auto x = net.input("x", {ir::Dim("n")});
  net.output("y", net.node("Neg", {net.node("Exp", {x})}));
  SessionOptions options{.threads = 1};
  const auto bytes_after = [&](int64_t plans) {
    const Executor executor(net.graph, options);
    for (int64_t n = 1; n <= plans; ++n) executor.run({{"x", Tensor(DataType::kFloat32, {n})}});
    return executor.statistics();
  };
  const int64_t one = bytes_after(1).plan_bytes;
  EXPECT_GT(one, 0);
  EXPECT_EQ(bytes_after(5).plans, 5);
  options.limits.plan_bytes = 3 * one;
  EXPECT_EQ(bytes_after(5).plans, 3);
  EXPECT_LE(bytes_after(5).plan_bytes, 3 * one);
  options.limits.plan_bytes = 0;
  EXPECT_EQ(bytes_after(5).plans, 1);
  EXPECT_EQ(bytes_after(5).plans_compiled, 5);
}

TEST(Plans, CountTheConstantsThatAreMadeForThem) {
  Network net(17);
  const auto x = net.input("x", {ir::Dim("n"), 4});
  const auto rows = net.node("Gather", {net.node("Shape", {x}), net.ints({0})});
  const auto zeros = net.node("ConstantOfShape", {rows}, {{"value", Tensor(DataType::kFloat32, {1}), {}}});
  net.output("y", net.node("Add", {x, net.node("Unsqueeze", {net.node("Exp", {zeros}), net.ints({1})})}));
  const Executor executor(net.graph, {.threads = 1});
  int64_t before = 0;
  for (const int64_t n : {1000, 1001, 1002, 1003}) {
    executor.run({{"x", Tensor(DataType::kFloat32, {n, 4})}});
    const int64_t bytes = executor.statistics().plan_bytes;
    EXPECT_GE(bytes - before, n * 4) << n;
    before = bytes;
  }
}

/// Twice its bytes may be made of a default that a run takes, as of other constants.
TEST(Plans, FoldWhatDependsOnLargeDefaults) {
  Network net(17);
  const auto x = net.input("x", {2, 4000});
  const auto w = net.graph.add_input("w", ir::Type::tensor(DataType::kFloat32));
  net.graph.set_default(w, net.tensor({3000, 4000}), {}, false);
  net.output("y", net.node("MatMul", {x, net.node("Transpose", {w})}));
  SessionOptions options{.threads = 1};
  options.limits.folded_bytes = 1000;
  const auto steps = Executor(net.graph, options).plan({{"x", net.tensor({2, 4000})}})->steps.size();
  EXPECT_EQ(steps, 1u);
}

TEST(Plans, TakeADirectConvolutionWhereAnotherWouldPassTheirLimit) {
  Network net;
  net.output("y", net.conv(net.input("x", {1, 32, 20, 20}), 32, 32, 3));
  const NamedValues inputs{{"x", net.tensor({1, 32, 20, 20})}};
  SessionOptions options{.threads = 1};
  const Executor fast(net.graph, options);
  const auto plan = fast.plan(inputs);
  EXPECT_NE(describe(*plan, 0).find("[winograd 4x4]"), std::string::npos) << describe(*plan, 0);
  ASSERT_GT(plan->scratch_bytes, plan->arena_bytes);
  options.limits.arena_bytes = plan->scratch_bytes - 1;  // smaller blocks of tiles, the same bits
  for (const int threads : {1, 3}) {
    options.threads = threads;
    const Executor smaller(net.graph, options);
    EXPECT_NE(describe(*smaller.plan(inputs), 0).find("[winograd 4x4]"), std::string::npos) << threads;
    EXPECT_EQ(values_of<float>(smaller.run(inputs), "y"), values_of<float>(fast.run(inputs), "y")) << threads;
  }
  options.limits.arena_bytes = plan->arena_bytes;
  const Executor limited(net.graph, options);
  const std::string text = describe(*limited.plan(inputs), 0);
  EXPECT_NE(text.find("[direct]"), std::string::npos) << text;
  const auto a = values_of<float>(fast.run(inputs), "y"), b = values_of<float>(limited.run(inputs), "y");
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4f);
}

TEST(Plans, TakeADirectConvolutionWhereSumsAreToBeTheirOwn) {
  Network net;
  net.output("y", net.conv(net.input("x", {1, 32, 20, 20}), 32, 32, 3));
  const NamedValues inputs{{"x", net.tensor({1, 32, 20, 20})}};
  const Executor fast(net.graph, {.threads = 1});
  const Executor exact(net.graph, {.threads = 1, .precision = Precision::kFloat32Exact});
  EXPECT_NE(describe(*fast.plan(inputs), 0).find("[winograd 4x4]"), std::string::npos);
  const std::string text = describe(*exact.plan(inputs), 0);
  EXPECT_NE(text.find("[direct]"), std::string::npos) << text;
  const auto a = values_of<float>(fast.run(inputs), "y"), b = values_of<float>(exact.run(inputs), "y");
  EXPECT_NE(a, b);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4f);
}

TEST(RunInto, ComputesTheOutputsThatItHasMemoryForAndNoOthers) {
  const Executor executor(squares(), {.threads = 1});
  const NamedValues inputs{{"x", tensor_of<float>({2, 3})}, {"w", tensor_of<double>({4})}};
  std::vector<float> y(2);
  const std::vector<OutputMemory> outputs{{"y", y}};
  executor.run(inputs, outputs, {});
  EXPECT_EQ(y, (std::vector<float>{4, 9}));
  std::vector<double> z(1);
  executor.prepare(inputs);
  const int64_t compiled = executor.statistics().plans_compiled;
  const std::vector<OutputMemory> all{{"z", z}, {"y", y}};
  executor.run(inputs, all, {});
  EXPECT_EQ(z, (std::vector<double>{16}));
  EXPECT_EQ(executor.run(inputs, {.outputs = {"z", "y", "z"}}).size(), 2u);
  EXPECT_EQ(executor.statistics().plans_compiled, compiled) << "all outputs are the plan that was prepared";
  const auto refused = [&](std::span<const OutputMemory> memory, const RunOptions& options, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { executor.run(inputs, memory, options); });
  };
  EXPECT_TRUE(refused({}, {}, "no others"));
  EXPECT_TRUE(refused(outputs, {.outputs = {"z"}}, "no others"));
  EXPECT_TRUE(refused(outputs, {.memory = outputs}, "no others"));
  std::vector<float> floats(1);
  EXPECT_TRUE(refused(std::vector<OutputMemory>{{"z", floats}}, {}, "memory is for 1 elements of float32"));
  EXPECT_TRUE(refused(std::vector<OutputMemory>{{"x", floats}}, {}, "no output \"x\""));
  EXPECT_TRUE(refused(std::vector<OutputMemory>{{"y", y}, {"y", y}}, {}, "overlaps"));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(
      fails_with(ErrorCode::kCancelled, "token", [&] { executor.run(inputs, outputs, {.stop = stop.get_token()}); }));
}

}  // namespace
}  // namespace pli::exec
