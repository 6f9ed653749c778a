#pragma once

#include "tools/support/bench.h"
#include "tools/support/cli.h"
#include "tools/support/statistics.h"

#include <string>

namespace pli::tools {

/// How a result compares with the first one.
struct BenchComparison {
  Estimate ratio;  // the first one's time over this one's: above 1, this one is faster
  std::string verdict;
};

/// The verdict in words says when no difference is shown, and how much longer it would take to see one of 1 %.
BenchComparison compare_results(const BenchResult& first, const BenchResult& other);

/// Why the measurement of a result should not be trusted; empty when nothing speaks against it.
std::string noise_of(const BenchResult& result, double stolen);

/// The document of --json.
Json bench_json(const BenchRun& run);

/// The text for people.
void print_bench(const CommandLine& line, const BenchRun& run);

}  // namespace pli::tools
