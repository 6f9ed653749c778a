#include "tools/support/benchmark/bench_report.h"

#include "runtime/compute/cpu_info.h"
#include "runtime/compute/parallel.h"
#include "tools/support/console/json.h"
#include "tools/support/console/table.h"
#include "tools/support/console/text.h"

#include <pli/version.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>

namespace pli::tools {

namespace {

constexpr double kNoisySpread = 0.10;  // of runs: distance of the quartiles over the median
constexpr double kNoisyRounds = 0.05;  // the same of rounds
constexpr double kNoisyDrift = 0.05;   // second half against the first
constexpr double kNoisyWait = 0.05;    // of the threads' time, for a processor
constexpr double kNoisySteal = 0.02;   // of the processor time
/// Two processes that run one and the same model differ by a little for as long as they live: by where their memory
/// lies. No number of rounds shows that, so that less proves nothing.
constexpr double kLeastDifference = 0.02;
constexpr double kLongestAdvice = 600;  // seconds more that anybody would measure

double total_ms(const BenchResult& result) {
  return std::accumulate(result.samples.begin(), result.samples.end(), 0.0);
}

/// The fraction of its threads' time that they waited for a processor.
double waited(const BenchResult& result) { return result.waited_ms / (total_ms(result) * std::max(result.threads, 1)); }

double smallest(const std::vector<double>& values) { return *std::ranges::min_element(values); }

std::string frequency_governor() {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  std::string name;
  return file >> name ? name : "unknown";
}

double load_average() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  file >> load;
  return load;
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json environment_json(const BenchRun& run) {
  const compute::ThreadChoice choice = compute::available_threads();
  const bool chosen = run.results.front().entry.settings.threads == 0;
  return {{"cpu", compute::cpu_name()},
          {"isa", compute::onednn_isa()},
          {"threads", run.results.front().threads},
          {"threads_reason", chosen ? choice.reason : "--threads"},
          {"governor", frequency_governor()},
          {"load_average", load_average()},
          {"stolen", run.stolen},
          {"pli", pli::version()},
          {"onednn", compute::onednn_version()}};
}

Json result_json(const BenchResult& result, double stolen) {
  const std::string noise = noise_of(result, stolen);
  return {{"path", result.entry.path},
          {"settings", result.entry.settings.text},
          {"label", result.entry.label()},
          {"inputs", result.inputs},
          {"guessed", result.guessed},
          {"threads", result.threads},
          {"load_ms", result.load_ms},
          {"compile_ms", result.compile_ms},
          {"first_run_ms", result.first_run_ms},
          {"min_ms", smallest(result.samples)},
          {"median_ms", result.median_ms()},
          {"p90_ms", optional_json(percentile(result.samples, 0.90))},
          {"p99_ms", optional_json(percentile(result.samples, 0.99))},
          {"runs", result.samples.size()},
          {"runs_per_second", 1000 * static_cast<double>(result.samples.size()) / total_ms(result)},
          {"samples_ms", result.samples},
          {"rounds_ms", result.rounds},
          {"peak_memory_bytes", result.peak_memory_bytes},
          {"noise",
           {{"spread", relative_spread(result.samples)},
            {"rounds_spread", relative_spread(result.rounds)},
            {"drift", drift(result.samples)},
            {"waited", waited(result)},
            {"involuntary_switches", result.involuntary_switches},
            {"verdict", noise.empty() ? "quiet" : "noisy: " + noise}}}};
}

Json comparison_json(const BenchResult& first, const BenchResult& other, double stolen) {
  const BenchComparison comparison = compare_results(first, other, stolen);
  const auto& ratio = comparison.ratio;
  return {{"of", other.entry.label()},
          {"to", first.entry.label()},
          {"ratio", ratio ? Json(ratio->value) : Json()},
          {"low", ratio ? Json(ratio->low) : Json()},
          {"high", ratio ? Json(ratio->high) : Json()},
          {"conclusive", comparison.conclusive},
          {"verdict", comparison.verdict}};
}

std::string percentile_text(const BenchResult& result, double fraction) {
  const auto value = percentile(result.samples, fraction);
  return value ? time_text(*value) : "-";
}

/// "1.31x faster, 95 % interval 1.27-1.35".
std::string ratio_text(const Estimate& estimate) {
  const auto& [ratio, low, high] = estimate;
  return ratio >= 1 ? fmt::format("{:.2f}x faster, 95 % interval {:.2f}-{:.2f}", ratio, low, high)
                    : fmt::format("{:.2f}x slower, 95 % interval {:.2f}-{:.2f}", 1 / ratio, 1 / high, 1 / low);
}

/// What the result's row is called in a table.
std::string row_name(const BenchResult& result) {
  return result.entry.number ? fmt::format("[{}]", result.entry.number) : "";
}

}  // namespace

BenchComparison compare_results(const BenchResult& first, const BenchResult& other, double stolen) {
  const auto estimate = median_ratio(first.rounds, other.rounds);
  for (const BenchResult* result : {&first, &other})
    if (const std::string noise = noise_of(*result, stolen); !noise.empty())
      return {estimate, false,
              fmt::format("too noisy to conclude: {}: {}{}", result->entry.label(), noise,
                          estimate ? "; measured " + ratio_text(*estimate) : "")};
  if (!estimate) return {estimate, false, "too noisy to conclude: too few rounds that do not depend on one another"};

  const double low = estimate->low;
  const double high = estimate->high;
  if (low >= 1 + kLeastDifference || high <= 1 / (1 + kLeastDifference)) return {estimate, true, ratio_text(*estimate)};
  const double visible = std::max({high - 1, 1 - low, kLeastDifference});
  std::string verdict =
      fmt::format("no difference shown; differences under {:.2g} % are invisible here", 100 * visible);
  // The interval narrows with the square root of the time spent.
  const double factor = std::pow(visible / kLeastDifference, 2) - 1;
  const double seconds = std::ceil(factor * (total_ms(first) + total_ms(other)) / 1000);
  if (seconds > 0 && seconds <= kLongestAdvice)
    verdict += fmt::format(", {:.0f} s more would show {:.2g} %", seconds, 100 * kLeastDifference);
  return {estimate, false, verdict};
}

std::string noise_of(const BenchResult& result, double stolen) {
  std::string text;
  const auto add = [&](const std::string& reason) { text += (text.empty() ? "" : ", ") + reason; };
  if (const double spread = relative_spread(result.samples); spread > kNoisySpread)
    add(fmt::format("half of the runs lie {:.0f} % apart", 100 * spread));
  if (const double spread = relative_spread(result.rounds); spread > kNoisyRounds)
    add(fmt::format("half of the rounds lie {:.0f} % apart", 100 * spread));
  if (const double change = drift(result.samples); std::fabs(change) > kNoisyDrift)
    add(fmt::format("became {:.0f} % {} meanwhile", 100 * std::fabs(change), change > 0 ? "slower" : "faster"));
  if (const double part = waited(result); part > kNoisyWait)
    add(fmt::format("waited for a processor {:.0f} % of the time", 100 * part));
  if (stolen > kNoisySteal) add(fmt::format("the hypervisor took {:.0f} % of the time", 100 * stolen));
  return text;
}

Json bench_json(const BenchRun& run) {
  Json models = Json::array();
  for (const BenchResult& result : run.results) models.push_back(result_json(result, run.stolen));
  Json comparisons = Json::array();
  for (size_t i = 1; i < run.results.size(); ++i)
    comparisons.push_back(comparison_json(run.results.front(), run.results[i], run.stolen));
  return {{"environment", environment_json(run)},
          {"interrupted", run.interrupted},
          {"models", std::move(models)},
          {"comparison", comparisons.empty() ? Json() : comparisons.front()},
          {"comparisons", comparisons}};
}

void print_bench(const CommandLine& line, const BenchRun& run) {
  using Align = Table::Align;
  const compute::ThreadChoice choice = compute::available_threads();
  line.print("{}, {}, oneDNN {}\n", printable(compute::cpu_name()), compute::onednn_isa(), compute::onednn_version());
  for (const BenchResult& result : run.results) {
    const bool chosen = result.entry.settings.threads == 0;
    const std::string guessed = result.guessed.empty() ? "" : fmt::format(" (guessed: {})", result.guessed);
    line.print("{}: {}{}, {} ({})\n", printable(result.entry.label()), printable(result.inputs), printable(guessed),
               plural(result.threads, "thread"), chosen ? choice.reason : "--threads");
  }
  std::vector<Align> columns(11, Align::kRight);
  columns[0] = Align::kLeft;
  Table table(columns,
              {"", "load", "compile", "first run", "min", "median", "p90", "p99", "runs", "runs/s", "peak memory"});
  for (const BenchResult& result : run.results)
    table.add({row_name(result), time_text(result.load_ms), time_text(result.compile_ms),
               time_text(result.first_run_ms), time_text(smallest(result.samples)), time_text(result.median_ms()),
               percentile_text(result, 0.90), percentile_text(result, 0.99), std::to_string(result.samples.size()),
               fmt::format("{:.4g}", 1000 * static_cast<double>(result.samples.size()) / total_ms(result)),
               bytes_text(static_cast<double>(result.peak_memory_bytes))});
  line.print("\n{}", table.text(0, line.width()));
  if (run.interrupted)
    line.print("stopped by Ctrl-C after {}\n", plural(static_cast<int64_t>(run.results[0].rounds.size()), "round"));
  if (std::ranges::any_of(run.results, [](const BenchResult& r) { return !percentile(r.samples, 0.99); }))
    line.print("p90 needs 44 runs and p99 459 to be bounded with 99 % confidence; --runs N asks for more\n");
  line.print("\n");
  for (const BenchResult& result : run.results)
    if (const std::string noise = noise_of(result, run.stolen); !noise.empty())
      line.print("{}: noisy: {}\n", printable(result.entry.label()), noise);
  for (size_t i = 1; i < run.results.size(); ++i)
    line.print("{} against {}: {}\n", printable(run.results[i].entry.label()), printable(run.results[0].entry.label()),
               compare_results(run.results[0], run.results[i], run.stolen).verdict);
}

}  // namespace pli::tools
