#include "runtime/api/optimize.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/error.h"
#include "runtime/exec/executor.h"

#include <pli/session.h>

#include <algorithm>
#include <mutex>
#include <set>

namespace pli {

namespace {

ValueDescription describe(const std::string& name, const ir::Type& type) {
  ValueDescription description{name, type.dtype, type.has_rank(), {}, {}};
  if (!type.dims) return description;
  for (const ir::Dim& dim : *type.dims) {
    description.dimensions.push_back(ir::to_string(dim));
    description.shape.push_back(dim.known() ? dim.value() : -1);
  }
  return description;
}

/// The options as they can be had.
SessionOptions checked(SessionOptions options) {
  if (options.plan_cache < 0) fail(ErrorCode::kInvalidArgument, "a cache of {} plans", options.plan_cache);
  const int processors = compute::usable_processors();
  if (options.threads > processors && options.log)
    options.log(LogLevel::kWarning, fmt::format("{} threads are asked for; there are {} processors, so {} are used",
                                                options.threads, processors, processors));
  options.threads = std::min(options.threads, processors);
  return options;
}

/// Only the shape counts for compiling.
Tensor without_memory(DataType dtype, const Shape& shape) {
  const auto bytes = packed_bytes(dtype, shape);
  if (!bytes) fail(ErrorCode::kInvalidArgument, "no {} input has shape {}", to_string(dtype), to_string(shape));
  return Tensor::adopt(dtype, shape, nullptr, nullptr, static_cast<size_t>(*bytes));
}

/// The model as it will be run.
struct Prepared {
  ir::Graph graph;
  Report report;
};

Prepared make_ready(Model model, const SessionOptions& options, bool fold_defaults) {
  if (fold_defaults) {
    ir::Model frozen = *model.ir();
    frozen.graph.freeze_defaults();
    model = Model(std::make_shared<const ir::Model>(std::move(frozen)));
  }
  Report report;
  if (options.optimize) {
    OptimizeOptions optimizing;
    optimizing.limits = options.limits;
    OptimizedModel optimized = optimize_to_run(std::move(model), optimizing);
    model = std::move(optimized.model);
    report = std::move(optimized.report);
  }
  return {model.ir()->graph, std::move(report)};
}

}  // namespace

struct Session::Impl {
  Impl(Model model, const SessionOptions& given) : options(checked(given)) {
    const ir::Graph& graph = model.ir()->graph;
    for (const ir::ValueId id : graph.inputs()) {
      if (graph.constant_of(id)) continue;
      inputs.push_back(describe(graph.name(id), graph.type(id)));
      if (options.fold_defaults && graph.value(id).has_default()) defaults.insert(graph.name(id));
    }
    for (const ir::Output& output : graph.outputs()) outputs.push_back(describe(output.name, output.type));

    if (!defaults.empty()) original = model;
    Prepared prepared = make_ready(std::move(model), options, !defaults.empty());
    report = std::move(prepared.report);
    if (options.log)
      for (const std::string& note : report.notes) options.log(LogLevel::kInfo, note);
    executor = std::make_unique<exec::Executor>(std::move(prepared.graph), options);
  }

  /// With the inputs as they may be given.
  const ir::Graph& declared() const { return original ? original->ir()->graph : executor->graph(); }

  /// Tensors without memory for what has to be given, when the model declares all of its shapes; nothing otherwise.
  std::optional<NamedValues> static_inputs() const {
    NamedValues values;
    const ir::Graph& graph = executor->graph();
    for (const ir::ValueId id : graph.inputs()) {
      if (executor->decides_shapes(id)) return std::nullopt;
      if (graph.value(id).payload) continue;
      const ir::Type& type = graph.type(id);
      const auto shape = type.shape();
      if (!shape) return std::nullopt;
      if (!packed_bytes(type.dtype, *shape)) return std::nullopt;
      values.add(graph.name(id), without_memory(type.dtype, *shape));
    }
    return values;
  }

  /// An input of this shape, to compile for.
  Tensor placeholder(const std::string& name, const Shape& shape) const {
    const ir::Graph& graph = declared();
    const ir::ValueId id = graph.find(name);
    if (!id || !std::ranges::count(graph.inputs(), id)) return Tensor();  // as the executor will say
    if (executor->decides_shapes(executor->graph().find(name)))
      fail(ErrorCode::kInvalidArgument, "the value of input \"{}\" decides shapes: its shape alone is not enough",
           name);
    return without_memory(graph.type(id).dtype, shape);
  }

  SessionStatistics statistics() const {
    SessionStatistics sum = executor->statistics();
    const std::scoped_lock lock(mutex);
    if (!overridable) return sum;
    const SessionStatistics other = overridable->statistics();
    sum.plans += other.plans;
    sum.plans_compiled += other.plans_compiled;
    sum.plans_reused += other.plans_reused;
    sum.plan_bytes += other.plan_bytes;
    sum.working_bytes += other.working_bytes;
    sum.packed_bytes += other.packed_bytes;
    return sum;
  }

  /// The one that can take these inputs.
  const exec::Executor& executor_for(const NamedValues& given) const {
    const auto overrides = [&](const auto& item) { return defaults.contains(item.first); };
    if (defaults.empty() || std::ranges::none_of(given, overrides)) return *executor;
    bool made = false;
    {
      const std::scoped_lock lock(making);
      if (!overridable) {
        Prepared prepared = make_ready(*original, options, false);
        auto ready = std::make_unique<exec::Executor>(std::move(prepared.graph), options);
        const std::scoped_lock publishing(mutex);
        overridable = std::move(ready);
        made = true;
      }
    }
    if (made && options.log)  // with no lock held: what is called may call this
      options.log(LogLevel::kInfo, "a default is overridden: the model was made ready once more, with none folded");
    return *overridable;
  }

  std::optional<Model> original;  // where `defaults` may be overridden
  SessionOptions options;
  std::set<std::string> defaults;                       // inputs whose defaults `executor` has folded
  std::unique_ptr<exec::Executor> executor;             // of the optimized model
  mutable std::mutex making;                            // held by who makes the next
  mutable std::mutex mutex;                             // guards the pointer to it
  mutable std::unique_ptr<exec::Executor> overridable;  // takes `defaults` as inputs; made when it is needed
  Report report;
  std::vector<ValueDescription> inputs, outputs;
};

Session Session::load(const std::filesystem::path& path, const SessionOptions& options) {
  Model model = Model::load(path, {options.limits, options.external_folders});
  return in_file(path.string(), [&] { return Session(std::move(model), options); });
}

Session::Session(Model model, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), options)) {
  if (!options.compile_early) return;
  if (const auto inputs = impl_->static_inputs()) compile(*inputs);
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const Session::Impl& Session::impl() const {
  if (!impl_) fail(ErrorCode::kInvalidArgument, "this session was moved from");
  return *impl_;
}

const std::vector<ValueDescription>& Session::inputs() const& { return impl().inputs; }
const std::vector<ValueDescription>& Session::outputs() const& { return impl().outputs; }
const Report& Session::report() const& { return impl().report; }
int Session::threads() const { return impl().executor->threads(); }

NamedValues Session::run(const NamedValues& inputs) const { return impl().executor_for(inputs).run(inputs); }
NamedValues Session::run(const NamedValues& inputs, const RunOptions& options) const {
  return impl().executor_for(inputs).run(inputs, options);
}
void Session::run(const NamedValues& inputs, std::span<const OutputMemory> outputs, const RunOptions& options) const {
  impl().executor_for(inputs).run(inputs, outputs, options);
}
void Session::prepare(const std::map<std::string, Shape>& shapes) const {
  NamedValues values;
  for (const auto& [name, shape] : shapes) values.add(name, impl().placeholder(name, shape));
  compile(values);
}
SessionStatistics Session::statistics() const { return impl().statistics(); }
void Session::compile(const NamedValues& inputs) const { impl().executor_for(inputs).prepare(inputs); }
std::vector<StepTime> Session::profile(const NamedValues& inputs, int runs) const {
  return impl().executor_for(inputs).profile(inputs, runs);
}
std::string Session::describe_plan(const NamedValues& inputs) const {
  const exec::Executor& executor = impl().executor_for(inputs);
  const auto plan = executor.plan(inputs);
  return exec::describe(*plan, executor.packed_weight_bytes());
}

}  // namespace pli
