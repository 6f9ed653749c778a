#pragma once

#include "tools/support/console/command_line.h"
#include "tools/support/console/json_fwd.h"
#include "tools/support/verification/verify.h"

#include <pli/model.h>
#include <pli/optimize.h>

#include <cstdint>
#include <optional>
#include <string>

namespace pli::tools {

/// A model file's figures.
struct ModelFacts {
  std::string path;
  int64_t bytes = 0;  // external data included
  int64_t nodes = 0;  // nested graphs included
  int64_t opset = 0;  // of ONNX's own operators
};

/// Of a model that was read from `path` or written there. `external`: look for files of external data, too.
ModelFacts facts_of(const Model& model, const std::string& path, bool external);

/// What onnx-optimize did with one model: the source of both its outputs.
struct OptimizeOutcome {
  ModelFacts input;
  std::optional<ModelFacts> output;  // when it was written
  Report report;
  Verification verification;
  double load_ms = 0;
  double optimize_ms = 0;
  double verify_ms = 0;
  double save_ms = 0;
  double total_ms = 0;
};

/// The document of --json and --report, whose keys stay; `options` are what the command was asked to do.
Json outcome_json(const OptimizeOutcome& outcome, const Json& options);

/// The text for people.
void print_outcome(const CommandLine& line, const OptimizeOutcome& outcome);

/// {"found", "folded", "kept", "items"}.
Json folds_json(const std::vector<Fold>& folds);

/// A table of what became of each fold candidate; empty text when there is none.
std::string folds_text(const std::vector<Fold>& folds, std::string_view what);

}  // namespace pli::tools
