#include "tests/tools/command.h"

namespace pli::test {
namespace {

class Bench : public CommandTest {};

TEST_F(Bench, ComparesTwoModels) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "optimized.onnx"}).code, 0);
  const auto bench = run_json({"onnx-bench", kDigits, "optimized.onnx", "--min-time", "0.05"});
  ASSERT_EQ(bench["models"].size(), 2u);
  EXPECT_EQ(bench["models"][0]["path"], kDigits);
  EXPECT_EQ(bench["models"][1]["path"], "optimized.onnx");
  for (const auto& model : bench["models"]) {
    EXPECT_GT(model["load_ms"], 0);
    EXPECT_GT(model["compile_ms"], 0);
    EXPECT_GT(model["first_run_ms"], 0);
    EXPECT_GT(model["min_ms"], 0);
    EXPECT_LE(model["min_ms"], model["median_ms"]);
    EXPECT_EQ(model["samples_ms"].size(), model["runs"]);
    EXPECT_EQ(model["rounds_ms"].size(), bench["models"][0]["rounds_ms"].size());
    EXPECT_GT(model["peak_memory_bytes"], 1000000);
    EXPECT_TRUE(model["noise"].contains("verdict"));
    EXPECT_EQ(model["p99_ms"].is_null(), model["runs"] < 459);
  }
  for (const char* key : {"cpu", "isa", "threads", "threads_reason", "governor", "pli", "onednn"})
    EXPECT_TRUE(bench["environment"].contains(key)) << key;
  for (const char* key : {"ratio", "low", "high", "verdict"}) EXPECT_TRUE(bench["comparison"].contains(key)) << key;
  const auto& comparison = bench["comparison"];
  if (!comparison["ratio"].is_null()) {
    EXPECT_LE(comparison["low"], comparison["ratio"]);
    EXPECT_LE(comparison["ratio"], comparison["high"]);
  }
}

TEST_F(Bench, AFileIsNeitherFasterNorSlowerThanItself) {
  const auto bench = run_json({"onnx-bench", kDigits, kDigits, "--min-time", "0.5"});
  const std::string verdict = bench["comparison"]["verdict"];
  EXPECT_FALSE(bench["comparison"]["conclusive"]) << verdict;
  EXPECT_TRUE(verdict.starts_with("no difference shown") || verdict.starts_with("too noisy to conclude")) << verdict;
}

TEST_F(Bench, OneModelHasNoComparison) {
  const auto bench = run_json({"onnx-bench", kDigits, "--min-time", "0.02", "--threads", "1", "--dim", "batch=3"});
  EXPECT_TRUE(bench["comparison"].is_null());
  EXPECT_EQ(bench["environment"]["threads"], 1);
  EXPECT_EQ(bench["environment"]["threads_reason"], "--threads");
  EXPECT_EQ(bench["models"][0]["inputs"], "image float32[3, 1, 8, 8]");
}

TEST_F(Bench, RunsAsOftenAsAsked) {
  const auto bench = run_json({"onnx-bench", kDigits, "--min-time", "0.01", "--runs", "60"});
  EXPECT_GE(bench["models"][0]["runs"], 60);
  EXPECT_TRUE(bench["models"][0]["p90_ms"].is_number());
}

TEST_F(Bench, ComparesSettings) {
  const auto bench =
      run_json({"onnx-bench", kDigits, "--min-time", "0.02", "--vs", "--threads 1", "--vs", "--no-optimize --no-fuse"});
  ASSERT_EQ(bench["models"].size(), 3u);
  EXPECT_EQ(bench["models"][1]["settings"], "--threads 1");
  EXPECT_EQ(bench["models"][1]["threads"], 1);
  EXPECT_EQ(bench["comparisons"].size(), 2u);
  const Finished finished = run({"onnx-bench", kDigits, "--min-time", "0.02", "--vs", "--threads 1"});
  EXPECT_TRUE(contains(finished.out, "digits.onnx (--threads 1) against ")) << finished.out;
  EXPECT_EQ(run_json({"onnx-bench", kDigits, "--min-time", "0.02", "--vs", "--precision f32-exact"})["models"].size(),
            2u);
  refused({"onnx-bench", kDigits, "--vs", "--precision exact"}, 2);
  refused({"onnx-bench", kDigits, "--vs", "--thread 1"}, 2);
  refused({"onnx-bench", kDigits, "--vs", "--threads"}, 2);
  refused({"onnx-bench", kDigits, "--vs", "other.onnx"}, 2);
}

TEST_F(Bench, EqualPathsAreToldApart) {
  const auto bench = run_json({"onnx-bench", kDigits, kDigits, "--min-time", "0.02"});
  EXPECT_EQ(bench["models"][0]["label"], "[1] " + kDigits);
  EXPECT_EQ(bench["models"][1]["label"], "[2] " + kDigits);
  EXPECT_EQ(bench["comparison"]["of"], "[2] " + kDigits);
  EXPECT_EQ(bench["models"][0]["guessed"], "--dim batch=1");
  const Finished finished = run({"onnx-bench", kDigits, kDigits, "--min-time", "0.02"});
  EXPECT_TRUE(contains(finished.out, "\n[1]  ") && contains(finished.out, "\n[2]  ")) << finished.out;
  for (const std::string& line : lines_of(finished.out)) EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(Bench, ReportsWhatItHasWhenInterrupted) {
  const std::string program = PLI_BINARY_DIR "/bin/onnx-bench";
  const auto interrupted = [&](std::vector<std::string> flags) {
    std::vector<std::string> command{
        "/usr/bin/timeout", "--foreground", "--signal=INT", "--preserve-status", "8", program, kDigits,
        "--min-time",       "3000"};
    command.insert(command.end(), flags.begin(), flags.end());
    return run_program(command, folder_.path());
  };
  const Finished text = interrupted({});
  EXPECT_EQ(text.code, 130) << "as ended by SIGINT: " << text.err;
  EXPECT_TRUE(contains(text.out, "stopped by Ctrl-C after ") && contains(text.out, "median")) << text.out;
  const auto document = nlohmann::json::parse(interrupted({"--json"}).out, nullptr, false);
  ASSERT_FALSE(document.is_discarded());
  EXPECT_EQ(document["interrupted"], true);
  EXPECT_GT(document["models"][0]["runs"], 0);
}

TEST_F(Bench, TellsWhatAWorkerCouldNotDo) {
  save(unknown_operator(), "model.onnx");
  write_file(folder_ / "garbage.onnx", "garbage");
  const std::string line = refused({"onnx-bench", kDigits, "model.onnx", "--min-time", "0.02"}, 5);
  EXPECT_TRUE(contains(line, "onnx-bench: model.onnx: ") && contains(line, "com.example.Mystery")) << line;
  refused({"onnx-bench", "garbage.onnx"}, 4);
  refused({"onnx-bench", kDigits, "--dim", "batch=0x"}, 2);
  refused({"onnx-bench", kDigits, "--min-time", "0"}, 2);
  EXPECT_TRUE(contains(refused({"onnx-bench", "-"}, 2), "name files"));
  refused({"onnx-bench", kDigits, "--runs", "-3"}, 2);
  for (const char* later : {"--per-op", "--trace", "--precision=bf16"}) refused({"onnx-bench", kDigits, later}, 2);
}

}  // namespace
}  // namespace pli::test
