#include "tools/support/verification/verify.h"

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"
#include "tools/support/data/random.h"

#include <algorithm>
#include <new>

namespace pli::tools {

namespace {

constexpr const char* kOutOfMemory = "there is not enough memory to run it";

Session session_of(Model model, bool fuse, int threads) {
  SessionOptions options;
  options.optimize = false;
  options.fuse = fuse;
  options.threads = threads;
  options.compile_early = false;
  options.plan_cache = 1;
  return Session(std::move(model), options);
}

/// How far inputs are moved to see how much a model makes of rounding, as a fraction of themselves: some units in the
/// last place of a float32.
constexpr double kMove = 0x1p-20;
/// Rounding at every operator may do so many times more than moving the inputs does.
constexpr double kExplained = 10;

/// Folding rounds the weights of a model of halves once more, which moves its outputs about as much as rounding the
/// weights at first did. Of thousands of elements some lie this many times beyond the root mean square.
constexpr double kStray = 5;

/// What the last input set has where the batch is a guess: a batch of 1 would hide what mixes images up.
constexpr int64_t kOtherBatch = 2;

/// Each float moved by kMove of itself, up or down.
NamedValues moved(const NamedValues& values) {
  Random random(1);
  NamedValues result;
  for (const auto& [name, value] : values) {
    if (!value.is_tensor() || !is_float(value.dtype())) {
      result.add(name, value);
      continue;
    }
    std::vector<double> numbers = to_doubles(value.tensor());
    for (double& number : numbers) number *= 1 + (random.below(2) ? kMove : -kMove);
    result.add(name, from_doubles(value.dtype(), Shape(value.shape().begin(), value.shape().end()), numbers));
  }
  return result;
}

bool has_float(const Value& value) { return value.is_tensor() && is_float(value.dtype()) && value.tensor().size() > 0; }

}  // namespace

Tolerance default_tolerance(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
    case DataType::kFloat64:
      return {.rtol = 1e-3, .atol_rms = 1e-3};
    case DataType::kFloat16:
      return {.rtol = 1e-2, .atol_rms = 1e-2, .stray = kStray};
    case DataType::kBfloat16:
      return {.rtol = 5e-2, .atol_rms = 5e-2, .stray = kStray};
    default:
      return {};
  }
}

ModelSource first_then(Model model, ModelSource again) {
  return [first = std::make_shared<std::optional<Model>>(std::move(model)), again = std::move(again)] {
    if (!*first) return again();
    Model result = std::move(**first);
    first->reset();
    return result;
  };
}

Verifier::Verifier(ModelSource original, const VerifyOptions& options, Execute execute)
    : original_(std::move(original)), options_(options), execute_(std::move(execute)) {
  if (!execute_)
    execute_ = [threads = options.threads, progress = options.progress](Model model, bool fuse,
                                                                        std::span<const NamedValues> inputs) {
      const Session session = session_of(std::move(model), fuse, threads);
      std::vector<NamedValues> outputs;
      for (const NamedValues& values : inputs) {
        outputs.push_back(session.run(values));
        progress(0.5 + 0.5 * static_cast<double>(outputs.size()) / static_cast<double>(inputs.size()));
      }
      return outputs;
    };
  Model model = original_();
  InputMaker inputs(model, options.inputs);
  try {
    run_original(std::move(model), inputs);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal || e.code() == ErrorCode::kIo) throw;
    unverifiable_ = e.what();
  } catch (const std::bad_alloc&) {
    unverifiable_ = kOutOfMemory;
  }
}

void Verifier::run_original(Model original, InputMaker& inputs) {
  const Session session = session_of(std::move(original), false, options_.threads);
  inputs.settle([&](const NamedValues& values) { session.compile(values); });
  description_ = inputs.describe();
  guessed_ = inputs.guessed();
  random_ = inputs.has_random();
  const int samples = random_ ? options_.samples : 1;
  for (int i = 0; i < samples; ++i) {
    if (i > 0 && i == samples - 1) try_other_batch(session, inputs);
    inputs_.push_back(inputs.make(static_cast<uint64_t>(i)));
    expected_.push_back(session.run(inputs_.back()));
    options_.progress(0.5 * (i + 1) / samples);
  }
  require_something_to_compare(expected_.front());
}

void Verifier::try_other_batch(const Session& session, InputMaker& inputs) {
  InputMaker other = inputs;
  if (!other.change_batch(kOtherBatch)) return;
  try {
    session.compile(other.make(0));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return;  // the model takes one batch only
  }
  description_ += ", the last " + other.describe();
  inputs = std::move(other);
}

void Verifier::require_something_to_compare(const NamedValues& first) const {
  bool any = false;
  for (size_t output = 0; output < first.size(); ++output) {
    bool floats = false;
    bool informative = false;
    for (const NamedValues& values : expected_) {
      const Value& value = (values.begin() + static_cast<std::ptrdiff_t>(output))->second;
      floats = floats || has_float(value);
      informative = informative || compare(value, value, {}).informative;
    }
    if (floats && !informative)
      fail(ErrorCode::kUnsupported,
           "output \"{}\" is nothing but NaN or infinite on these inputs; give real ones with --input",
           (first.begin() + static_cast<std::ptrdiff_t>(output))->first);
    any = any || informative;
  }
  if (!any) fail(ErrorCode::kUnsupported, "no output has an element on these inputs: {}", description_);
}

Comparison Verifier::compare_outputs(const NamedValues& actual, const NamedValues& expected,
                                     const Leniency& leniency) const {
  Comparison total;
  size_t output = 0;
  for (const auto& [name, value] : expected) {
    const DataType dtype = value.is_tensor() ? value.dtype() : DataType::kFloat32;
    const bool narrow_weights = is_float(dtype) && is_float(leniency.weights);
    Tolerance tolerance = default_tolerance(narrow_weights ? leniency.weights : dtype);
    tolerance.any_for_nan = leniency.fused;
    if (options_.rtol || options_.atol) tolerance.stray = 1;
    if (options_.rtol) tolerance.rtol = *options_.rtol;
    if (options_.atol) tolerance.atol_rms = *options_.atol;
    if (output < leniency.allowances.size()) tolerance.atol = leniency.allowances[output];
    const auto found = output < actual.size() ? actual.begin() + static_cast<std::ptrdiff_t>(output) : actual.end();
    ++output;
    Comparison one;
    if (found != actual.end() && found->first == name)
      one = compare(found->second, value, tolerance);
    else
      one.difference = "is missing";
    if (!one.difference.empty()) {
      one.difference = fmt::format("output \"{}\": {}", name, one.difference);
      if (is_integer(dtype) && !options_.atol)
        one.difference += "; integers have to be equal unless --atol X lets them differ by X of their RMS";
    }
    merge(total, one);
  }
  return total;
}

Comparison Verifier::compare_all(std::span<const NamedValues> actual, const Leniency& leniency) const {
  Comparison total;
  for (size_t i = 0; i < expected_.size(); ++i) merge(total, compare_outputs(actual[i], expected_[i], leniency));
  return total;
}

Verifier::Attempt Verifier::attempt(const ModelSource& model, const Leniency& leniency) const {
  Attempt result;
  try {
    result.outputs = execute_(model(), leniency.fused, inputs_);
    result.comparison = compare_all(result.outputs, leniency);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal || e.code() == ErrorCode::kResourceLimit) throw;
    result.comparison.difference = fmt::format("the original runs, the result does not: {}", e.what());
  }
  return result;
}

/// For each output, the most that an element changes when the inputs are moved.
std::vector<double> Verifier::sensitivity() const {
  std::vector<double> changes(expected_.front().size(), 0.0);
  std::vector<NamedValues> inputs;
  for (const NamedValues& values : inputs_) inputs.push_back(moved(values));
  std::vector<NamedValues> outputs;
  try {
    outputs = execute_(original_(), false, inputs);
  } catch (const Error& e) {  // what can't be told explains nothing
    if (e.code() == ErrorCode::kInternal) throw;
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    for (size_t output = 0; output < changes.size(); ++output) {
      const auto at = static_cast<std::ptrdiff_t>(output);
      const Tolerance counts_integers{.atol = 1};
      const Comparison one =
          compare((outputs[i].begin() + at)->second, (expected_[i].begin() + at)->second, counts_integers);
      changes[output] = std::max(changes[output], one.max_abs);
    }
  return changes;
}

bool Verifier::is_explained_by_rounding(std::span<const NamedValues> outputs, Leniency leniency) const {
  std::vector<double> allowances = sensitivity();
  for (double& allowance : allowances) allowance *= kExplained;
  leniency.allowances = allowances;
  return compare_all(outputs, leniency).difference.empty();
}

void Verifier::judge_execution(const Attempt& fused, const Attempt& unfused, DataType weights,
                               Verification& result) const {
  const Attempt original = attempt(original_, {.fused = true, .weights = weights});
  const std::string figures = fmt::format(
      "with nothing fused the result differs from the original by {:.2g} of the output's RMS, the original "
      "run fused by {:.2g}{}",
      unfused.comparison.max_rel_rms, original.comparison.max_rel_rms,
      original.comparison.difference.empty() ? "" : " as well");
  if (!fused.outputs.empty() && is_explained_by_rounding(fused.outputs, {.fused = true, .weights = weights})) {
    result.status = Verification::Status::kPassed;
    result.reason.clear();
    result.note =
        "the outputs change about as much when the inputs change by a millionth, so the difference is rounding, "
        "not a fold: " +
        figures;
    return;
  }
  result.reason +=
      "; no fold is to blame, but how operators are fused while running, and rounding does not explain it: " + figures;
}

Verification Verifier::check_runnable(const ModelSource& optimized, DataType weights) const {
  Verification result;
  result.inputs = description_;
  result.guessed = guessed_;
  result.random = random_;
  const Attempt fused = attempt(optimized, {.fused = true, .weights = weights});
  result.samples = static_cast<int>(inputs_.size());
  result.max_abs = fused.comparison.max_abs;
  result.max_rel_rms = fused.comparison.max_rel_rms;
  result.max_of_allowed = fused.comparison.max_of_allowed;
  result.reason = fused.comparison.difference;
  result.folds_hold = result.reason.empty();
  result.status = result.folds_hold ? Verification::Status::kPassed : Verification::Status::kFailed;
  const size_t not_compared = fused.comparison.not_compared;
  if (result.folds_hold && not_compared == 0) return result;

  const Attempt unfused = attempt(optimized, {.weights = weights});
  result.folds_hold = unfused.comparison.difference.empty();
  if (result.reason.empty() && result.folds_hold) {
    result.note = fmt::format(
        "{} elements that are NaN in the original were compared with nothing fused only: a fused activation may make "
        "them a number",
        not_compared);
  } else if (result.reason.empty()) {
    result.status = Verification::Status::kFailed;
    result.reason = unfused.comparison.difference;
  } else if (result.folds_hold) {
    judge_execution(fused, unfused, weights, result);
  } else if (!unfused.outputs.empty() && is_explained_by_rounding(unfused.outputs, {.weights = weights})) {
    result.reason +=
        "; but the original's own outputs change as much when its inputs change by a millionth, so that these inputs "
        "tell nothing: give real ones with --input";
  }
  return result;
}

Verification Verifier::check(const ModelSource& optimized, DataType weights) const {
  Verification skipped;
  skipped.inputs = description_;
  skipped.guessed = guessed_;
  skipped.random = random_;
  skipped.reason = unverifiable_;
  if (!unverifiable_.empty()) return skipped;
  try {
    return check_runnable(optimized, weights);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kResourceLimit) throw;
    skipped.reason = e.what();
  } catch (const std::bad_alloc&) {
    skipped.reason = kOutOfMemory;
  }
  return skipped;
}

std::optional<std::vector<std::string>> find_what_breaks(
    const std::vector<std::string>& candidates,
    const std::function<bool(const std::vector<std::string>& keep)>& holds) {
  std::vector<std::string> undone;
  // Undone is everything but the first `count` candidates, and what is known to break.
  const auto holds_with_first = [&](size_t count) {
    std::vector<std::string> keep(candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end());
    keep.insert(keep.end(), undone.begin(), undone.end());
    return holds(keep);
  };
  if (!holds_with_first(0)) return std::nullopt;
  while (undone.size() < candidates.size() && !holds_with_first(candidates.size())) {
    size_t good = 0;
    size_t bad = candidates.size();
    while (bad - good > 1) {
      const size_t middle = good + (bad - good) / 2;
      (holds_with_first(middle) ? good : bad) = middle;
    }
    undone.push_back(candidates[good]);
  }
  return undone;
}

}  // namespace pli::tools
