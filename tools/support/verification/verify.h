#pragma once

#include "tools/support/data/inputs.h"
#include "tools/support/verification/compare.h"

#include <pli/model.h>
#include <pli/session.h>
#include <pli/value.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pli::tools {

struct VerifyOptions {
  int samples = 3;             // input sets; one when every input comes from a file
  std::optional<double> rtol;  // otherwise by data type: see default_tolerance
  std::optional<double> atol;  // a multiple of the output's RMS
  InputOptions inputs;
  int threads = 0;
  std::function<void(double done)> progress = [](double) {};  // told which fraction of the runs is done
};

struct Verification {
  enum class Status { kPassed, kFailed, kSkipped };

  Status status = Status::kSkipped;
  std::string reason;       // why it failed or could not be made
  std::string note;         // of a pass that needs a word: what the difference comes from
  bool folds_hold = false;  // the results are equal when nothing is fused in either: no fold is to blame
  std::string inputs;       // what was fed: names and shapes
  bool random = false;      // some of it was random numbers
  std::string guessed;      // the flags that would give what was guessed of them; empty when nothing was
  int samples = 0;
  double max_abs = 0;
  double max_rel_rms = 0;           // of any output: largest difference over the RMS of the original's output
  double max_of_allowed = 0;        // the largest difference as a fraction of what is allowed there
  std::vector<std::string> undone;  // outputs of nodes whose folds were taken back, see find_what_breaks
};

/// What an optimized model's outputs may differ by, |a - b| <= rtol * |b| + atol * RMS(b):
///
///     float32, float64   1e-3  1e-3
///     float16            1e-2  1e-2
///     bfloat16           5e-2  5e-2
///
/// In float16 and bfloat16 single elements may differ by five times as much, as long as the root mean square of the
/// differences is within that of what is allowed. float64 is as float32, because a model may compute in float32 and
/// give float64. All other types have to be equal; integers only as long as no atol is given.
Tolerance default_tolerance(DataType dtype);

/// Runs a model on several sets of inputs, with operators fused or each on its own.
using Execute = std::function<std::vector<NamedValues>(Model model, bool fuse, std::span<const NamedValues>)>;

/// Gives a model whenever it is needed. One that nobody keeps meanwhile takes half the memory while it runs, as a
/// session lets go of the weights that it has packed.
using ModelSource = std::function<Model()>;

/// `model` at first, afterwards what `again` gives.
ModelSource first_then(Model model, ModelSource again);

/// Compares optimized models with the original, which runs with nothing optimized and nothing fused, once, when this is
/// made; the results are kept, the session is not.
class Verifier {
 public:
  /// kInvalidArgument for what the user got wrong about inputs. What can't be run makes every check "skipped".
  /// `execute`: what runs models, but for the original at first; a Session when it is not given.
  Verifier(ModelSource original, const VerifyOptions& options, Execute execute = {});
  Verifier(const Model& original, const VerifyOptions& options, Execute execute = {})
      : Verifier([original] { return original; }, options, std::move(execute)) {}

  /// Runs `optimized` as it would be run, fused. An error of it is a failure, one of the machine's limits is not.
  /// `weights`: a narrow type that folding rounded weights to: outputs may differ as if they were of that type.
  ///
  /// What differs is run once more without fusion, as the original was, to tell a fold from how it is executed. Where
  /// the folds hold, the difference is accepted if the original is so ill-conditioned that rounding explains it: its
  /// outputs change by a tenth of it or more when its inputs change by a millionth. Otherwise fusion is to blame. NaN
  /// of the original has to be NaN without fusion; with it some kernels of oneDNN give a number.
  Verification check(const ModelSource& optimized, DataType weights = DataType::kUndefined) const;
  Verification check(const Model& optimized, DataType weights = DataType::kUndefined) const {
    return check([&] { return optimized; }, weights);
  }

 private:
  struct Attempt {
    std::vector<NamedValues> outputs;
    Comparison comparison;  // with the original
  };

  /// What lets outputs differ by more.
  struct Leniency {
    bool fused = false;
    DataType weights = DataType::kUndefined;
    std::span<const double> allowances{};  // absolute, for each output
  };

  void run_original(Model original, InputMaker& inputs);
  void try_other_batch(const Session& session, InputMaker& inputs);
  void require_something_to_compare(const NamedValues& first) const;
  Verification check_runnable(const ModelSource& optimized, DataType weights) const;
  Attempt attempt(const ModelSource& model, const Leniency& leniency) const;
  bool is_explained_by_rounding(std::span<const NamedValues> outputs, Leniency leniency) const;
  void judge_execution(const Attempt& fused, const Attempt& unfused, DataType weights, Verification& result) const;
  Comparison compare_all(std::span<const NamedValues> actual, const Leniency& leniency) const;
  Comparison compare_outputs(const NamedValues& actual, const NamedValues& expected, const Leniency& leniency) const;
  std::vector<double> sensitivity() const;

  ModelSource original_;
  VerifyOptions options_;
  Execute execute_;
  std::string unverifiable_;  // why no check can be made
  std::string description_;
  std::string guessed_;
  bool random_ = false;
  std::vector<NamedValues> inputs_;
  std::vector<NamedValues> expected_;
};

/// A set of `candidates` whose folds have to be undone so that `holds`, found one by one by bisection: `holds(keep)`
/// says whether the model verifies with the folds of `keep` undone. Nothing when it does not even with all of them
/// undone.
std::optional<std::vector<std::string>> find_what_breaks(
    const std::vector<std::string>& candidates, const std::function<bool(const std::vector<std::string>& keep)>& holds);

}  // namespace pli::tools
