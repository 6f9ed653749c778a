#include "runtime/onnx/save.h"

#include "runtime/onnx/load.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <random>
#include <thread>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLI_SANITIZED 1
#else
#define PLI_SANITIZED 0
#endif

namespace pli::test {

namespace {

Tensor filled(int64_t rows, int64_t columns, float value) {
  Tensor tensor(DataType::kFloat32, {rows, columns});
  std::ranges::fill(tensor.mutable_data<float>(), value);
  return tensor;
}

/// Weights of `mebibytes`: half in one tensor, the rest in tensors of 1 MiB, every element `value`.
ir::Model heavy_model(int64_t mebibytes, float value) {
  ir::Model model;
  model.ir_version = 8;
  model.opsets = std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 15}});
  ir::Graph graph(model.opsets);
  const int64_t half = mebibytes / 2;
  ir::ValueId last = graph.add_initializer("big", filled(half, 1 << 18, value));
  for (int64_t i = half; i < mebibytes; ++i)
    last = graph.add_initializer(fmt::format("w{}", i), filled(1, 1 << 18, value));
  const ir::NodeId relu = graph.add_node({.op_type = "Relu", .inputs = {last}, .outputs = {{.name = "y"}}});
  graph.add_output({"y", graph.node(relu).outputs[0], {}, {}});
  model.graph = std::move(graph);
  return model;
}

/// The value that every element of a heavy model has; fails when they differ.
float value_of(const ir::Model& model) {
  const float value = model.graph.constant_of(model.graph.find("big"))->data<float>()[0];
  for (const ir::ValueId id : model.graph.initializers())
    for (const float element : model.graph.constant_of(id)->data<float>())
      if (element != value) ADD_FAILURE() << "a mixture of " << value << " and " << element;
  return value;
}

// --- whole or not at all ---------------------------------------------------------------------------------------------

TEST(Save, TheSameModelGivesTheSameBytes) {
  const onnx::ModelProto model = small_model();
  EXPECT_EQ(serialize_model(parse(model)), serialize_model(parse(model)));
  const TemporaryFolder folder;
  save_model(parse(model), folder / "m.onnx", ExternalData::kAuto);
  EXPECT_EQ(read_file(folder / "m.onnx"), serialize_model(parse(model)));
}

/// A node that has taken the place of one stands where that stood, though its values are the newest.
TEST(Save, WhatIsDeclaredIsInTheOrderOfTheNodes) {
  onnx::ModelProto proto = small_model();
  auto& graph = *proto.mutable_graph();
  *graph.add_node() = node("Neg", {"sum"}, {"negative"});
  *graph.add_node() = node("Abs", {"negative"}, {"z"});
  *graph.add_output() = declare("z", 1, {2, 3});
  for (const char* name : {"sum", "negative"}) *graph.add_value_info() = declare(name, 1, {2, 3});
  ir::Model model = parse(proto);
  const ir::NodeId add = model.graph.nodes().front();
  const ir::ValueId sum = model.graph.node(add).outputs[0];
  ir::NodeSpec spec = ir::spec_like(model.graph.node(add));
  spec.outputs = {{"total", model.graph.type(sum), model.graph.value(sum).extra}};
  const ir::ValueId total = model.graph.node(model.graph.add_node(spec, add)).outputs[0];
  model.graph.replace_all_uses(sum, total);
  model.graph.erase_dead();
  const std::string saved = serialize_model(model);
  EXPECT_EQ(to_proto(model).graph().value_info(0).name(), "total");
  EXPECT_EQ(saved, serialize_model(parse_model(std::as_bytes(std::span(saved)), {})));
}

TEST(Save, NothingAppearsBeforeItIsCommitted) {
  const TemporaryFolder folder;
  save_model(heavy_model(2, 1), folder / "m.onnx", ExternalData::kAlways);
  const auto names = folder.names();
  for (const ExternalData external : {ExternalData::kAlways, ExternalData::kNever}) {
    { const ModelWriter given_up(std::make_shared<ir::Model>(heavy_model(2, 2)), folder / "m.onnx", external); }
    EXPECT_EQ(folder.names(), names);
    ModelWriter writer(std::make_shared<ir::Model>(heavy_model(2, 3)), folder / "n.onnx", external);
    EXPECT_EQ(folder.names(), names);
    EXPECT_EQ(value_of(load_model(folder / "m.onnx", {})), 1);
    EXPECT_EQ(writer.commit().front().action, SavedFile::Action::kWritten);
    EXPECT_EQ(value_of(load_model(folder / "n.onnx", {})), 3);
    for (const char* name : {"n.onnx", "n.onnx.data"}) std::filesystem::remove(folder / name);
  }
}

TEST(Save, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  write_file(folder / "victim", "as it was");
  std::filesystem::create_symlink("victim", folder / "link");
  std::filesystem::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const ir::Model model = parse(small_model());
  const auto save = [&](const std::filesystem::path& path) { save_model(model, path, ExternalData::kAlways); };
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "is a symbolic link", [&] { save(folder / "link"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "is not a regular file", [&] { save(folder / "folder"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "is not a regular file", [&] { save(folder / "pipe"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "is not a regular file", [&] { save("/dev/full"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "there is no folder", [&] { save(folder / "nowhere/m.onnx"); }));
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "names a folder", [&] { save(folder.path() / ""); }));
  EXPECT_EQ(read_file(folder / "victim"), "as it was");
  EXPECT_EQ(folder.names().size(), 4u);
}

/// Runs `body` in a child process and returns its wait status.
int in_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      ::_exit(1);
    }
    ::_exit(testing::Test::HasFailure() ? 2 : 0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(Save, ADiskThatIsFullLeavesTheOldFilesAndNothingElse) {
  const TemporaryFolder folder;
  save_model(heavy_model(2, 1), folder / "m.onnx", ExternalData::kAlways);
  const auto names = folder.names();
  for (const ExternalData external : {ExternalData::kAlways, ExternalData::kNever}) {
    const int status = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{.rlim_cur = 100000, .rlim_max = 100000};
      ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
      EXPECT_TRUE(fails_with(ErrorCode::kIo, "can't be written",
                             [&] { save_model(heavy_model(2, 2), folder / "m.onnx", external); }));
    });
    EXPECT_EQ(status, 0);
    EXPECT_EQ(folder.names(), names);
    EXPECT_EQ(value_of(load_model(folder / "m.onnx", {})), 1);
  }
}

/// Saves two models in turn over a third until the process is killed; whatever lies there then is one of them, whole.
void kill_while_saving(ExternalData external) {
  const TemporaryFolder folder;
  const ir::Model models[] = {heavy_model(2, 1), heavy_model(2, 2)};
  save_model(heavy_model(2, 0), folder / "m.onnx", external);
  std::mt19937 random(external == ExternalData::kAlways ? 1 : 2);
  std::set<float> seen;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) save_model(models[i % 2], folder / "m.onnx", external);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    seen.insert(value_of(load_model(folder / "m.onnx", {})));
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << round;
  }
  EXPECT_GE(seen.size(), 2u);  // otherwise nothing was ever saved, and this shows nothing
}

TEST(Save, AProcessThatIsKilledLeavesAWholeModel) { kill_while_saving(ExternalData::kNever); }
TEST(Save, AProcessThatIsKilledLeavesAWholePair) { kill_while_saving(ExternalData::kAlways); }

// --- memory ----------------------------------------------------------------------------------------------------------

/// By how much the peak memory of a child process that runs `body` passes what it began with, in bytes.
int64_t peak_growth(const std::function<void()>& body) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  ::malloc_trim(0);  // what other tests left free would hide what this one takes
  const int status = in_child([&] {
    const auto peak = [] {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      return int64_t{usage.ru_maxrss} * 1024;
    };
    const int64_t before = peak();
    body();
    const int64_t growth = peak() - before;
    ASSERT_EQ(::write(ends[1], &growth, sizeof growth), static_cast<ssize_t>(sizeof growth));
  });
  EXPECT_EQ(status, 0);
  int64_t growth = -1;
  ::close(ends[1]);
  EXPECT_EQ(::read(ends[0], &growth, sizeof growth), static_cast<ssize_t>(sizeof growth));
  ::close(ends[0]);
  return growth;
}

TEST(Memory, LoadingAndSavingKeepWeightsOnce) {
  if (PLI_SANITIZED) GTEST_SKIP() << "sanitizers take memory of their own";
  constexpr int64_t kMebibytes = 100;
  const TemporaryFolder folder;
  for (const ExternalData external : {ExternalData::kNever, ExternalData::kAlways}) {
    // In a child, so that memory that this process keeps doesn't hide what the others take.
    EXPECT_EQ(in_child([&] { save_model(heavy_model(kMebibytes, 3), folder / "m.onnx", external); }), 0);
    const auto in_models = [](int64_t bytes) { return static_cast<double>(bytes) / (kMebibytes << 20); };
    const double loading = in_models(peak_growth([&] { load_model(folder / "m.onnx", {}); }));
    const double both = in_models(peak_growth([&] {
      const ir::Model model = load_model(folder / "m.onnx", {});
      save_model(model, folder / "copy.onnx", external);
    }));
    std::cout << "loading takes " << loading << " times the file, loading and saving " << both << "\n";
    EXPECT_GT(loading, 0.9);  // less would mean that nothing was measured
    EXPECT_LT(loading, 2.2);
    EXPECT_LT(both, 2.2);
  }
}

// --- more than 2 GiB -------------------------------------------------------------------------------------------------

/// A model of 2 GiB of weights that takes little memory: every tensor has the same payload.
ir::Model huge_model() {
  const Tensor part = filled(64, 1 << 18, 1);  // 64 MiB
  ir::Model model = parse(small_model());
  for (int i = 0; i < 32; ++i) model.graph.add_initializer(fmt::format("w{}", i), part);
  return model;
}

TEST(Save, AModelThatPasses2GiBIsNoSingleFile) {
  const TemporaryFolder folder;
  const ir::Model model = huge_model();
  EXPECT_TRUE(fails_with(ErrorCode::kResourceLimit, "2 GiB",
                         [&] { save_model(model, folder / "m.onnx", ExternalData::kNever); }));
  EXPECT_TRUE(fails_with(ErrorCode::kResourceLimit, "2 GiB", [&] { serialize_model(model); }));
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace

}  // namespace pli::test
