#pragma once

#include "tools/support/compare.h"
#include "tools/support/inputs.h"

#include <pli/model.h>
#include <pli/value.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pli::tools {

struct VerifyOptions {
  int samples = 3;             // input sets; one when every input comes from a file
  std::optional<double> rtol;  // otherwise by data type: see default_tolerance
  std::optional<double> atol;  // a multiple of the output's RMS
  InputOptions inputs;
  int threads = 0;
};

struct Verification {
  enum class Status { kPassed, kFailed, kSkipped };

  Status status = Status::kSkipped;
  std::string reason;  // why it failed or could not be made
  std::string inputs;  // what was fed: names and shapes
  int samples = 0;
  double max_abs = 0;
  double max_rel_rms = 0;           // of any output: largest difference over the RMS of the original's output
  std::vector<std::string> undone;  // outputs of nodes whose folds were taken back, see find_what_breaks
};

/// What an optimized model's outputs may differ by, |a - b| <= rtol * |b| + atol * RMS(b):
///
///     float32, float64   1e-3  1e-3
///     float16            1e-2  1e-2
///     bfloat16           5e-2  5e-2
///
/// float64 is as float32, because a model may compute in float32 and give float64. All other types have to be equal.
Tolerance default_tolerance(DataType dtype);

/// Compares optimized models with the original, which runs with nothing optimized and nothing fused, once, when this is
/// made; the results are kept, the session is not.
class Verifier {
 public:
  /// kInvalidArgument for what the user got wrong about inputs. What can't be run makes every check "skipped".
  Verifier(const Model& original, const VerifyOptions& options);

  /// Runs `optimized` as it would be run, fused. An error of it is a failure.
  Verification check(const Model& optimized) const;

 private:
  void run_original(const Model& original, InputMaker& inputs);
  Comparison compare_outputs(const NamedValues& actual, const NamedValues& expected) const;

  VerifyOptions options_;
  std::string unverifiable_;  // why no check can be made
  std::string description_;
  std::vector<NamedValues> inputs_;
  std::vector<NamedValues> expected_;
};

/// A set of `candidates` whose folds have to be undone so that `holds`, found one by one by bisection: `holds(keep)`
/// says whether the model verifies with the folds of `keep` undone. Nothing when it does not even with all of them
/// undone.
std::optional<std::vector<std::string>> find_what_breaks(
    const std::vector<std::string>& candidates, const std::function<bool(const std::vector<std::string>& keep)>& holds);

}  // namespace pli::tools
