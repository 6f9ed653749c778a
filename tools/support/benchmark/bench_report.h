#pragma once

#include "tools/support/benchmark/bench.h"
#include "tools/support/benchmark/statistics.h"
#include "tools/support/console/command_line.h"

#include <optional>
#include <string>

namespace pli::tools {

/// How a result compares with the first one.
struct BenchComparison {
  /// The first one's time over this one's: above 1, this one is faster. Nothing when there are too few rounds.
  std::optional<Estimate> ratio;
  bool conclusive = false;  // faster, or slower, by 2 % or more
  std::string verdict;
};

/// Concludes nothing when the measurement of either is noisy, and nothing from differences that two runs of one and the
/// same model may show. The verdict in words says so, and how much longer it would take to see more when that helps.
BenchComparison compare_results(const BenchResult& first, const BenchResult& other, double stolen);

/// Why the measurement of a result should not be trusted; empty when nothing speaks against it. `stolen`: see BenchRun.
std::string noise_of(const BenchResult& result, double stolen);

/// The document of --json.
Json bench_json(const BenchRun& run);

/// The text for people.
void print_bench(const CommandLine& line, const BenchRun& run);

}  // namespace pli::tools
