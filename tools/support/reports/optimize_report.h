#pragma once

#include "tools/support/console/command_line.h"
#include "tools/support/console/json_fwd.h"
#include "tools/support/data/model_file.h"
#include "tools/support/verification/verify.h"

#include <pli/model.h>
#include <pli/optimize.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pli::tools {

/// A model file's figures.
struct ModelFacts {
  std::string path;
  int64_t bytes = 0;  // external data included
  int64_t nodes = 0;  // nested graphs included
  int64_t nested_nodes = 0;
  int64_t opset = 0;  // of ONNX's own operators
};

/// Of a model that was read from `path` or written there.
ModelFacts facts_of(const Model& model, const std::string& path, int64_t bytes);

/// Of all graphs, nested ones included.
int64_t count_nodes(const Model& model);

/// "35 nodes", or "35 nodes (3 of them in nested graphs)".
std::string nodes_text(const ModelFacts& facts);

/// What onnx-optimize did with one model: the source of both its outputs.
struct OptimizeOutcome {
  ModelFacts input;
  std::optional<ModelFacts> output;  // when it was written
  std::vector<SavedFile> files;      // what became of the model's files, and of the report's
  std::string report_path;           // empty: none is written
  Report report;
  int64_t nodes_after = 0;  // nested graphs included
  bool unchanged = false;   // nothing was found to do, so that there was nothing to verify
  Verification verification;
  double load_ms = 0;
  double optimize_ms = 0;
  double verify_ms = 0;
  double save_ms = 0;
  double total_ms = 0;
};

/// The content of --json and --report, whose keys stay.
Json outcome_json(const OptimizeOutcome& outcome);

/// The text for people.
void print_outcome(const CommandLine& line, const OptimizeOutcome& outcome);

/// {"found", "folded", "kept", "items"}.
Json folds_json(const std::vector<Fold>& folds);

/// What became of each fold candidate, and why it was kept: one by one where they are up to twelve or `line` is
/// verbose, else grouped by rule and reason. Empty where there is none. `what`: what they are.
std::string folds_text(const CommandLine& line, const std::vector<Fold>& folds, std::string_view what);

/// folds_text of the BatchNormalizations, and of what else scales and shifts where that is all there is.
std::string normalizations_text(const CommandLine& line, const Report& report);

}  // namespace pli::tools
