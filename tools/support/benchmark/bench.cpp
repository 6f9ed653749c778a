#include "tools/support/benchmark/bench.h"

#include "runtime/core/error.h"
#include "tools/support/benchmark/statistics.h"
#include "tools/support/console/json.h"
#include "tools/support/process/process.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <numeric>

#include <fcntl.h>
#include <unistd.h>

namespace pli::tools {

namespace {

constexpr double kRounds = 25;      // that the least time is spread over
constexpr size_t kLeastRounds = 8;  // however slow the model is
constexpr double kWarmUpMs = 100;

/// One entry's worker process, seen from the parent.
class Worker {
 public:
  explicit Worker(const BenchEntry& entry) : label_(entry.label()), child_(&become_worker) {}

  /// Sends a request and waits for the answer. An error in the worker is thrown here.
  Json ask(const Json& request) {
    child_.channel().send(request);
    const auto answer = child_.channel().receive();
    if (!answer) {
      const std::string how = child_.wait();
      // Nobody but the kernel, when memory is short, and the user end a process that way.
      const ErrorCode code = child_.signal() == SIGKILL ? ErrorCode::kResourceLimit : ErrorCode::kInternal;
      fail(code, "{}: the worker process ended: {}", label_, how);
    }
    if (answer->contains("error")) throw Error(ErrorCode{int{answer->at("code")}}, answer->at("error"));
    return *answer;
  }

 private:
  static int become_worker(Channel& channel) {
    ::fcntl(channel.descriptor(), F_SETFD, 0);  // stays open in the program that follows
    const std::string descriptor = std::to_string(channel.descriptor());
    ::execl("/proc/self/exe", "onnx-bench", "--worker", descriptor.c_str(), nullptr);
    return 127;
  }

  std::string label_;
  Child child_;
};

Json load_request(const BenchEntry& entry) {
  const BenchSettings& settings = entry.settings;
  return {{"do", "load"},
          {"path", entry.path},
          {"threads", settings.threads},
          {"optimize", !settings.no_optimize},
          {"fuse", !settings.no_fuse},
          {"shapes", settings.inputs.shapes},
          {"dims", settings.inputs.dims}};
}

void run_round(Worker& worker, BenchResult& result, double ms) {
  const Json answer = worker.ask({{"do", "run"}, {"ms", ms}});
  const std::vector<double> samples = answer.at("samples");
  result.rounds.push_back(median(samples));
  result.samples.insert(result.samples.end(), samples.begin(), samples.end());
  result.involuntary_switches += int64_t{answer.at("switches")};
  result.waited_ms += double{answer.at("waited_ms")};
}

bool done(const BenchResult& result, const BenchOptions& options) {
  const double total = std::accumulate(result.samples.begin(), result.samples.end(), 0.0);
  return total >= options.min_time_ms && static_cast<int64_t>(result.samples.size()) >= options.runs &&
         result.rounds.size() >= kLeastRounds;
}

/// Processor time that was stolen by the hypervisor, and all of it, since the machine started.
struct ProcessorTime {
  double stolen = 0;
  double total = 0;
};
ProcessorTime processor_time() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  ProcessorTime time;
  double value = 0;
  for (int i = 0; i < 8 && file >> value; ++i) {
    time.total += value;
    if (i == 7) time.stolen = value;
  }
  return time;
}

}  // namespace

std::string BenchEntry::label() const {
  return settings.text.empty() ? path : fmt::format("{} ({})", path, settings.text);
}

double BenchResult::median_ms() const { return median(samples); }

BenchRun run_bench(const std::vector<BenchEntry>& entries, const BenchOptions& options,
                   const std::function<void(const std::string&)>& progress) {
  BenchRun run;
  std::vector<Worker> workers;
  for (const BenchEntry& entry : entries) workers.emplace_back(entry);
  for (size_t i = 0; i < entries.size(); ++i) {
    progress("loading " + entries[i].label());
    const Json loaded = workers[i].ask(load_request(entries[i]));
    BenchResult& result = run.results.emplace_back();
    result.entry = entries[i];
    result.threads = loaded.at("threads");
    result.inputs = loaded.at("inputs");
    result.load_ms = loaded.at("load_ms");
    result.compile_ms = loaded.at("compile_ms");
    result.first_run_ms = loaded.at("first_run_ms");
    workers[i].ask({{"do", "run"}, {"ms", std::min(kWarmUpMs, options.min_time_ms)}});
  }

  const ProcessorTime before = processor_time();
  for (size_t round = 0; !std::ranges::all_of(run.results, [&](const BenchResult& r) { return done(r, options); });
       ++round) {
    progress(fmt::format("round {}", round + 1));
    // Every second round goes backwards, so that none always follows the same other one.
    for (size_t i = 0; i < entries.size(); ++i) {
      const size_t at = round % 2 ? entries.size() - 1 - i : i;
      run_round(workers[at], run.results[at], options.min_time_ms / kRounds);
    }
  }
  const ProcessorTime after = processor_time();
  if (after.total > before.total) run.stolen = (after.stolen - before.stolen) / (after.total - before.total);
  for (size_t i = 0; i < entries.size(); ++i)
    run.results[i].peak_memory_bytes = workers[i].ask({{"do", "memory"}}).at("peak_memory_bytes");
  return run;
}

}  // namespace pli::tools
