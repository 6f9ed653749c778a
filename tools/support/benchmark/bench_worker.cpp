#include "tools/support/benchmark/bench.h"
#include "tools/support/console/json.h"
#include "tools/support/data/precision.h"
#include "tools/support/process/process.h"
#include "tools/support/process/stopwatch.h"

#include "runtime/core/error.h"

#include <pli/model.h>
#include <pli/session.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <optional>

#include <sys/resource.h>

namespace pli::tools {

namespace {

int64_t involuntary_switches() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

/// How long this process's threads were ready to run while others had the processors, in milliseconds; 0 where the
/// kernel does not say.
double waited_ms() {
  double total = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream file(task.path() / "schedstat");
    double running = 0;
    double waiting = 0;
    if (file >> running >> waiting) total += waiting / 1e6;
  }
  return total;
}

/// The most memory that the process ever held, as the kernel counts it.
int64_t peak_memory() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

class Worker {
 public:
  Json answer(const Json& request) {
    const std::string what = request.at("do");
    if (what == "load") return load(request);
    if (what == "run") return run(request.at("ms"));
    return {{"peak_memory_bytes", peak_memory()}};
  }

 private:
  Json load(const Json& request) {
    const std::string path = request.at("path");
    Stopwatch watch;
    Model model = read_model(path, {request.at("external_folders")});
    const double load_ms = watch.lap();
    return in_file(path, [&] {
      Json answer = compile(std::move(model), request);
      answer["load_ms"] = load_ms;
      return answer;
    });
  }

  Json compile(Model model, const Json& request) {
    InputMaker inputs(model, {{}, request.at("shapes"), request.at("dims"), false});
    SessionOptions options;
    options.threads = request.at("threads");
    options.optimize = request.at("optimize");
    options.fuse = request.at("fuse");
    options.precision = precision_of(request.at("precision"));
    options.compile_early = false;
    Stopwatch watch;
    session_.emplace(std::move(model), options);
    const double construct_ms = watch.lap();
    double plan_ms = 0;  // of the shapes that were accepted
    inputs.settle([&](const NamedValues& values) {
      watch.lap();
      session_->compile(values);
      plan_ms = watch.lap();
    });
    inputs_ = inputs.make(0);
    watch.lap();
    session_->run(inputs_);
    const double first_run_ms = watch.lap();
    return {{"compile_ms", construct_ms + plan_ms},
            {"first_run_ms", first_run_ms},
            {"inputs", inputs.describe()},
            {"guessed", inputs.guessed()},
            {"threads", session_->threads()}};
  }

  /// One round: runs until `ms` have passed, at least once.
  Json run(double ms) {
    std::vector<double> samples;
    double total = 0;
    const int64_t switches = involuntary_switches();
    const double waited = waited_ms();
    Stopwatch watch;
    do {
      watch.lap();
      session_->run(inputs_);
      samples.push_back(watch.lap());
      total += samples.back();
    } while (total < ms);
    return {{"samples", samples}, {"switches", involuntary_switches() - switches}, {"waited_ms", waited_ms() - waited}};
  }

  std::optional<Session> session_;
  NamedValues inputs_;
};

Json error_answer(const Error& error) {
  return {{"error", error.what()},
          {"code", static_cast<int>(error.code())},
          {"file", error.file()},
          {"node", error.node()}};
}

}  // namespace

int serve_bench(int descriptor) {
  Channel channel(descriptor);
  Worker worker;
  while (const auto request = channel.receive()) {
    Json answer;
    try {
      answer = worker.answer(*request);
    } catch (const Error& e) {
      answer = error_answer(e);
    } catch (const std::bad_alloc&) {
      answer = error_answer(Error(ErrorCode::kResourceLimit, "out of memory"));
    } catch (const std::exception& e) {
      answer = error_answer(Error(ErrorCode::kInternal, e.what()));
    }
    if (!channel.send(answer)) break;
  }
  return 0;
}

}  // namespace pli::tools
