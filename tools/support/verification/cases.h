#pragma once

#include "tools/support/data/model_file.h"
#include "tools/support/verification/compare.h"

#include <filesystem>
#include <string>

namespace pli::tools {

struct CaseOptions {
  std::string model;  // instead of the case's own; empty: its own
  ModelOptions model_options;
  Tolerance tolerance{.rtol = 1e-3, .atol = 1e-7};
  int threads = 0;
};

/// What became of one test case.
struct CaseResult {
  enum class Status { kPass, kFail, kUnsupported };

  Status status = Status::kFail;
  std::string what;   // what differs, or can't be run
  int data_sets = 0;  // that were run
  double max_abs = 0;
  double max_rel_rms = 0;
};

/// "pass", "fail", "unsupported".
std::string_view name_of(CaseResult::Status status);

/// Runs an ONNX test case: model.onnx on every test_data_set_*, input_K.pb being the K-th input and output_K.pb what
/// the K-th output has to be. It runs in a process of its own, so that whatever is wrong with it, a crash too, ends in
/// the result.
CaseResult run_case(const std::filesystem::path& folder, const CaseOptions& options);

}  // namespace pli::tools
