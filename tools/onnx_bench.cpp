#include "tools/commands.h"

#include "tools/support/benchmark/bench_report.h"
#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/data/precision.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

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

std::vector<Flag> setting_flags(BenchSettings& settings) {
  return {{.names = "--no-optimize", .target = &settings.no_optimize, .help = "run the model as it is in the file"},
          {.names = "--no-fuse", .target = &settings.no_fuse, .help = "run every operator on its own"},
          precision_flag(settings.precision)};
}

void add_flags(CommandLine& line, Options& options) {
  line.add({.names = "MODEL",
            .target = &options.models,
            .help = "the models; the first is what the others are compared with"});
  line.add({.names = "--vs",
            .target = &options.versus,
            .help = "run each model with these flags, too: --threads N, --no-optimize, --no-fuse, --precision P",
            .value = "FLAGS"});
  line.add({.names = "--min-time",
            .target = &options.min_time,
            .help = "seconds of runs for each model (default 3)",
            .value = "S",
            .check = between(0.01, 3600.0)});
  line.add({.names = "--runs",
            .target = &options.bench.runs,
            .help = "at least as many runs for each model",
            .value = "N",
            .check = whole_between(1, 1000000000)});
  for (const Flag& flag : setting_flags(options.settings)) line.add(flag);
  add_model_flags(line, options.settings.model);
  add_input_flags(line, options.settings.inputs, false);
  line.add({.names = "--worker", .target = &options.worker});  // internal: a worker process of this command
}

BenchSettings parse_versus(const std::string& text, const BenchSettings& base) {
  BenchSettings settings = base;
  settings.text = text;
  std::vector<Flag> flags = setting_flags(settings);
  flags.push_back({.names = "--threads", .target = &settings.threads, .check = whole_between(1, 1024)});
  parse_flags(fmt::format("--vs \"{}\"", text), text, flags);
  return settings;
}

std::vector<BenchEntry> entries_of(const Options& options) {
  std::vector<BenchSettings> settings{options.settings};
  for (const std::string& text : options.versus) settings.push_back(parse_versus(text, options.settings));
  std::vector<BenchEntry> entries;
  for (const std::string& model : options.models)
    for (const BenchSettings& one : settings) entries.push_back({model, one, static_cast<int>(entries.size()) + 1});
  if (entries.size() == 1) entries.front().number = 0;
  return entries;
}

}  // namespace

int onnx_bench(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-bench",
      "Measures how long ONNX models take to run. Each model, and each setting of --vs, runs in a process of its own, "
      "round by round in turn while the others sleep; models after the first are compared with it. Ctrl-C ends the "
      "measurement and reports what there is.",
      {{"onnx-bench resnet50.onnx resnet50.opt.onnx", "which is faster, and is the difference real?"},
       {"onnx-bench resnet50.onnx --vs \"--threads 1\"", "what the second thread brings"}});
  Options options;
  add_flags(line, options);
  if (!line.parse()) return kDone;
  if (options.worker >= 0) return serve_bench(options.worker);
  if (options.models.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");
  if (std::ranges::find(options.models, kStandardStream) != options.models.end())
    fail(ErrorCode::kInvalidArgument,
         "each process reads its model itself, which standard input does not allow: name files");
  options.settings.threads = line.threads();
  options.bench.min_time_ms = 1000 * options.min_time;

  Progress progress(!line.quiet());
  const BenchRun result = run_bench(entries_of(options), options.bench,
                                    [&](const std::string& what, double done) { progress.show(what, done); });
  progress.clear();
  if (line.json()) line.print_json(bench_json(result));
  print_bench(line, result);
  if (result.interrupted) {  // as a program ends that does not handle it, so that a shell's loop ends as well
    std::fflush(stdout);
    std::raise(SIGINT);
  }
  return kDone;
}

}  // namespace pli::tools
