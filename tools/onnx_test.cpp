#include "tools/commands.h"

#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/text.h"
#include "tools/support/verification/cases.h"

#include "runtime/core/files.h"

#include <filesystem>

namespace pli::tools {

namespace {

struct Options {
  std::vector<std::string> folders;
  CaseOptions cases;
};

/// "test_relu" for "node/test_relu/".
std::string case_name(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  return name.empty() ? folder : name;
}

void print_result(const CommandLine& line, const std::string& name, const CaseResult& result) {
  using Status = CaseResult::Status;
  const Colour colour = result.status == Status::kPass   ? Colour::kGreen
                        : result.status == Status::kFail ? Colour::kRed
                                                         : Colour::kYellow;
  line.print_whole("{} {}", paint(colour, std::string(name_of(result.status))), printable(name));
  if (result.status != Status::kPass)
    line.print_whole(": {}", printable(result.what));
  else if (line.verbose())
    line.print_whole(" ({}, largest difference {:.2g}, {:.2g} of the output's RMS)",
                     plural(result.data_sets, "data set"), result.max_abs, result.max_rel_rms);
  line.print_whole("\n");
}

int test_all(const CommandLine& line, const Options& options) {
  for (const std::string& folder : options.folders) {
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
      throw in_context(Place::kFile, folder, Error(ErrorCode::kIo, "is no folder that can be read"));
  }
  if (!options.cases.model.empty()) const InputFile exists(options.cases.model);
  Progress progress(!line.quiet());
  Json cases = Json::array();
  int64_t counts[3] = {};
  for (const std::string& folder : options.folders) {
    const std::string name = case_name(folder);
    progress.show(name, static_cast<double>(cases.size()) / static_cast<double>(options.folders.size()));
    const CaseResult result = run_case(folder, options.cases);
    progress.clear();
    ++counts[static_cast<int>(result.status)];
    print_result(line, name, result);
    std::fflush(stdout);
    cases.push_back({{"name", name},
                     {"path", folder},
                     {"status", name_of(result.status)},
                     {"what", result.what},
                     {"data_sets", result.data_sets},
                     {"max_abs", result.max_abs},
                     {"max_rel_rms", result.max_rel_rms}});
  }
  const auto [passed, failed, unsupported] = counts;
  line.print("{} passed, {} failed, {} unsupported\n", passed, failed, unsupported);
  if (line.json())
    line.print_json(
        Json{{"cases", std::move(cases)}, {"passed", passed}, {"failed", failed}, {"unsupported", unsupported}});
  if (failed) return kDiffers;
  return unsupported ? exit_code(ErrorCode::kUnsupported) : kDone;
}

}  // namespace

int onnx_test(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-test",
      "Runs ONNX test cases: folders with model.onnx and test_data_set_*/input_K.pb and output_K.pb. Data types and "
      "shapes have to be equal, floats within |a-b| <= atol + rtol*|b|, integers within atol. A line a case: pass, "
      "fail or unsupported. Exit code 1 when one failed, else 5 when one is unsupported.",
      {{"onnx-test /usr/share/libonnx-testdata/data/node/test_conv*", "many cases"},
       {"onnx-test --model digits.opt.onnx --atol-rms 1e-3 models/digits", "another model on the case's data"}});
  Options options;
  line.explain_verbose("say how much each case that passes differs");
  line.add({.names = "DIR", .target = &options.folders, .help = "the test cases"});
  line.add({.names = "--model",
            .target = &options.cases.model,
            .help = "run the cases' data on this model instead of their own",
            .value = "FILE"});
  add_model_flags(line, options.cases.model_options);
  line.add({.names = "--rtol",
            .target = &options.cases.tolerance.rtol,
            .help = "allowed difference, a fraction of the value (default 1e-3)",
            .value = "X",
            .check = not_negative()});
  line.add({.names = "--atol",
            .target = &options.cases.tolerance.atol,
            .help = "plus this much (default 1e-7)",
            .value = "X",
            .check = not_negative()});
  line.add({.names = "--atol-rms",
            .target = &options.cases.tolerance.atol_rms,
            .help = "or instead this multiple of the reference output's RMS",
            .value = "X",
            .check = not_negative(),
            .excludes = "--atol"});
  if (!line.parse()) return kDone;
  if (options.folders.empty()) fail(ErrorCode::kInvalidArgument, "no DIR given; see --help");
  if (options.cases.model == kStandardStream)
    fail(ErrorCode::kInvalidArgument, "--model -: the cases need a file, which is read for each of them");
  if (line.has("--atol-rms")) options.cases.tolerance.atol = 0;
  options.cases.threads = line.threads();
  return test_all(line, options);
}

}  // namespace pli::tools
