#include "tools/commands.h"

#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/table.h"
#include "tools/support/data/fix_shapes.h"
#include "tools/support/data/model_file.h"
#include "tools/support/data/output_files.h"
#include "tools/support/process/stopwatch.h"
#include "tools/support/reports/optimize_report.h"
#include "tools/support/verification/verify.h"

#include "runtime/core/files.h"

#include <pli/model.h>
#include <pli/optimize.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

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
  ModelOptions model_options;
  OptimizeOptions optimize;
  VerifyOptions verify;
};

const std::map<std::string, ExternalData> kExternal{
    {"auto", ExternalData::kAuto}, {"always", ExternalData::kAlways}, {"never", ExternalData::kNever}};

void add_flags(CommandLine& line, Options& options) {
  line.add({.names = "MODEL", .target = &options.model, .help = "the model to optimize; - is standard input"});
  line.add({.names = "-o,--output,OUT",
            .target = &options.output,
            .help = "where to write the result; MODEL itself is allowed, - is standard output; of a model that was "
                    "there the .data file is removed as well; default: nothing is written",
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
            .help = "read nodes by the standard's words where other runtimes read them otherwise: "
                    "BatchNormalization below opset 14 whose statistics are outputs that nobody reads"});
  line.add({.names = "--widen-weights",
            .target = &options.optimize.widen_weights,
            .help = "store folded weights in the type that they are computed in, not as float16 behind a Cast "
                    "as before"});
  line.add({.names = "--allow-duplication",
            .target = &options.optimize.allow_duplication,
            .help = "where others read a convolution or product beside a BatchNormalization, fold that into a copy: it "
                    "is computed and stored twice"});
  line.add({.names = "--folding-limit",
            .target = &options.optimize.limits.folded_bytes,
            .help = "bytes that folding may make of smaller constants in one node (default "
                    "1048576); all results together and the work are limited in proportion",
            .value = "BYTES",
            .check = whole_between(0, int64_t{1} << 40)});
  add_model_flags(line, options.model_options);
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

int list_passes(const CommandLine& line, const OptimizeOptions& options) {
  Json passes = Json::array();
  Table table({Table::Align::kLeft, Table::Align::kLeft});
  for (const PassInfo& pass : pli::list_passes(options)) {
    passes.push_back({{"name", pass.name}, {"summary", pass.summary}});
    table.add({pass.name, pass.summary});
  }
  if (line.json()) line.print_json({{"passes", std::move(passes)}});
  line.print("{}", table.text(0));
  return kDone;
}

/// Before the work, not after it: the passes are known, all that is to be written can be, and the report does not take
/// the place of a model.
void check(const Options& options) {
  (void)pli::list_passes(options.optimize);
  for (const std::string& file : {options.output, options.report})
    if (!file.empty() && file != kStandardStream) check_replaceable(file);
  for (const std::string& model : {options.model, options.output})
    if (!options.report.empty() && !model.empty() && model != kStandardStream &&
        is_part_of_model(options.report, model))
      fail(ErrorCode::kInvalidArgument, "--report {} would overwrite a file of the model {}", options.report, model);
}

/// Optimizes the model again with just those folds undone that break the comparison, however fusion does. Nothing where
/// something else than a fold does.
std::optional<Model> undo_what_breaks(const Model& start, const OptimizeOptions& wanted, const Verifier& verifier,
                                      OptimizeOutcome& outcome) {
  Report& report = outcome.report;
  std::vector<std::string> candidates;
  for (const auto* folds : {&report.batch_norms, &report.affines})
    for (const Fold& fold : *folds)
      if (fold.folded) candidates.push_back(fold.output);
  Model model = start;
  const auto optimize_keeping = [&](const std::vector<std::string>& keep) {
    OptimizeOptions options = wanted;
    options.keep.insert(options.keep.end(), keep.begin(), keep.end());
    model = start;
    report = pli::optimize(model, options);
    return verifier.check(model, report.rounded_to);
  };
  const auto holds = [&](const std::vector<std::string>& keep) { return optimize_keeping(keep).folds_hold; };
  const auto undone = find_what_breaks(candidates, holds);
  Verification result = optimize_keeping(undone.value_or(std::vector<std::string>{}));
  if (!undone) return std::nullopt;
  result.undone = *undone;
  outcome.verification = std::move(result);
  return model;
}

void write_report(const std::string& path, const Json& document) {
  AtomicFile file(path);
  file.write(json_text(document));
  file.commit();
}

/// Nothing was done to the model, so that it is equal to itself.
bool is_unchanged(const OptimizeOutcome& outcome, const Options& options) {
  const Report& report = outcome.report;
  return std::ranges::all_of(report.passes, [](const PassRun& run) { return run.changes == 0; }) &&
         report.nodes_before == report.nodes_after && !options.optimize.freeze_initializers &&
         options.verify.inputs.shapes.empty() && options.verify.inputs.dims.empty();
}

/// Compares the result with the original, and undoes folds where that is asked for: then there is another result.
/// Without a verifier nothing is compared.
std::optional<Model> verify(const Options& options, Progress& progress, const std::optional<Verifier>& verifier,
                            const ModelSource& start, const ModelSource& result, OptimizeOutcome& outcome) {
  if (!verifier) {
    outcome.verification.reason = "--no-verify was given";
    return std::nullopt;
  }
  if (outcome.unchanged) {
    outcome.verification.status = Verification::Status::kPassed;
    outcome.verification.note = "nothing was changed, so there was nothing to compare";
    return std::nullopt;
  }
  outcome.verification = verifier->check(result, outcome.report.rounded_to);
  const bool failed = outcome.verification.status == Verification::Status::kFailed;
  if (!failed || outcome.verification.folds_hold || !options.keep_going) return std::nullopt;
  progress.show("undoing the folds that break the comparison");
  return undo_what_breaks(start(), options.optimize, *verifier, outcome);
}

/// Says how the comparison ended where the report does not, or not loudly enough. The exit code.
int conclude(const CommandLine& line, const Options& options, const OptimizeOutcome& outcome) {
  const Verification& verification = outcome.verification;
  if (verification.status == Verification::Status::kFailed) {
    line.complain("{}: the results differ, nothing was written: {}", options.model, verification.reason);
    return kDiffers;
  }
  if (verification.status == Verification::Status::kPassed) return kDone;
  if (options.require_verified) {
    line.complain("{}: not verified, nothing was written: {}", options.model, verification.reason);
    return kDiffers;
  }
  if (line.quiet() && !options.no_verify) line.complain("{}: not verified: {}", options.model, verification.reason);
  return kDone;
}

/// `model` at first, and again what is read from its file. Standard input can be read but once, so it is kept where it
/// is wanted twice.
ModelSource source_of(Model model, const Options& options) {
  if (options.model != kStandardStream)
    return first_then(std::move(model), [&options] { return read_model(options.model, options.model_options); });
  if (options.no_verify) return first_then(std::move(model), {});
  return [model = std::move(model)] { return model; };
}

int optimize_file(const CommandLine& line, Options& options) {
  Progress progress(!line.quiet());
  Stopwatch total;
  OptimizeOutcome outcome;
  check(options);

  progress.show("loading " + options.model);
  Stopwatch watch;
  int64_t bytes = 0;
  Model first = read_model(options.model, options.model_options, &bytes);
  outcome.input = facts_of(first, options.model, bytes);
  const ModelSource original = source_of(std::move(first), options);
  outcome.load_ms = watch.lap();

  // The original runs before it is optimized, so that no more than one model and its packed weights are in memory.
  std::optional<Verifier> verifier;
  options.verify.threads = line.threads();
  options.verify.progress = [&](double done) { progress.show("verifying", done); };
  if (!options.no_verify) {
    options.verify.progress(0);
    in_file(options.model, [&] { verifier.emplace(original, options.verify); });
  }
  outcome.verify_ms = watch.lap();

  progress.show("optimizing");
  const ModelSource start = [&] { return fix_shapes(original(), options.verify.inputs); };
  const auto optimize_start = [&] {
    return in_file(options.model, [&] { return pli::optimize(start(), options.optimize); });
  };
  OptimizedModel optimized = optimize_start();
  outcome.report = std::move(optimized.report);
  outcome.unchanged = is_unchanged(outcome, options);
  outcome.optimize_ms = watch.lap();

  std::optional<OutputModel> output;
  ModelFacts facts;  // of what is written
  const auto write = [&](const Model& model) {
    outcome.nodes_after = count_nodes(model);
    if (options.output.empty()) return;
    progress.show("writing " + options.output);
    output.emplace(model, options.output, kExternal.at(options.external));
    facts = facts_of(model, options.output, 0);
  };
  // The disk is at work while the results are compared; the file appears after that.
  write(optimized.model);
  outcome.save_ms = watch.lap();

  const ModelSource result = first_then(std::move(optimized.model), [&] { return optimize_start().model; });
  if (const auto other = verify(options, progress, verifier, start, result, outcome)) write(*other);
  outcome.verify_ms += watch.lap();

  using Status = Verification::Status;
  const Status status = outcome.verification.status;
  const bool holds = status == Status::kPassed || (status == Status::kSkipped && !options.require_verified);
  if (output && holds) {
    progress.show("writing " + options.output);
    WrittenModel files = output->commit();
    facts.bytes = files.bytes;
    outcome.output = std::move(facts);
    outcome.files = std::move(files.files);
  }
  outcome.save_ms += watch.lap();
  outcome.total_ms = total.lap();
  progress.clear();

  outcome.report_path = options.report;
  if (!options.report.empty()) {
    outcome.files.push_back(about_to_write(options.report));
    write_report(options.report, line.document(outcome_json(outcome)));
  }
  if (line.json()) line.print_json(outcome_json(outcome));
  print_outcome(line, outcome);
  return conclude(line, options, outcome);
}

}  // namespace

int onnx_optimize(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-optimize",
      "Folds BatchNormalization and other constant arithmetic of an ONNX model into the weights of the Conv, "
      "ConvTranspose, Gemm or MatMul before it, compares the result with the original on seeded inputs, and writes it. "
      "Names, order and types of inputs and outputs stay. When the results differ, nothing is written and the exit "
      "code is 1.",
      {{"onnx-optimize resnet50.onnx", "say what would be folded, and what would be kept and why"},
       {"onnx-optimize resnet50.onnx -o resnet50.opt.onnx", "write it, when the comparison passes"}});
  Options options;
  line.explain_verbose("list every BatchNormalization and constant scale or shift, with whole names");
  add_flags(line, options);
  if (!line.parse()) return kDone;
  if (options.list_passes) return list_passes(line, options.optimize);
  if (options.model.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");
  for (const auto& [flag, path] : {std::pair("--output", options.output), std::pair("--report", options.report)})
    if (line.has(flag) && path.empty()) fail(ErrorCode::kInvalidArgument, "{}: the name of the file is empty", flag);
  if (options.report == kStandardStream)
    fail(ErrorCode::kInvalidArgument, "--report - is no file; --json puts the document on standard output");
  if (options.output == "/dev/stdout")
    fail(ErrorCode::kInvalidArgument, "/dev/stdout is no file to replace; -o - writes to standard output");
  if (options.output == kStandardStream) {
    if (line.json())
      fail(ErrorCode::kInvalidArgument, "--json and -o - both take standard output; --report FILE keeps it");
    if (options.external == "always") fail(ErrorCode::kInvalidArgument, "standard output can't hold a second file");
    line.leave_standard_output();
  }
  return optimize_file(line, options);
}

}  // namespace pli::tools
