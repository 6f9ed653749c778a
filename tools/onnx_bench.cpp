#include "tools/support/benchmark/bench_report.h"
#include "tools/support/console/cli.h"
#include "tools/support/console/progress.h"

#include <optional>

namespace pli::tools {

namespace {

struct Options {
  std::vector<std::string> models;
  std::vector<std::string> versus;
  double min_time = 3;
  BenchSettings settings;
  BenchOptions bench;
  int worker = -1;
};

void add_setting_flags(CLI::App& app, BenchSettings& settings) {
  app.add_flag("--no-optimize", settings.no_optimize, "run the model as it is in the file");
  app.add_flag("--no-fuse", settings.no_fuse, "run every operator on its own");
}

void add_flags(CommandLine& line, Options& options) {
  CLI::App& app = line.app();
  app.add_option("MODEL", options.models, "the models; the first is what the others are compared with")->type_name("");
  line.add_repeatable("--vs", options.versus,
                      "run each model with these flags, too: --threads N, --no-optimize, --no-fuse")
      ->type_name("FLAGS");
  app.add_option("--min-time", options.min_time, "seconds of runs for each model (default 3)")
      ->type_name("S")
      ->check(between(0.01, 3600.0));
  app.add_option("--runs", options.bench.runs, "at least as many runs for each model")
      ->type_name("N")
      ->check(whole_between(1, 1000000000));
  add_setting_flags(app, options.settings);
  add_input_flags(line, options.settings.inputs, false);
  app.add_option("--worker", options.worker)->group("");  // internal: a worker process of this command
}

BenchSettings parse_versus(const std::string& text, const BenchSettings& base) {
  BenchSettings settings = base;
  settings.text = text;
  CLI::App app;
  app.set_help_flag();
  add_setting_flags(app, settings);
  app.add_option("--threads", settings.threads)->check(whole_between(1, 1024));
  try {
    app.parse(text);
  } catch (const CLI::ParseError& e) {
    fail(ErrorCode::kInvalidArgument, "--vs \"{}\": {}", text, e.what());
  }
  return settings;
}

std::vector<BenchEntry> entries_of(const Options& options) {
  std::vector<BenchSettings> settings{options.settings};
  for (const std::string& text : options.versus) settings.push_back(parse_versus(text, options.settings));
  std::vector<BenchEntry> entries;
  for (const std::string& model : options.models)
    for (const BenchSettings& one : settings) entries.push_back({model, one});
  return entries;
}

int run(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-bench",
      "Measures how long ONNX models take to run. Each model, and each setting of --vs, runs in a process of\n"
      "its own, round by round in turn while the others sleep; models after the first are compared with it.",
      "  onnx-bench resnet50.onnx resnet50.opt.onnx     which is faster, and is the difference real?\n"
      "  onnx-bench resnet50.onnx --vs \"--threads 1\"    what the second thread brings");
  Options options;
  add_flags(line, options);
  if (!line.parse()) return kDone;
  if (options.worker >= 0) return serve_bench(options.worker);
  if (options.models.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");
  options.settings.threads = line.threads();
  options.bench.min_time_ms = 1000 * options.min_time;

  Progress progress(!line.quiet());
  const BenchRun result =
      run_bench(entries_of(options), options.bench, [&](const std::string& what) { progress.show(what); });
  progress.clear();
  if (line.json()) line.print_json(bench_json(result));
  print_bench(line, result);
  return kDone;
}

}  // namespace

}  // namespace pli::tools

int main(int argc, char** argv) {
  return pli::tools::run_command(argv, "onnx-bench", [&] { return pli::tools::run(argc, argv); });
}
