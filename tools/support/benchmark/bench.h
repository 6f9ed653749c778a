#pragma once

#include "tools/support/console/json_fwd.h"
#include "tools/support/data/inputs.h"
#include "tools/support/data/model_file.h"

#include <functional>
#include <string>
#include <vector>

namespace pli::tools {

/// How a model is to be run.
struct BenchSettings {
  int threads = 0;
  bool no_optimize = false;
  bool no_fuse = false;
  std::string precision = "f32";  // as --precision takes it
  ModelOptions model;
  InputOptions inputs;
  std::string text;  // the flags that differ from the command's own, for people
};

/// A model with settings: what one worker process measures.
struct BenchEntry {
  std::string path;
  BenchSettings settings;
  int number = 0;  // among entries, from 1; 0 for a single one

  /// "resnet50.onnx", or "[2] resnet50.onnx (--threads 1)" where there are several.
  std::string label() const;
};

struct BenchOptions {
  double min_time_ms = 3000;  // of runs for each entry
  int64_t runs = 0;           // at least as many for each entry
};

/// What was measured of one entry. Times in milliseconds.
struct BenchResult {
  BenchEntry entry;
  int threads = 0;
  std::string inputs;
  std::string guessed;  // of their shapes: see InputMaker
  double load_ms = 0;
  double compile_ms = 0;
  double first_run_ms = 0;
  std::vector<double> samples;  // every run but the first and those that warm up
  std::vector<double> rounds;   // the median run of each round; parallel to the rounds of the other entries
  int64_t peak_memory_bytes = 0;
  int64_t involuntary_switches = 0;  // how often another process took the processor while it ran
  double waited_ms = 0;              // that its threads, all together, waited for a processor in the samples

  double median_ms() const;
};

struct BenchRun {
  std::vector<BenchResult> results;
  bool interrupted = false;  // by the user, before all that was asked for was measured
  double stolen = 0;         // the fraction of processor time that the hypervisor gave to others meanwhile
};

/// Measures the entries, each in a worker process of its own, round by round in turn, so that what disturbs the machine
/// disturbs all of them; the others sleep. An error of a worker is thrown; a worker that crashes is kInternal.
///
/// SIGINT ends the measurement after the round that runs, the first at the earliest; a second SIGINT ends the process.
/// `progress` is told what is done, and which fraction of the measurement.
BenchRun run_bench(const std::vector<BenchEntry>& entries, const BenchOptions& options,
                   const std::function<void(const std::string& what, double done)>& progress);

/// What the worker process does: answers the requests that come through the descriptor until it is closed.
int serve_bench(int descriptor);

}  // namespace pli::tools
