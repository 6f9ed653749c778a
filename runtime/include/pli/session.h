#pragma once

#include <pli/dtype.h>
#include <pli/export.h>
#include <pli/limits.h>
#include <pli/model.h>
#include <pli/optimize.h>
#include <pli/value.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace pli {

enum class LogLevel { kInfo, kWarning };

/// How numbers of float32 are computed.
enum class Precision {
  /// Whatever is fastest. Convolutions of 3x3 may go by Winograd's method, with a quarter of the
  /// multiplications, or four ninths: their error is a few times that of the plain sum.
  kFloat32,
  /// Convolutions are sums of their products, term by term.
  kFloat32Exact,
};

/// Takes one message: a line, without its end.
using LogFunction = std::function<void(LogLevel level, const std::string& message)>;

struct SessionOptions {
  /// Threads of one call to run, the caller's included. 0: what affinity mask and cgroup quota allow. However many
  /// threads call, the session has that many less one beside them; 1 starts none. No more are used than there are
  /// processors: see Session::threads. Results do not depend on it.
  int threads = 0;
  /// Run `pli::optimize` on the model first.
  bool optimize = true;
  /// Fuse activations, biases and residual sums into the operators before them. Off: one kernel a node. A fused Relu,
  /// Clip or HardSigmoid makes NaN a number, and a convolution of 3x3 spreads it over a tile of pixels, so that
  /// with NaN or infinity in its inputs, or in the model's constants, a run takes a plan without either. What only
  /// arises inside, as by an overflow, still meets them; off, nothing does.
  bool fuse = true;
  Precision precision = Precision::kFloat32;
  /// What computes on float16 or bfloat16 does so in float32 and rounds when it has ended. On: what it gives stays
  /// float32 for the operators behind it, which is faster and rounds less often; a number beyond 65504 is then none
  /// that becomes infinite. Casts and the outputs of the model are rounded always. Off, or with `fuse` off, each
  /// operator rounds.
  bool float32_between_steps = true;
  /// Fold inputs that have a default (initializers that are inputs as well, of IR version 4 and later) as if they were
  /// constant. A run that gives one meets a second form of the model in which they are not, made at the first such
  /// call. Off: there is only that form.
  bool fold_defaults = true;
  /// Compiled plans that are kept, one for each set of input shapes; the least recently used goes first, as it does
  /// when they take more than Limits::plan_bytes. The last one is always kept: 0 is as good as 1, and less is an error.
  int plan_cache = 8;
  /// Compile at construction when every input shape is static, so that the first run is as fast as the others.
  bool compile_early = true;
  /// Takes what is worth knowing but stops nothing; none: it is dropped. Called by the thread that loads or runs, and
  /// by several at once where they do. What it throws passes to that thread's caller.
  LogFunction log{};
  Limits limits{};
  /// For `Session::load`: see LoadOptions.
  std::vector<std::filesystem::path> external_folders{};
};

/// Memory of the caller's for an output: as many elements as the output has, in row-major order. It may be neither an
/// input's nor another output's.
struct OutputMemory {
  template <std::ranges::contiguous_range Elements>
  requires(!Temporary<Elements>) OutputMemory(std::string output, Elements&& elements)
      : name(std::move(output)),
        dtype(dtype_of<std::ranges::range_value_t<Elements>>()),
        data(std::ranges::data(elements)),
        size(std::ranges::size(elements)) {
    static_assert(dtype_of<std::ranges::range_value_t<Elements>>() != DataType::kUndefined &&
                  dtype_of<std::ranges::range_value_t<Elements>>() != DataType::kString);
  }

  std::string name;
  DataType dtype;
  void* data;
  size_t size;  // elements
};

/// What one call to run is asked beside its inputs.
struct RunOptions {
  /// Compute only these outputs, and what they need. Empty: all. Plans are kept for each such choice.
  std::vector<std::string> outputs{};
  /// Outputs that are written here. What run gives for them only looks into this memory.
  std::vector<OutputMemory> memory{};
  /// Ends the run with kCancelled. Looked at before each step of the plan, which is one operator and what is fused into
  /// it, and within one between the parts that threads take it in: of convolutions and products many, of other
  /// operators as many as threads. A plan that is being compiled is finished.
  std::stop_token stop{};
  /// The same when this time has passed.
  std::optional<std::chrono::steady_clock::time_point> deadline{};
};

/// What a session holds and has done.
struct SessionStatistics {
  int64_t plans = 0;           // that are kept
  int64_t plans_compiled = 0;  // since the session was made
  int64_t plans_reused = 0;    // times that a kept plan served
  int64_t plan_bytes = 0;      // what they take: constants made for them, and their steps
  int64_t working_bytes = 0;   // arenas and scratchpads, which the plans share, that wait for the next run
  int64_t packed_bytes = 0;    // weights in the layouts that kernels want
};

/// One input or output as the model declares it.
struct ValueDescription {
  std::string name;
  DataType dtype = DataType::kUndefined;
  bool has_shape = false;
  /// A number, the name of a symbol, or "?" for a dimension that is not known.
  std::vector<std::string> dimensions;
  /// The same as numbers: -1 for what is none.
  Shape shape;
};

/// Where the time of a run goes: one step of a plan.
struct StepTime {
  std::string operators;       // that the step stands for, such as "Conv + Add + Relu"; "Conv + Relu, Conv": of two
                               // convolutions that are made together
  std::string name;            // of the first node
  std::string implementation;  // "loop", or oneDNN's name such as "jit:avx2"
  double ms = 0;
};

/// A model made ready to run. Immutable: `run` may be called from any number of threads at once. One that was moved
/// from may be assigned to or destroyed; every other call is an error: kInvalidArgument.
///
/// Whatever a thread's floating-point state is, calls round to the nearest and trap nothing, and leave it as it was.
/// Where they don't compute in float64, numbers too small for the usual form (denormals) are zero.
///
/// A forked child may make sessions and run those that it inherits, if no other thread of its parent was inside Pli at
/// the fork: it has workers of its own.
class PLI_API Session {
 public:
  /// Model::load, optimize, and a Session of the result.
  static Session load(const std::filesystem::path& path, const SessionOptions& options = {});

  /// kUnsupported: lists every operator that Pli can't run. Of weights that no other Model shares, as when `model` is
  /// moved here, only one form is kept: their memory is given back once kernels have them in their own layout.
  explicit Session(Model model, const SessionOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// What the model takes and gives, in its order and as it declares it: only what is known without running it. An
  /// input that has a default is among them; a weight that is declared as an input, as before IR version 4, is not and
  /// can't be given. The reference is good as long as the session.
  const std::vector<ValueDescription>& inputs() const&;
  const std::vector<ValueDescription>& inputs() const&& = delete;
  const std::vector<ValueDescription>& outputs() const&;
  const std::vector<ValueDescription>& outputs() const&& = delete;

  /// Runs the model; the outputs come in the model's order and own their memory.
  /// kInvalidArgument: a missing, unknown or unfitting input. kInvalidModel (as when a shape operand asks for what the
  /// data can't have), kUnsupported, kResourceLimit: found when the plan for new shapes is
  /// compiled, or memory for it is not to be had.
  NamedValues run(const NamedValues& inputs) const;

  /// The same for some outputs, into the caller's memory, or until a token or a deadline ends it. kInvalidArgument also
  /// for an output that is not there, or memory of another type or size; kCancelled.
  NamedValues run(const NamedValues& inputs, const RunOptions& options) const;

  /// The same for nothing but the outputs for which there is memory, written there. Of `options` only token and
  /// deadline count, the rest has to be empty: kInvalidArgument. Once a plan for such inputs has run, Pli's operators
  /// on float32 allocate nothing here, as long as there are no more than some twenty inputs; what oneDNN does for the
  /// steps that are its own is a few hundred bytes each.
  void run(const NamedValues& inputs, std::span<const OutputMemory> outputs, const RunOptions& options = {}) const;

  /// Compiles for inputs of these shapes, by name, so that the first run with them is as fast as the others.
  /// kInvalidArgument: an input is missing or unknown, or its value decides shapes: see compile.
  void prepare(const std::map<std::string, Shape>& shapes) const;

  /// Compiles for the shapes of `inputs` (and the values of shape operands among them) without running.
  void compile(const NamedValues& inputs) const;

  /// The plan for the shapes of `inputs` as text: steps with their fused groups, layouts, implementations and memory.
  std::string describe_plan(const NamedValues& inputs) const;

  /// Runs `runs` times and gives the median time of each step, in order. Their sum is below the time of a run: what
  /// lies between the steps is not in it.
  std::vector<StepTime> profile(const NamedValues& inputs, int runs) const;

  /// What optimizing the model did; empty when options.optimize is off.
  const Report& report() const&;
  const Report& report() const&& = delete;

  SessionStatistics statistics() const;

  /// Threads that a call to run uses: SessionOptions::threads, or what 0 stood for when the session was made, and no
  /// more than there are processors. At least 1.
  int threads() const;

 private:
  struct Impl;
  const Impl& impl() const;
  std::unique_ptr<Impl> impl_;  // null: moved from
};

}  // namespace pli
