#include "tools/support/console/foreign_flags.h"

#include <fmt/format.h>

namespace pli::tools {

namespace {

struct ForeignFlag {
  std::string_view command;  // of ours
  std::string_view tool;     // whose flag it is
  std::string_view flag;
  std::string_view meaning;  // "is ... here", or why there is no such thing
};

constexpr std::string_view kOptimize = "onnx-optimize";
constexpr std::string_view kInspect = "onnx-inspect";
constexpr std::string_view kBench = "onnx-bench";

constexpr ForeignFlag kForeignFlags[] = {
    {kOptimize, "onnxsim", "--overwrite-input-shape", "is --shape NAME:DIMS here"},
    {kOptimize, "onnxsim", "--input-shape", "is --shape NAME:DIMS here"},
    {kOptimize, "onnxsim", "--test-input-shape", "is --shape NAME:DIMS here, which also fixes the shape for good"},
    {kOptimize, "onnxsim", "--dynamic-input-shape", "is not needed here: symbolic dimensions stay as they are"},
    {kOptimize, "onnxsim", "--skip-fuse-bn", "is --disable fold_batch_norm here"},
    {kOptimize, "onnxsim", "--enable-fuse-bn", "is not needed here: BatchNormalization is folded by default"},
    {kOptimize, "onnxsim", "--skip-optimization", "is --disable P,... here, with the passes of --list-passes"},
    {kOptimize, "onnxsim", "--skip-optimizer", "is --only fold_constants here"},
    {kOptimize, "onnxsim", "--skip-constant-folding", "is --disable fold_constants here"},
    {kOptimize, "onnxsim", "--skip-shape-inference", "does not exist here: shapes decide what may be folded"},
    {kOptimize, "onnxsim", "--list-default-optimizers", "is --list-passes here"},
    {kOptimize, "onnxsim", "--input-data-path", "is --input NAME=FILE here"},
    {kOptimize, "onnxsim", "--check-n", "is --samples N here"},
    {kOptimize, "onnxsim", "--check-rtol", "is --rtol X here"},
    {kOptimize, "onnxsim", "--check-atol", "is --atol X here"},
    {kOptimize, "onnxsim", "--mutable-initializer",
     "is not needed here: initializers that are inputs stay so, unless --freeze-initializers is given"},
    {kOptimize, "onnxsim", "--initializers-as-non-constants",
     "is not needed here: initializers that are inputs stay so, unless --freeze-initializers is given"},
    {kOptimize, "onnxsim", "--enable-onnxruntime-optimization",
     "does not exist here: what is written is ONNX for every runtime"},
    {kOptimize, "onnxsim", "--include-subgraph",
     "is not needed here: an If of a constant condition becomes its branch, other nested graphs stay as they are"},
    {kOptimize, "onnxsim", "--unused-output", "does not exist here: outputs stay as they are"},
    {kOptimize, "onnxsim", "--no-large-tensor", "is --folding-limit BYTES here"},
    {kOptimize, "onnxsim", "--custom-lib", "does not exist here: nodes of other domains stay as they are"},
    {kOptimize, "onnxslim", "--size-threshold", "is --folding-limit BYTES here"},
    {kOptimize, "onnxslim", "--inputs", "does not exist here: inputs stay as they are"},
    {kOptimize, "onnxsim and onnxslim", "--save-as-external-data", "is --external-data always here"},
    {kOptimize, "onnxslim", "--input-shapes", "is --shape NAME:DIMS here"},
    {kOptimize, "onnxslim", "--skip-optimizations", "is --disable P,... here, with the passes of --list-passes"},
    {kOptimize, "onnxslim", "--skip-fusion-patterns", "is --disable P,... here, with the passes of --list-passes"},
    {kOptimize, "onnxslim", "--model-check", "is not needed here: the result is always compared, see --samples"},
    {kOptimize, "onnxslim", "--model-check-inputs", "is --input NAME=FILE or --shape NAME:DIMS here"},
    {kOptimize, "onnxslim", "--no-shape-infer", "does not exist here: shapes decide what may be folded"},
    {kOptimize, "onnxslim", "--dtype", "does not exist here: data types stay as they are"},
    {kOptimize, "onnxslim", "--outputs", "does not exist here: outputs stay as they are"},
    {kOptimize, "onnxslim", "--inspect", "is the command onnx-inspect here"},
    {kOptimize, "onnxslim", "--dump-to-disk", "is --report FILE here"},
    {kOptimize, "onnxoptimizer", "--passes", "is --only P,... here, with the passes of --list-passes"},
    {kOptimize, "onnxoptimizer", "--print_all_passes", "is --list-passes here"},
    {kOptimize, "onnxoptimizer", "--fixed_point", "is not needed here: passes run until nothing changes"},
    {kInspect, "onnxslim", "--inspect", "is not needed here"},
    {kInspect, "polygraphy", "--show", "is --verbose or --plan here"},
    {kBench, "trtexec", "--iterations", "is --runs N here"},
    {kBench, "trtexec", "--duration", "is --min-time S here"},
    {kBench, "trtexec", "--shapes", "is --shape NAME:DIMS here"},
    {kBench, "trtexec", "--onnx", "is not needed here: the model is an argument"},
    {kBench, "benchmark_app", "-niter", "is --runs N here"},
    {kBench, "benchmark_app", "-nthreads", "is --threads N here"},
    {kBench, "benchmark_app", "-data_shape", "is --shape NAME:DIMS here"},
    {kBench, "benchmark_app", "-m", "is not needed here: the model is an argument"},
    {kBench, "onnxruntime_perf_test", "-r", "is --runs N here"},
    {kBench, "onnxruntime_perf_test and benchmark_app", "-t", "is --min-time S here"},
    {kBench, "onnxruntime_perf_test", "-x", "is --threads N here"},
    {kBench, "onnxruntime_perf_test", "-f", "is --dim NAME=N here"},
};

}  // namespace

std::string explain_foreign_flag(std::string_view command, std::string_view flag) {
  for (const ForeignFlag& foreign : kForeignFlags)
    if (foreign.command == command && foreign.flag == flag)
      return fmt::format("{}'s {} {}", foreign.tool, flag, foreign.meaning);
  return {};
}

}  // namespace pli::tools
