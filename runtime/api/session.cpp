#include "runtime/core/error.h"
#include "runtime/exec/executor.h"

#include <pli/session.h>

namespace pli {

namespace {

ValueDescription describe(const std::string& name, const ir::Type& type) {
  ValueDescription description{name, type.dtype, type.has_rank(), {}};
  if (type.dims)
    for (const ir::Dim& dim : *type.dims) description.dimensions.push_back(ir::to_string(dim));
  return description;
}

}  // namespace

struct Session::Impl {
  Impl(const ir::Model& model, Report r, const SessionOptions& options)
      : executor(model.graph, options), report(std::move(r)) {
    const ir::Graph& graph = model.graph;
    for (const ir::ValueId id : graph.inputs())
      if (!graph.constant_of(id)) inputs.push_back(describe(graph.name(id), graph.type(id)));
    for (const ir::Output& output : graph.outputs()) outputs.push_back(describe(output.name, output.type));
  }

  /// Tensors without memory for what has to be given, when the model declares all of its shapes; nothing otherwise.
  std::optional<NamedValues> static_inputs() const {
    NamedValues values;
    const ir::Graph& graph = executor.graph();
    for (const ir::ValueId id : graph.inputs()) {
      if (executor.decides_shapes(id)) return std::nullopt;
      if (graph.value(id).payload) continue;
      const ir::Type& type = graph.type(id);
      const auto shape = type.shape();
      if (!shape) return std::nullopt;
      const auto bytes = packed_bytes(type.dtype, *shape);
      if (!bytes) return std::nullopt;
      // Only the shape counts for compiling.
      values.add(graph.name(id), Tensor::adopt(type.dtype, *shape, nullptr, nullptr, static_cast<size_t>(*bytes)));
    }
    return values;
  }

  exec::Executor executor;
  Report report;
  std::vector<ValueDescription> inputs, outputs;
};

Session Session::load(const std::filesystem::path& path, const SessionOptions& options) {
  Model model = Model::load(path, options.limits);
  return with_context(path.string(), [&] { return Session(std::move(model), options); });
}

Session::Session(Model model, const SessionOptions& options) {
  Report report;
  if (options.optimize) {
    OptimizeOptions optimizing;
    optimizing.limits = options.limits;
    report = pli::optimize(model, optimizing);
  }
  impl_ = std::make_unique<Impl>(*model.ir(), std::move(report), options);
  if (!options.compile_early) return;
  if (const auto inputs = impl_->static_inputs()) compile(*inputs);
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const std::vector<ValueDescription>& Session::inputs() const { return impl_->inputs; }
const std::vector<ValueDescription>& Session::outputs() const { return impl_->outputs; }
const Report& Session::report() const { return impl_->report; }
int Session::threads() const { return impl_->executor.threads(); }

NamedValues Session::run(const NamedValues& inputs) const { return impl_->executor.run(inputs); }
void Session::compile(const NamedValues& inputs) const { (void)impl_->executor.plan(inputs); }
std::vector<StepTime> Session::profile(const NamedValues& inputs, int runs) const {
  return impl_->executor.profile(inputs, runs);
}
std::string Session::describe_plan(const NamedValues& inputs) const {
  return exec::describe(*impl_->executor.plan(inputs));
}

}  // namespace pli
