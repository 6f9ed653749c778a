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

constexpr double kRounds = 25;            // that the least time is spread over
constexpr double kLongestRoundMs = 1000;  // so that the user need not wait long for the end of one
constexpr size_t kLeastRounds = 8;        // however slow the model is
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
    if (answer->contains("error"))
      throw Error(ErrorCode{int{answer->at("code")}}, answer->at("error"), answer->at("file"), answer->at("node"));
    return *answer;
  }

 private:
  static int become_worker(Channel& channel) {
    ::fcntl(channel.descriptor(), F_SETFD, 0);  // stays open in the program that follows
    std::signal(SIGINT, SIG_IGN);               // the parent decides when it ends
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
          {"external_folders", settings.model.external_folders},
          {"threads", settings.threads},
          {"optimize", !settings.no_optimize},
          {"fuse", !settings.no_fuse},
          {"precision", settings.precision},
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

/// Which fraction of what is asked for has been measured.
double done(const BenchResult& result, const BenchOptions& options) {
  const auto part = [](double is, double wanted) { return wanted > 0 ? is / wanted : 1.0; };
  const double total = std::accumulate(result.samples.begin(), result.samples.end(), 0.0);
  return std::min({part(total, options.min_time_ms),
                   part(static_cast<double>(result.samples.size()), static_cast<double>(options.runs)),
                   part(static_cast<double>(result.rounds.size()), static_cast<double>(kLeastRounds)), 1.0});
}

double done(const BenchRun& run, const BenchOptions& options) {
  double least = 1;
  for (const BenchResult& result : run.results) least = std::min(least, done(result, options));
  return least;
}

volatile std::sig_atomic_t interrupts = 0;

/// While it exists the first SIGINT is only noted, unless it is ignored anyway.
class Interruptible {
 public:
  Interruptible() {
    interrupts = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupts = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
    ::sigaction(SIGINT, nullptr, &before_);
    if (before_.sa_handler != SIG_IGN) ::sigaction(SIGINT, &action, nullptr);
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible() { ::sigaction(SIGINT, &before_, nullptr); }
  bool interrupted() const { return interrupts != 0; }

 private:
  struct sigaction before_ {};
};

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
  return fmt::format("{}{}{}", number ? fmt::format("[{}] ", number) : "", path,
                     settings.text.empty() ? "" : fmt::format(" ({})", settings.text));
}

double BenchResult::median_ms() const { return median(samples); }

BenchRun run_bench(const std::vector<BenchEntry>& entries, const BenchOptions& options,
                   const std::function<void(const std::string& what, double done)>& progress) {
  BenchRun run;
  std::vector<Worker> workers;
  for (const BenchEntry& entry : entries) workers.emplace_back(entry);
  for (size_t i = 0; i < entries.size(); ++i) {
    progress("loading " + entries[i].label(), 0);
    const Json loaded = workers[i].ask(load_request(entries[i]));
    BenchResult& result = run.results.emplace_back();
    result.entry = entries[i];
    result.threads = loaded.at("threads");
    result.inputs = loaded.at("inputs");
    result.guessed = loaded.at("guessed");
    result.load_ms = loaded.at("load_ms");
    result.compile_ms = loaded.at("compile_ms");
    result.first_run_ms = loaded.at("first_run_ms");
    workers[i].ask({{"do", "run"}, {"ms", std::min(kWarmUpMs, options.min_time_ms)}});
  }

  const ProcessorTime before = processor_time();
  const Interruptible signals;
  for (size_t round = 0; done(run, options) < 1; ++round) {
    run.interrupted = round > 0 && signals.interrupted();
    if (run.interrupted) break;
    progress("measuring", done(run, options));
    // Every second round goes backwards, so that none always follows the same other one.
    for (size_t i = 0; i < entries.size(); ++i) {
      const size_t at = round % 2 ? entries.size() - 1 - i : i;
      run_round(workers[at], run.results[at], std::min(options.min_time_ms / kRounds, kLongestRoundMs));
    }
  }
  const ProcessorTime after = processor_time();
  if (after.total > before.total) run.stolen = (after.stolen - before.stolen) / (after.total - before.total);
  for (size_t i = 0; i < entries.size(); ++i)
    run.results[i].peak_memory_bytes = workers[i].ask({{"do", "memory"}}).at("peak_memory_bytes");
  return run;
}

}  // namespace pli::tools
