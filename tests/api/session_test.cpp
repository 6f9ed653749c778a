// The public interface, used as a program that embeds Pli uses it.

#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <pli/pli.h>

#include <climits>
#include <cmath>
#include <thread>

#include <omp.h>

namespace pli {
namespace {

using test::fails_with;

const std::string kDigits = PLI_SOURCE_DIR "/models/digits.onnx";
const std::string kCase = PLI_SOURCE_DIR "/models/digits";

Tensor images(int set) { return load_tensor(kCase + "/test_data_set_" + std::to_string(set) + "/input_0.pb"); }
Tensor reference(int set) { return load_tensor(kCase + "/test_data_set_" + std::to_string(set) + "/output_0.pb"); }

void expect_near(const Tensor& actual, const Tensor& expected, float tolerance = 1e-4f) {
  ASSERT_EQ(to_string(actual.shape()), to_string(expected.shape()));
  const auto a = actual.data<float>();
  const auto b = expected.data<float>();
  for (size_t i = 0; i < b.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << i;
}

TEST(Session, RunsAModelAsPyTorchDoes) {
  const Session session = Session::load(kDigits);
  for (const int set : {0, 1}) expect_near(session.run({{"image", images(set)}}).at("logits").tensor(), reference(set));
}

TEST(Session, RunsInsideAParallelRegion) {
  const Session session = Session::load(kDigits, {.threads = 2});
  const Tensor expected = reference(1);
  std::vector<Tensor> results(3);
#pragma omp parallel for num_threads(3)
  for (size_t i = 0; i < 3; ++i) results[i] = session.run({{"image", images(1)}}).at("logits").tensor();
  for (const Tensor& result : results) expect_near(result, expected);
}

TEST(Session, DescribesInputsAndOutputs) {
  const Session session = Session::load(kDigits);
  ASSERT_EQ(session.inputs().size(), 1u);
  const ValueDescription& input = session.inputs()[0];
  EXPECT_EQ(input.name, "image");
  EXPECT_EQ(input.dtype, DataType::kFloat32);
  EXPECT_TRUE(input.has_shape);
  EXPECT_EQ(input.dimensions, (std::vector<std::string>{"batch", "1", "8", "8"}));
  EXPECT_EQ(input.shape, (Shape{-1, 1, 8, 8}));
  EXPECT_EQ(session.outputs()[0].name, "logits");
}

TEST(Session, WeightsThatAreDeclaredAsInputsAreNone) {
  const std::string folder = PLI_TESTDATA "/pytorch-converted/test_Conv2d_no_bias/";
  const Tensor x = load_tensor(folder + "test_data_set_0/input_0.pb");
  for (const bool optimize : {false, true}) {
    const Session session = Session::load(folder + "model.onnx", {.optimize = optimize});
    ASSERT_EQ(session.inputs().size(), 1u);  // of the two that the file declares, it being of IR version 3
    EXPECT_EQ(session.inputs()[0].name, "0");
    const NamedValues outputs = session.run({{"0", x}});
    expect_near(outputs.begin()->second.tensor(), load_tensor(folder + "test_data_set_0/output_0.pb"));
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "\"1\"", [&] { session.run({{"0", x}, {"1", x}}); }));
  }
}

TEST(Session, EverySettingGivesTheSameResults) {
  const Model model = Model::load(kDigits);
  for (const bool optimize : {false, true})
    for (const bool fuse : {false, true})
      for (const int threads : {1, 2, 3}) {
        SessionOptions options;
        options.optimize = optimize;
        options.fuse = fuse;
        options.threads = threads;
        const Session session(model, options);
        const int processors = static_cast<int>(std::thread::hardware_concurrency());
        EXPECT_EQ(session.threads(), std::min(threads, processors));
        EXPECT_EQ(session.report().batch_norms.size(), optimize ? 10u : 0u);
        expect_near(session.run({{"image", images(0)}}).at("logits").tensor(), reference(0));
      }
}

TEST(Session, ManyThreadsMayRunItAtOnce) {
  const Session session(Model::load(kDigits), {.threads = 1});
  const Tensor one = images(0);
  const Tensor many = images(1);
  const Tensor expected_one = session.run({{"image", one}}).at("logits").tensor();
  const Tensor expected_many = session.run({{"image", many}}).at("logits").tensor();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const bool big = (i + static_cast<int>(t)) % 4 == 0;
        const NamedValues outputs = session.run({{"image", big ? many : one}});
        const auto actual = outputs.at("logits").data<float>();
        const auto expected = (big ? expected_many : expected_one).data<float>();
        wrong[t] += !std::ranges::equal(actual, expected);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Session, ErrorsSayWhatIsWrongAndLeaveItUsable) {
  const Session session = Session::load(kDigits);
  const Tensor good = images(0);
  const auto refused = [&](const NamedValues& inputs, std::string_view words) {
    return fails_with(ErrorCode::kInvalidArgument, words, [&] { session.run(inputs); });
  };
  EXPECT_TRUE(refused({}, "\"image\" is missing"));
  EXPECT_TRUE(refused({{"imgae", good}}, "\"image\""));
  EXPECT_TRUE(refused({{"image", good}, {"image", good}}, "twice"));
  EXPECT_TRUE(refused({{"image", Tensor(DataType::kFloat64, {1, 1, 8, 8})}}, "expected float32[batch, 1, 8, 8]"));
  EXPECT_TRUE(refused({{"image", Tensor(DataType::kFloat32, {1, 1, 8, 9})}}, "expected float32[batch, 1, 8, 8]"));
  EXPECT_TRUE(refused({{"image", Tensor(DataType::kFloat32, {1, 8, 8})}}, "expected float32[batch, 1, 8, 8]"));
  EXPECT_TRUE(refused({{"image", Value(Value::Sequence{good})}}, "not a tensor"));
  const NamedValues outputs = session.run({{"image", good}});
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "\"logits\"", [&] { outputs.at("logit"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "float32", [&] { outputs.at("logits").data<double>(); }));
  expect_near(outputs.at("logits").tensor(), reference(0));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "nowhere.onnx", [] { Session::load("nowhere.onnx"); }));
}

TEST(Session, CanBeMoved) {
  Session first = Session::load(kDigits);
  Session second = std::move(first);
  first = std::move(second);
  expect_near(first.run({{"image", images(0)}}).at("logits").tensor(), reference(0));

  const auto refused = [&](auto call) { return fails_with(ErrorCode::kInvalidArgument, "moved from", call); };
  EXPECT_TRUE(refused([&] { second.run({{"image", images(0)}}); }));  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(refused([&] { second.compile({}); }));
  EXPECT_TRUE(refused([&] { second.describe_plan({}); }));
  EXPECT_TRUE(refused([&] { second.profile({}, 1); }));
  EXPECT_TRUE(refused([&] { (void)second.inputs(); }));
  EXPECT_TRUE(refused([&] { (void)second.outputs(); }));
  EXPECT_TRUE(refused([&] { (void)second.report(); }));
  EXPECT_TRUE(refused([&] { (void)second.threads(); }));
}

TEST(Session, UsesNoMoreThreadsThanThereAreProcessors) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  for (const int threads : {1000, 5000, INT_MAX}) {
    const Session session = Session::load(kDigits, {.threads = threads});
    EXPECT_EQ(session.threads(), processors);
    expect_near(session.run({{"image", images(1)}}).at("logits").tensor(), reference(1));
  }
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "-1 threads", [] { Session::load(kDigits, {.threads = -1}); }));
}

TEST(Session, KeepsAtLeastOnePlan) {
  for (const int plans : {-1, INT_MIN})
    EXPECT_TRUE(
        fails_with(ErrorCode::kInvalidArgument, "a cache of", [&] { Session::load(kDigits, {.plan_cache = plans}); }));
  const Session session = Session::load(kDigits, {.plan_cache = 0});
  for (const int set : {0, 1}) expect_near(session.run({{"image", images(set)}}).at("logits").tensor(), reference(set));
}

TEST(Session, AnEmptyBatchGivesAnEmptyResult) {
  const Session session = Session::load(kDigits);
  const NamedValues outputs = session.run({{"image", Tensor(DataType::kFloat32, {0, 1, 8, 8})}});
  EXPECT_EQ(to_string(outputs.at("logits").shape()), "[0, 10]");
}

TEST(Session, PlansAreDescribed) {
  const Session session = Session::load(kDigits);
  const std::string plan = session.describe_plan({{"image", images(0)}});
  EXPECT_NE(plan.find("Conv + Relu"), std::string::npos) << plan;
  EXPECT_EQ(plan.find("ref"), std::string::npos) << plan;
}

TEST(Session, ProfilesEachStep) {
  const Session session = Session::load(kDigits, {.threads = 1});
  const NamedValues inputs{{"image", images(0)}};
  const std::vector<StepTime> steps = session.profile(inputs, 3);
  const std::string plan = session.describe_plan(inputs);
  EXPECT_TRUE(plan.starts_with(std::to_string(steps.size()) + " steps")) << plan;
  for (const StepTime& step : steps) {
    EXPECT_NE(plan.find(step.operators), std::string::npos) << step.operators;
    EXPECT_NE(plan.find("[" + step.implementation + "]"), std::string::npos) << step.implementation;
    EXPECT_GT(step.ms, 0) << step.operators;
  }
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "0 runs", [&] { session.profile(inputs, 0); }));
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "missing", [&] { session.profile({}, 1); }));
}

TEST(Model, StepsApart) {
  const test::TemporaryFolder folder;
  Model model = Model::load(kDigits);
  const Report report = optimize(model);
  ASSERT_EQ(report.batch_norms.size(), 10u);
  for (const Fold& fold : report.batch_norms) EXPECT_TRUE(fold.folded) << fold.output << ": " << fold.reason;
  EXPECT_EQ(report.nodes_before, 35);
  EXPECT_LT(report.nodes_after, 26);
  model.save(folder / "optimized.onnx");
  const std::string bytes = test::read_file(folder / "optimized.onnx");
  const Model parsed = Model::parse(std::as_bytes(std::span(bytes)));
  const Session session(parsed, {.optimize = false});
  expect_near(session.run({{"image", images(1)}}).at("logits").tensor(), reference(1));
}

TEST(Model, TellsWhatItSaysOfItself) {
  const ModelMetadata metadata = Model::load(kDigits).metadata();
  EXPECT_EQ(metadata.ir_version, 8);
  EXPECT_EQ(metadata.opsets, (std::map<std::string, int64_t>{{"", 17}}));
  EXPECT_EQ(metadata.producer_name, "pytorch");
  EXPECT_TRUE(metadata.properties.empty());

  ::onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(test::read_file(kDigits)));
  proto.set_producer_version("3.1");
  proto.set_domain("example.com");
  proto.set_model_version(4);
  proto.set_doc_string("digits");
  proto.mutable_graph()->set_name("main");
  for (const std::string key : {"b", "a"}) {
    proto.add_metadata_props()->set_key(key);
    proto.mutable_metadata_props()->rbegin()->set_value(key + "!");
  }
  const std::string bytes = proto.SerializeAsString();
  Model model = Model::parse(std::as_bytes(std::span(bytes)));
  optimize(model);
  const ModelMetadata all = model.metadata();
  EXPECT_EQ(all.producer_version, "3.1");
  EXPECT_EQ(all.domain, "example.com");
  EXPECT_EQ(all.model_version, 4);
  EXPECT_EQ(all.doc_string, "digits");
  EXPECT_EQ(all.graph_name, "main");
  EXPECT_EQ(all.properties, (std::vector<std::pair<std::string, std::string>>{{"b", "b!"}, {"a", "a!"}}));
}

TEST(Model, NeedsAGraph) {
  EXPECT_TRUE(
      fails_with(ErrorCode::kInvalidArgument, "needs a graph", [] { Model{std::shared_ptr<const ir::Model>()}; }));
}

TEST(Model, ACopyIsIndependent) {
  const Model original = Model::load(kDigits);
  Model copy = original;
  optimize(copy);
  Model again = original;
  EXPECT_EQ(optimize(again).batch_norms.size(), 10u);
}

TEST(Model, ErrorsOfOptimizeLeaveItAsItWas) {
  Model model = Model::load(kDigits);
  OptimizeOptions options;
  options.disable = {"fold_bach_norm"};
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "fold_batch_norm", [&] { optimize(model, options); }));
  EXPECT_EQ(optimize(model).batch_norms.size(), 10u);
}

TEST(SessionLoad, ExternalDataMayLieWhereTheCallerSays) {
  const test::TemporaryFolder folder;
  const test::TemporaryFolder elsewhere;
  const std::filesystem::path path = folder / "m.onnx";
  Model::load(kDigits).save(path, ExternalData::kAlways);
  std::filesystem::copy(folder / "m.onnx.data", elsewhere / "weights");
  std::filesystem::remove(folder / "m.onnx.data");
  std::filesystem::create_symlink(elsewhere / "weights", folder / "m.onnx.data");
  try {
    (void)Session::load(path);
    ADD_FAILURE() << "the data lie outside";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidModel);
    EXPECT_EQ(e.file(), path.string());
  }
  const Session session = Session::load(path, {.external_folders = {elsewhere.path()}});
  EXPECT_EQ(session.outputs().size(), 1u);
  EXPECT_NO_THROW(Model::load(path, {.external_folders = {elsewhere.path()}}));
}

TEST(TensorFile, ErrorsNameTheFile) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "garbage.pb", "\xff\xff garbage");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "garbage.pb", [&] { load_tensor(folder / "garbage.pb"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "nowhere.pb", [&] { load_tensor(folder / "nowhere.pb"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "not a regular file", [&] { load_tensor(folder.path()); }));
  Limits limits;
  limits.model_bytes = 10;
  EXPECT_TRUE(fails_with(ErrorCode::kResourceLimit, "limit of 10", [&] { load_tensor(kCase + "/labels.pb", limits); }));
  const Tensor labels = load_tensor(kCase + "/labels.pb");
  EXPECT_EQ(labels.dtype(), DataType::kInt64);
  EXPECT_EQ(labels.size(), 450u);
}

TEST(Halves, AreConvertedInSpans) {
  const std::vector<float> floats{0.0f, -1.5f, 65504.0f, 1e9f, 0x1p-24f, 1.0f + 0x1p-11f, 1.0f + 0x1.8p-10f};
  std::vector<Float16> halves(floats.size());
  std::vector<float> back(floats.size());
  convert(floats, halves);
  convert(halves, back);
  // 1e9 is beyond the largest, and the last two are ties: to even.
  EXPECT_EQ(back, (std::vector<float>{0.0f, -1.5f, 65504.0f, INFINITY, 0x1p-24f, 1.0f, 1.0f + 0x1p-9f}));
  std::vector<Bfloat16> brains(floats.size());
  convert(floats, brains);
  convert(brains, back);
  EXPECT_EQ(back[1], -1.5f);
  EXPECT_EQ(back[2], 65536.0f);
  EXPECT_EQ(to_bfloat16(1.0).bits, 0x3f80);
  EXPECT_EQ(to_float16(1.0).bits, 0x3c00);
  back.pop_back();
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "7 elements", [&] { convert(halves, back); }));
}

TEST(Version, OfLibraryAndHeadersAgree) { EXPECT_STREQ(version(), PLI_VERSION); }

}  // namespace
}  // namespace pli
