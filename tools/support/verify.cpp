#include "tools/support/verify.h"

#include "runtime/core/error.h"
#include "runtime/core/tensor.h"

#include <pli/session.h>

namespace pli::tools {

namespace {

Session session_of(const Model& model, bool fuse, int threads) {
  SessionOptions options;
  options.optimize = false;
  options.fuse = fuse;
  options.threads = threads;
  options.compile_early = false;
  return Session(model, options);
}

bool has_float(const Value& value) { return value.is_tensor() && is_float(value.dtype()) && value.tensor().size() > 0; }

}  // namespace

Tolerance default_tolerance(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
    case DataType::kFloat64:
      return {.rtol = 1e-3, .atol_rms = 1e-3};
    case DataType::kFloat16:
      return {.rtol = 1e-2, .atol_rms = 1e-2};
    case DataType::kBfloat16:
      return {.rtol = 5e-2, .atol_rms = 5e-2};
    default:
      return {};
  }
}

Verifier::Verifier(const Model& original, const VerifyOptions& options) : options_(options) {
  InputMaker inputs(original, options.inputs);
  try {
    run_original(original, inputs);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal || e.code() == ErrorCode::kIo) throw;
    unverifiable_ = e.what();
  }
}

void Verifier::run_original(const Model& original, InputMaker& inputs) {
  const Session session = session_of(original, false, options_.threads);
  inputs.settle([&](const NamedValues& values) { session.compile(values); });
  description_ = inputs.describe();
  const int samples = inputs.has_random() ? options_.samples : 1;
  for (int i = 0; i < samples; ++i) {
    inputs_.push_back(inputs.make(static_cast<uint64_t>(i)));
    expected_.push_back(session.run(inputs_.back()));
  }
  for (size_t output = 0; output < session.outputs().size(); ++output) {
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
           session.outputs()[output].name);
  }
}

Comparison Verifier::compare_outputs(const NamedValues& actual, const NamedValues& expected) const {
  Comparison total;
  for (const auto& [name, value] : expected) {
    Tolerance tolerance = default_tolerance(value.is_tensor() ? value.dtype() : DataType::kFloat32);
    if (options_.rtol) tolerance.rtol = *options_.rtol;
    if (options_.atol) tolerance.atol_rms = *options_.atol;
    const Value* found = actual.find(name);
    Comparison one;
    if (found)
      one = compare(*found, value, tolerance);
    else
      one.difference = "is missing";
    if (!one.difference.empty()) one.difference = fmt::format("output \"{}\": {}", name, one.difference);
    merge(total, one);
  }
  return total;
}

Verification Verifier::check(const Model& optimized) const {
  Verification result;
  result.inputs = description_;
  result.reason = unverifiable_;
  if (!unverifiable_.empty()) return result;

  Comparison total;
  try {
    const Session session = session_of(optimized, true, options_.threads);
    for (size_t i = 0; i < inputs_.size(); ++i) merge(total, compare_outputs(session.run(inputs_[i]), expected_[i]));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    total.difference = fmt::format("the original runs, the result does not: {}", e.what());
  }
  result.samples = static_cast<int>(inputs_.size());
  result.max_abs = total.max_abs;
  result.max_rel_rms = total.max_rel_rms;
  result.status = total.difference.empty() ? Verification::Status::kPassed : Verification::Status::kFailed;
  result.reason = total.difference;
  return result;
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
