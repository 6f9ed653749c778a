// Inputs that have a default: folded until a run gives one.

#include "tests/exec/expect.h"
#include "tests/exec/network.h"

#include <pli/pli.h>

#include <thread>

namespace pli {
namespace {

using test::Network;

/// Conv, BatchNormalization and Relu whose weights and statistics all are inputs with a default.
struct Overridable {
  Network net;
  Tensor weight = net.tensor({6, 3, 3, 3});
  Tensor image = net.tensor({1, 3, 9, 7});

  ir::ValueId with_default(const std::string& name, Tensor tensor) {
    const ir::ValueId id = net.graph.add_input(name, ir::Type::of(tensor));
    net.graph.set_default(id, std::move(tensor), {}, false);
    return id;
  }

  /// The model with `value` as the default of "w".
  Model model(const Tensor& value) {
    net = Network(14, 7);  // the same other weights each time
    const auto x = net.input("x", {1, 3, 9, 7});
    const auto conv = net.node("Conv", {x, with_default("w", value), with_default("b", net.tensor({6}))});
    std::vector<ir::ValueId> inputs{conv};
    for (const char* name : {"scale", "bias", "mean"}) inputs.push_back(with_default(name, net.tensor({6})));
    Tensor variance = net.tensor({6});
    for (float& v : variance.mutable_data<float>()) v = v * v + 0.5f;
    inputs.push_back(with_default("variance", variance));
    net.output("y", net.node("Relu", {net.node("BatchNormalization", inputs)}));
    ir::Model made;
    made.ir_version = 6;
    made.opsets = net.graph.opsets();
    made.graph = net.graph;
    return Model(std::make_shared<const ir::Model>(std::move(made)));
  }
};

TEST(Defaults, AreFolded) {
  Overridable made;
  const Session session(made.model(made.weight), {.threads = 1});
  ASSERT_EQ(session.report().batch_norms.size(), 1u);
  EXPECT_TRUE(session.report().batch_norms[0].folded);
  EXPECT_EQ(session.inputs().size(), 7u) << "they are inputs all the same";
  const std::string plan = session.describe_plan({{"x", made.image}});
  EXPECT_NE(plan.find("Conv + Relu"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("BatchNormalization"), std::string::npos) << plan;
}

TEST(Defaults, AreAsGoodAsGiven) {
  for (const bool optimize : {true, false}) {
    Overridable made;
    const Tensor other = made.net.tensor({6, 3, 3, 3});
    const SessionOptions options{.threads = 1, .optimize = optimize};
    const NamedValues expected = Session(made.model(other), options).run({{"x", made.image}});
    const Session session(made.model(made.weight), options);
    const NamedValues before = session.run({{"x", made.image}});
    test::expect_equal(session.run({{"x", made.image}, {"w", other}}), expected);
    test::expect_equal(session.run({{"w", made.weight}, {"x", made.image}}), before);
    test::expect_equal(session.run({{"x", made.image}}), before);
    EXPECT_THROW((void)session.run({{"x", made.image}, {"w", made.net.tensor({6, 3, 3, 2})}}), Error);
  }
}

TEST(Defaults, MayBeGivenByManyThreadsAtOnce) {
  Overridable made;
  const Tensor other = made.net.tensor({6, 3, 3, 3});
  const SessionOptions options{.threads = 1};
  const NamedValues expected = Session(made.model(other), options).run({{"x", made.image}});
  const Session session(made.model(made.weight), options);
  std::vector<NamedValues> results(4);
  std::vector<std::thread> threads;
  for (NamedValues& result : results)
    threads.emplace_back([&] { result = session.run({{"x", made.image}, {"w", other}}); });
  for (std::thread& thread : threads) thread.join();
  for (const NamedValues& result : results) test::expect_equal(result, expected);
}

TEST(Defaults, WhatIsLoggedMayCallTheSession) {
  Overridable made;
  const Session* logging = nullptr;
  int64_t plans = -1;
  SessionOptions options{.threads = 1};
  options.log = [&](LogLevel, const std::string&) {
    if (logging && plans < 0) plans = logging->statistics().plans;
  };
  const Session session(made.model(made.weight), options);
  logging = &session;
  (void)session.run({{"x", made.image}, {"w", made.weight}});
  EXPECT_EQ(plans, 1) << "of the shapes that the model declares";
}

TEST(Defaults, AreLeftAloneWhenTheOptionsSaySo) {
  Overridable made;
  const Session session(made.model(made.weight), {.threads = 1, .fold_defaults = false});
  EXPECT_FALSE(session.report().batch_norms.at(0).folded);
  const Session folded(made.model(made.weight), {.threads = 1});
  test::expect_equal(session.run({{"x", made.image}}), folded.run({{"x", made.image}}));
}

/// Conv of one product a result and BatchNormalization, in halves: what a session folds is not rounded on the way.
TEST(HalfSession, FoldsWithoutRounding) {
  for (const DataType dtype : {DataType::kFloat16, DataType::kBfloat16}) {
    test::Network net(15, 3);
    const auto halves = [&](Shape shape, bool positive) {
      Tensor tensor = net.tensor(std::move(shape));
      for (float& value : tensor.mutable_data<float>()) value = positive ? std::abs(value) + 0.5f : value;
      return from_doubles(dtype, Shape(tensor.shape().begin(), tensor.shape().end()), to_doubles(tensor));
    };
    const auto x = net.input("x", {1, 6, 3, 4}, dtype);
    std::vector<Tensor> constants{halves({6, 1, 1, 1}, false)};
    for (const bool positive : {false, false, false, true}) constants.push_back(halves({6}, positive));
    std::vector<ir::ValueId> ids;
    for (const Tensor& constant : constants) ids.push_back(net.graph.add_constant(constant, "constant"));
    const auto conv = net.node("Conv", {x, ids[0]}, {{"group", int64_t{6}, {}}});
    net.output("y", net.node("BatchNormalization", {conv, ids[1], ids[2], ids[3], ids[4]}));
    ir::Model made;
    made.ir_version = 8;
    made.opsets = net.graph.opsets();
    made.graph = net.graph;
    const Session session(Model(std::make_shared<const ir::Model>(made)), {.threads = 1});
    EXPECT_TRUE(session.report().batch_norms.at(0).folded);

    const Tensor image = halves({1, 6, 3, 4}, false);
    const NamedValues outputs = session.run({{"x", image}});
    const std::vector<double> found = to_doubles(outputs.at("y").tensor()), given = to_doubles(image);
    std::vector<std::vector<double>> numbers;
    for (const Tensor& constant : constants) numbers.push_back(to_doubles(constant));
    for (size_t i = 0; i < found.size(); ++i) {
      const size_t c = i / 12;
      const double scale = numbers[1][c] / std::sqrt(numbers[4][c] + static_cast<double>(1e-5f));
      const double exact = (given[i] * numbers[0][c] - numbers[3][c]) * scale + numbers[2][c];
      const double roundoff = dtype == DataType::kFloat16 ? 0x1p-11 : 0x1p-8;
      EXPECT_NEAR(found[i], exact, roundoff * std::abs(exact) + 1e-6) << i;
    }
  }
}

}  // namespace
}  // namespace pli
