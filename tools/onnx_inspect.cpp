#include "tools/commands.h"

#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/text.h"
#include "tools/support/reports/inspect_report.h"
#include "tools/support/reports/operator_table.h"

#include <pli/model.h>

#include <algorithm>

namespace pli::tools {

namespace {

/// --plan is about models that can be run: another one is an error.
void require_plans(const std::vector<Inspection>& inspections) {
  for (const Inspection& inspection : inspections)
    if (!inspection.memory) throw in_context(Place::kFile, inspection.facts.path, *inspection.no_memory);
}

/// --plan: what will be executed.
void print_plans(const CommandLine& line, const std::vector<Inspection>& inspections) {
  for (const Inspection& inspection : inspections) {
    line.print("{}, optimized, for {}:\n", printable(inspection.facts.path), printable(inspection.shapes));
    std::string rest = inspection.memory->plan;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      line.print("{}\n", printable(rest.substr(0, end)));
      rest.erase(0, end == std::string::npos ? end : end + 1);
    }
  }
}

Json plans_json(const std::vector<Inspection>& inspections) {
  Json document = inspections_json(inspections);
  for (size_t i = 0; i < inspections.size(); ++i) document["models"][i]["plan"] = inspections[i].memory->plan;
  return document;
}

}  // namespace

int onnx_inspect(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-inspect",
      "Says what is in an ONNX model: who made it, inputs and outputs, operators, those that Pli can't run, "
      "parameters, "
      "operations, where its bytes are, what would become of each BatchNormalization, and the memory that running it "
      "takes. Several models are shown side by side.",
      {{"onnx-inspect resnet50.onnx", "what is in it"},
       {"onnx-inspect resnet50.onnx resnet50.opt.onnx", "what onnx-optimize made of it"},
       {"onnx-inspect --plan resnet50.onnx", "what will be executed, kernel by kernel"}});
  std::vector<std::string> paths;
  ModelOptions model_options;
  InputOptions inputs;
  bool plan = false;
  bool operators = false;
  line.explain_verbose("list the operations and bytes of each node, and whole names");
  line.add({.names = "MODEL", .target = &paths, .help = "the models; - is standard input"});
  line.add({.names = "--plan",
            .target = &plan,
            .help = "print what will be executed: fused groups, implementations, shapes and layouts"});
  line.add({.names = "--operators",
            .target = &operators,
            .help = "list the operators that Pli runs, their operator sets and types, and stop"});
  add_model_flags(line, model_options);
  add_input_flags(line, inputs, false);
  if (!line.parse()) return kDone;
  if (operators && !paths.empty())
    fail(ErrorCode::kInvalidArgument, "--operators lists what Pli runs, whatever the model; leave out {}", paths[0]);
  if (std::ranges::count(paths, kStandardStream) > 1)
    fail(ErrorCode::kInvalidArgument, "standard input can be read once, - stands for it {} times",
         std::ranges::count(paths, kStandardStream));
  if (operators) {
    line.print("{}", operator_table());
    if (line.json()) line.print_json(operators_json());
    return kDone;
  }
  if (paths.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");

  Progress progress(!line.quiet());
  std::vector<Inspection> inspections;
  for (const std::string& path : paths) {
    progress.show(path, static_cast<double>(inspections.size()) / static_cast<double>(paths.size()));
    inspections.push_back(inspect(path, model_options, inputs, line.threads()));
  }
  progress.clear();
  if (plan) require_plans(inspections);
  if (line.json()) line.print_json(plan ? plans_json(inspections) : inspections_json(inspections));
  if (plan)
    print_plans(line, inspections);
  else if (inspections.size() == 1)
    print_inspection(line, inspections.front());
  else
    print_side_by_side(line, inspections);
  return kDone;
}

}  // namespace pli::tools
