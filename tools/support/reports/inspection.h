#pragma once

#include "runtime/onnx/metadata.h"
#include "tools/support/console/json_fwd.h"
#include "tools/support/data/inputs.h"
#include "tools/support/reports/cost.h"
#include "tools/support/reports/optimize_report.h"

#include <pli/model.h>
#include <pli/optimize.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pli::tools {

/// How often an operator stands in a model, and why Pli can't run it where it can't.
struct OperatorCount {
  std::string type;  // with its domain, unless it is ONNX's own
  int64_t count = 0;
  std::string unsupported;  // empty: Pli runs it
};

struct InspectedNode {
  std::string type;
  std::string name;
  std::string result;  // the type of its first output
  NodeCost cost;
};

/// The memory that running a model takes beside the model itself.
struct MemoryNeed {
  int64_t arena_bytes = 0;          // results between operators
  int64_t scratch_bytes = 0;        // what kernels work in
  int64_t packed_weight_bytes = 0;  // weights once more, in the layouts that kernels want
  int64_t steps = 0;                // kernel calls of one run
  std::string plan;                 // as text
};

/// Where the bytes of a model's files are.
struct ByteCounts {
  std::map<DataType, int64_t> weights;  // what tensors share counts once
  int64_t external = 0;                 // of all of it, in files beside the model's own
  int64_t rest = 0;                     // the graph itself
};

/// A function that the model brings along.
struct InspectedFunction {
  std::string name;  // with its domain
  int64_t nodes = 0;
};

/// What is in a model.
struct Inspection {
  ModelFacts facts;
  ByteCounts bytes_of_file;
  ModelMetadata metadata;
  std::vector<InspectedFunction> functions;
  int64_t ir_version = 0;
  ir::OpsetImports opsets;
  std::vector<std::pair<std::string, std::string>> inputs;  // name, type; those with a default are left out
  std::vector<std::pair<std::string, std::string>> outputs;
  std::vector<OperatorCount> operators;  // most frequent first
  int64_t parameters = 0;                // elements of initializers and Constant nodes, nested graphs included
  int64_t parameter_bytes = 0;
  Report report;                   // what pli::optimize would do
  std::string shapes;              // that costs and memory are for; empty when no shapes fit
  std::string guessed;             // of them: see InputMaker
  std::optional<Error> no_shapes;  // why not
  std::vector<InspectedNode> nodes;
  std::optional<int64_t> flops;  // of all nodes; absent when one is not known
  std::optional<int64_t> bytes;
  std::optional<MemoryNeed> memory;  // of the optimized model; absent when it can't be run
  std::optional<Error> no_memory;    // why not
};

/// `threads` 0: as many as there are.
Inspection inspect(const std::string& path, const ModelOptions& options, const InputOptions& inputs, int threads);

}  // namespace pli::tools
