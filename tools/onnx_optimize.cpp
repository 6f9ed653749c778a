#include "tools/commands.h"

#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"
#include "tools/support/data/fix_shapes.h"
#include "tools/support/data/output_files.h"
#include "tools/support/process/stopwatch.h"
#include "tools/support/reports/optimize_report.h"
#include "tools/support/verification/verify.h"

#include "runtime/core/files.h"

#include <pli/model.h>
#include <pli/optimize.h>

#include <filesystem>
#include <map>

namespace pli::tools {

namespace {

struct Options {
  std::string model;
  std::string output;
  std::string report;
  std::string external = "auto";
  bool list_passes = false;
  bool no_verify = false;
  bool require_verified = false;
  bool keep_going = false;
  OptimizeOptions optimize;
  VerifyOptions verify;
};

const std::map<std::string, ExternalData> kExternal{
    {"auto", ExternalData::kAuto}, {"always", ExternalData::kAlways}, {"never", ExternalData::kNever}};

void add_flags(CommandLine& line, Options& options) {
  line.add({.names = "MODEL", .target = &options.model, .help = "the model to optimize"});
  line.add({.names = "-o,--output,OUT",
            .target = &options.output,
            .help = "where to write the result; MODEL itself is allowed; of a model that was there the .data file is\n"
                    "removed as well; default: nothing is written",
            .value = "FILE"});
  line.add(
      {.names = "--no-verify", .target = &options.no_verify, .help = "do not compare the result with the original"});
  line.add({.names = "--samples",
            .target = &options.verify.samples,
            .help = "seeded input sets to compare on (default 3)",
            .value = "N",
            .check = whole_between(1, 1000)});
  line.add({.names = "--require-verified",
            .target = &options.require_verified,
            .help = "exit 1 when the comparison can't be made"});
  line.add({.names = "--rtol",
            .target = &options.verify.rtol,
            .help = "allowed difference, a fraction of the value (default 1e-3 for float32)",
            .value = "X",
            .check = not_negative()});
  line.add({.names = "--atol",
            .target = &options.verify.atol,
            .help = "plus this fraction of the output's RMS (default 1e-3 for float32, 0 for integers)",
            .value = "X",
            .check = not_negative()});
  line.add({.names = "--input",
            .target = &options.verify.inputs.files,
            .help = "compare on this input, a .npy or TensorProto (.pb) file",
            .value = "NAME=FILE"});
  line.add({.names = "--shape",
            .target = &options.verify.inputs.shapes,
            .help = "give an input this shape for good, such as x:1,3,224,224",
            .value = "NAME:DIMS"});
  line.add({.names = "--dim",
            .target = &options.verify.inputs.dims,
            .help = "give a symbolic dimension this value for good, such as batch=4",
            .value = "NAME=N"});
  line.add({.names = "--keep-going",
            .target = &options.keep_going,
            .help = "undo just the folds that break the comparison, and report them"});
  line.add({.names = "--only",
            .target = &options.optimize.only,
            .help = "run just these passes",
            .value = "P,...",
            .commas = true});
  line.add({.names = "--disable",
            .target = &options.optimize.disable,
            .help = "run all but these passes",
            .value = "P,...",
            .commas = true});
  line.add({.names = "--stop-after",
            .target = &options.optimize.stop_after,
            .help = "stop after the first run of this pass",
            .value = "P"});
  line.add({.names = "--list-passes", .target = &options.list_passes, .help = "list the passes and stop"});
  line.add({.names = "--freeze-initializers",
            .target = &options.optimize.freeze_initializers,
            .help = "take initializers that are also inputs as constant"});
  line.add({.names = "--strict",
            .target = &options.optimize.strict,
            .help = "read nodes by the standard's words where other runtimes read them otherwise:\n"
                    "BatchNormalization below opset 14 whose statistics are outputs that nobody reads"});
  line.add({.names = "--widen-weights",
            .target = &options.optimize.widen_weights,
            .help = "store folded weights in the type that they are computed in, not as float16 behind a Cast\n"
                    "as before"});
  line.add({.names = "--folding-limit",
            .target = &options.optimize.limits.folded_bytes,
            .help = "bytes that folding may make of smaller constants in one node (default\n"
                    "1048576); all results together and the work are limited in proportion",
            .value = "BYTES",
            .check = whole_between(0, int64_t{1} << 40)});
  line.add({.names = "--report",
            .target = &options.report,
            .help = "write the JSON document of --json to a file, too",
            .value = "FILE"});
  line.add({.names = "--external-data",
            .target = &options.external,
            .help = "weights in a second file: auto (as the input has them), always, never",
            .value = "WHEN",
            .check = one_of({"auto", "always", "never"})});
}

/// What the command was asked to do, for the report.
Json options_json(const CommandLine& line, const Options& options) {
  return {{"verify", !options.no_verify},
          {"samples", options.verify.samples},
          {"rtol", options.verify.rtol ? Json(*options.verify.rtol) : Json()},
          {"atol", options.verify.atol ? Json(*options.verify.atol) : Json()},
          {"require_verified", options.require_verified},
          {"keep_going", options.keep_going},
          {"only", options.optimize.only},
          {"disable", options.optimize.disable},
          {"stop_after", options.optimize.stop_after},
          {"freeze_initializers", options.optimize.freeze_initializers},
          {"strict", options.optimize.strict},
          {"widen_weights", options.optimize.widen_weights},
          {"folding_limit", options.optimize.limits.folded_bytes},
          {"external_data", options.external},
          {"inputs", options.verify.inputs.files},
          {"shapes", options.verify.inputs.shapes},
          {"dims", options.verify.inputs.dims},
          {"threads", line.threads()}};
}

int list_passes(const CommandLine& line) {
  Json document = Json::array();
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  for (const PassInfo& pass : pli::list_passes()) {
    document.push_back({{"name", pass.name}, {"summary", pass.summary}});
    table.add({pass.name, pass.summary});
  }
  if (line.json()) line.print_json(document);
  line.print("{}", table.text(0));
  return kDone;
}

/// The report must not take the place of a model.
void check_report(const Options& options) {
  for (const std::string& model : {options.model, options.output})
    if (!options.report.empty() && !model.empty() && is_part_of_model(options.report, model))
      fail(ErrorCode::kInvalidArgument, "--report {} would overwrite a file of the model {}", options.report, model);
}

/// A folder that is not there is found before the work, not after it.
void check_target(const std::string& path) {
  if (path.empty()) return;
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::is_directory(folder, error))
    fail(ErrorCode::kIo, "{}: the folder {} does not exist", path, folder.string());
}

/// Optimizes `model` again with just those folds undone that break the comparison, however fusion does.
Verification undo_what_breaks(const Model& start, Model& model, const OptimizeOptions& wanted, const Verifier& verifier,
                              Report& report, const Verification& failed) {
  std::vector<std::string> candidates;
  for (const auto* folds : {&report.batch_norms, &report.affines})
    for (const Fold& fold : *folds)
      if (fold.folded) candidates.push_back(fold.output);
  const auto optimize_keeping = [&](const std::vector<std::string>& keep) {
    OptimizeOptions options = wanted;
    options.keep.insert(options.keep.end(), keep.begin(), keep.end());
    model = start;
    report = pli::optimize(model, options);
    return verifier.check(model);
  };
  const auto holds = [&](const std::vector<std::string>& keep) { return optimize_keeping(keep).folds_hold; };
  const auto undone = find_what_breaks(candidates, holds);
  Verification result = optimize_keeping(undone.value_or(std::vector<std::string>{}));
  if (!undone) return failed;  // something else than a fold
  result.undone = *undone;
  return result;
}

void write_report(const std::string& path, const Json& document) {
  AtomicFile file(path);
  file.write(json_text(document));
  file.commit();
}

int optimize_file(const CommandLine& line, Options& options) {
  Progress progress(!line.quiet());
  Stopwatch total;
  OptimizeOutcome outcome;
  check_target(options.output);
  check_target(options.report);
  check_report(options);

  progress.show("loading " + options.model);
  Stopwatch watch;
  const Model original = Model::load(options.model);
  outcome.input = facts_of(original, options.model, original.ir()->has_external_data);
  outcome.load_ms = watch.lap();

  progress.show("optimizing");
  const Model start = with_context(options.model, [&] { return fix_shapes(original, options.verify.inputs); });
  Model model = start;
  outcome.report = with_context(options.model, [&] { return pli::optimize(model, options.optimize); });
  outcome.optimize_ms = watch.lap();

  outcome.verification.reason = "--no-verify was given";
  if (!options.no_verify) {
    progress.show("verifying");
    options.verify.threads = line.threads();
    options.verify.weights = outcome.report.rounded_to;
    const Verifier verifier = with_context(options.model, [&] { return Verifier(original, options.verify); });
    outcome.verification = verifier.check(model);
    const bool failed = outcome.verification.status == Verification::Status::kFailed;
    if (failed && !outcome.verification.folds_hold && options.keep_going)
      outcome.verification =
          undo_what_breaks(start, model, options.optimize, verifier, outcome.report, outcome.verification);
  }
  outcome.verify_ms = watch.lap();

  const bool failed = outcome.verification.status == Verification::Status::kFailed;
  const bool unverified = outcome.verification.status == Verification::Status::kSkipped && options.require_verified;
  if (!options.output.empty() && !failed && !unverified) {
    progress.show("writing " + options.output);
    model.save(options.output, kExternal.at(options.external));
    const bool two_files = original.ir()->has_external_data || options.external == "always";
    outcome.output = facts_of(model, options.output, two_files);
  }
  outcome.save_ms = watch.lap();
  outcome.total_ms = total.lap();

  progress.clear();
  const Json document = outcome_json(outcome, options_json(line, options));
  if (!options.report.empty()) write_report(options.report, document);
  if (line.json()) line.print_json(document);
  print_outcome(line, outcome);
  if (failed)
    line.complain("{}: the results differ, nothing was written: {}", options.model, outcome.verification.reason);
  if (unverified)
    line.complain("{}: not verified, nothing was written: {}", options.model, outcome.verification.reason);
  return failed || unverified ? kDiffers : kDone;
}

}  // namespace

int onnx_optimize(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-optimize",
      "Folds BatchNormalization and other constant arithmetic of an ONNX model into the weights of the Conv,\n"
      "ConvTranspose, Gemm or MatMul before it, compares the result with the original on seeded inputs, and\n"
      "writes it. Names, order and types of inputs and outputs stay. When the results differ, nothing is\n"
      "written and the exit code is 1.",
      "  onnx-optimize resnet50.onnx                      say what would be folded, and what would be kept and why\n"
      "  onnx-optimize resnet50.onnx -o resnet50.opt.onnx write it, when the comparison passes");
  Options options;
  line.explain_verbose("list constant scales and shifts, too, and what became of each");
  add_flags(line, options);
  if (!line.parse()) return kDone;
  if (options.list_passes) return list_passes(line);
  if (options.model.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");
  for (const auto& [flag, path] : {std::pair("--output", options.output), std::pair("--report", options.report)})
    if (line.has(flag) && path.empty()) fail(ErrorCode::kInvalidArgument, "{}: the name of the file is empty", flag);
  return optimize_file(line, options);
}

}  // namespace pli::tools
