// What a call to run can be asked beside its inputs, what can be done before it, and what a session says of itself.

#include "runtime/ir/graph.h"
#include "tests/expect_error.h"

#include <gtest/gtest.h>

#include <pli/pli.h>

#include <array>
#include <numeric>
#include <thread>

namespace pli::test {
namespace {

using Floats = std::vector<float>;

/// Of x float32[n, 3] and i int64[1]: "twice" = x + x, "row" = Gather(x, i), "same" = x, "fixed" = {7, 8}.
Model small_model() {
  auto model = std::make_shared<ir::Model>();
  model->ir_version = 8;
  model->opsets = std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 17}});
  model->graph = ir::Graph(model->opsets);
  ir::Graph& graph = model->graph;
  graph.name_of_graph = "small";
  const ir::ValueId x = graph.add_input("x", ir::Type::tensor(DataType::kFloat32, ir::Dims{ir::Dim("n"), 3}));
  const ir::ValueId i = graph.add_input("i", ir::Type::tensor(DataType::kInt64, ir::Dims{1}));
  const auto node = [&](const std::string& type, std::vector<ir::ValueId> inputs, const std::string& output) {
    const ir::NodeId id = graph.add_node({type, "", output, std::move(inputs), {{output, {}, {}}}, {}, {}});
    graph.add_output({output, graph.node(id).output(0), ir::Type::tensor(DataType::kFloat32), {}});
  };
  node("Add", {x, x}, "twice");
  node("Gather", {x, i}, "row");
  node("Identity", {x}, "same");
  const Floats fixed{7, 8};
  const ir::ValueId constant = graph.add_initializer("fixed", Tensor::copy<float>({2}, fixed));
  graph.add_output({"fixed", constant, ir::Type::tensor(DataType::kFloat32, ir::Dims{2}), {}});
  return Model(model);
}

NamedValues inputs_of(std::span<const float> x, int64_t row) {
  const auto rows = static_cast<int64_t>(x.size() / 3);
  return {{"x", Tensor::copy<float>({rows, 3}, x)}, {"i", Tensor::copy<int64_t>({1}, std::span(&row, 1))}};
}

Floats floats_of(const NamedValues& outputs, std::string_view name) {
  const auto data = outputs.at(name).data<float>();
  return {data.begin(), data.end()};
}

const Floats kX{1, 2, 3, 4, 5, 6};

TEST(RunOptions, SomeOutputsNeedOnlyWhatTheyNeed) {
  const Session session(small_model());
  const NamedValues wrong = inputs_of(kX, 5);  // there is no row 5
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "index 5", [&] { session.run(wrong); }));
  const NamedValues some = session.run(wrong, {.outputs = {"same", "twice"}});
  ASSERT_EQ(some.size(), 2u);
  EXPECT_EQ(some.begin()->first, "twice");  // in the model's order
  EXPECT_EQ(floats_of(some, "twice"), (Floats{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(floats_of(some, "same"), kX);
  EXPECT_EQ(floats_of(session.run(inputs_of(kX, 1), {.outputs = {"row"}}), "row"), (Floats{4, 5, 6}));
  EXPECT_EQ(floats_of(session.run(wrong, {.outputs = {"fixed"}}), "fixed"), (Floats{7, 8}));
  EXPECT_EQ(session.run(inputs_of(kX, 1)).size(), 4u);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "no output \"thrice\"",
                         [&] { session.run(wrong, {.outputs = {"thrice"}}); }));
}

TEST(RunOptions, OutputsAreWrittenToTheCallersMemory) {
  const Session session(small_model());
  Floats twice(6), same(6);
  std::array<float, 3> row{};
  std::array<float, 2> fixed{};
  const NamedValues outputs = session.run(
      inputs_of(kX, 1), {.memory = {{"fixed", fixed}, {"twice", twice}, {"row", std::span(row)}, {"same", same}}});
  EXPECT_EQ(twice, (Floats{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(row, (std::array<float, 3>{4, 5, 6}));
  EXPECT_EQ(same, kX);
  EXPECT_EQ(fixed, (std::array<float, 2>{7, 8}));
  EXPECT_EQ(outputs.at("twice").data<float>().data(), twice.data());
  EXPECT_EQ(to_string(outputs.at("row").shape()), "[1, 3]");

  // The next run takes other memory, and some of its own.
  Floats again(9);
  const Floats more{1, 1, 1, 2, 2, 2, 3, 3, 3};
  const NamedValues mixed =
      session.run(inputs_of(more, 2), {.outputs = {"twice", "row"}, .memory = {{"twice", again}}});
  EXPECT_EQ(again, (Floats{2, 2, 2, 4, 4, 4, 6, 6, 6}));
  EXPECT_EQ(floats_of(mixed, "row"), (Floats{3, 3, 3}));
  EXPECT_EQ(twice, (Floats{2, 4, 6, 8, 10, 12}));
}

TEST(RunOptions, MemoryThatDoesNotFitIsRefused) {
  const Session session(small_model());
  Floats good(6), small(5), overlapping(10);
  std::vector<double> doubles(6);
  const NamedValues inputs = inputs_of(kX, 0);
  const auto refused = [&](RunOptions options, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { session.run(inputs, options); });
  };
  EXPECT_TRUE(refused({.memory = {{"twice", small}}}, "memory is for 5 elements of float32"));
  EXPECT_TRUE(refused({.memory = {{"twice", doubles}}}, "memory is for 6 elements of float64"));
  EXPECT_TRUE(refused({.memory = {{"thrice", good}}}, "no output \"thrice\""));
  EXPECT_TRUE(
      refused({.outputs = {"row"}, .memory = {{"twice", good}}}, "\"twice\", which is not among those to compute"));
  EXPECT_TRUE(refused({.memory = {{"twice", good}, {"twice", good}}}, "overlaps"));
  const std::span<float> both(overlapping);
  EXPECT_TRUE(refused({.memory = {{"twice", both.first(6)}, {"same", both.last(6)}}}, "overlaps"));
  Floats x = kX;
  const NamedValues borrowed{{"x", Tensor::view<float>({2, 3}, x)}, {"i", Tensor(DataType::kInt64, {1})}};
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "overlaps", [&] {
    session.run(borrowed, {.memory = {{"twice", x}}});
  }));
  EXPECT_EQ(x, kX);
  EXPECT_EQ(floats_of(session.run(inputs, {.memory = {{"twice", good}}}), "twice"), (Floats{2, 4, 6, 8, 10, 12}));
}

TEST(RunOptions, ATokenAndADeadlineEndARun) {
  const Session session(small_model());
  const NamedValues inputs = inputs_of(kX, 0);
  std::stop_source source;
  EXPECT_EQ(session.run(inputs, {.stop = source.get_token()}).size(), 4u);
  source.request_stop();
  const auto cancelled = [&](const RunOptions& options, std::string_view words) {
    return fails_with(ErrorCode::kCancelled, words, [&] { session.run(inputs, options); });
  };
  EXPECT_TRUE(cancelled({.stop = source.get_token()}, "token"));
  const auto now = std::chrono::steady_clock::now();
  EXPECT_TRUE(cancelled({.deadline = now}, "deadline"));
  EXPECT_EQ(session.run(inputs, {.deadline = now + std::chrono::hours(1)}).size(), 4u);
  EXPECT_EQ(floats_of(session.run(inputs), "same"), kX);

  std::stop_source other;
  std::jthread stopper([&] { other.request_stop(); });
  EXPECT_TRUE(fails_with(ErrorCode::kCancelled, "token", [&] {
    for (;;) session.run(inputs, {.stop = other.get_token()});
  }));
}

TEST(Prepare, CompilesFromShapesAlone) {
  const Session session(small_model());
  EXPECT_EQ(session.statistics().plans_compiled, 0);
  session.prepare({{"x", {2, 3}}, {"i", {1}}});
  EXPECT_EQ(session.statistics().plans_compiled, 1);
  EXPECT_EQ(floats_of(session.run(inputs_of(kX, 0)), "row"), (Floats{1, 2, 3}));
  EXPECT_EQ(session.statistics().plans_compiled, 1);
  EXPECT_EQ(session.statistics().plans_reused, 1);
  const auto refused = [&](const std::map<std::string, Shape>& shapes, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { session.prepare(shapes); });
  };
  EXPECT_TRUE(refused({{"x", {2, 3}}}, "\"i\" is missing"));
  EXPECT_TRUE(refused({{"x", {2, 4}}, {"i", {1}}}, "\"x\" is float32[2, 4]"));
  EXPECT_TRUE(refused({{"x", {-1, 3}}, {"i", {1}}}, "[-1, 3]"));
  EXPECT_TRUE(refused({{"y", {2, 3}}, {"i", {1}}}, "no input \"y\""));
}

TEST(Statistics, CountPlansAndMemory) {
  const Session session = Session::load(PLI_SOURCE_DIR "/models/digits.onnx", {.plan_cache = 2});
  EXPECT_EQ(session.statistics().plans, 0);
  for (const int64_t batch : {1, 2, 3, 3}) session.run({{"image", Tensor(DataType::kFloat32, {batch, 1, 8, 8})}});
  const SessionStatistics statistics = session.statistics();
  EXPECT_EQ(statistics.plans, 2);
  EXPECT_EQ(statistics.plans_compiled, 3);
  EXPECT_EQ(statistics.plans_reused, 1);
  EXPECT_GT(statistics.working_bytes, 0);
  EXPECT_GT(statistics.packed_bytes, 0);
}

}  // namespace
}  // namespace pli::test
