#include "runtime/exec/executor.h"

#include "runtime/compute/finite.h"
#include "runtime/compute/parallel.h"
#include "runtime/exec/join_activations.h"
#include "runtime/exec/specialize.h"
#include "runtime/ops/normalization/batch_normalization.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <chrono>

namespace pli::exec {

namespace {

/// Whether constants that nodes compute with, those of nested graphs included, hold NaN or infinity. A bound of Clip
/// may be infinite: it only compares.
bool has_special_constants(const ir::Graph& graph, std::span<const ir::NodeId> nodes) {
  return std::ranges::any_of(nodes, [&](ir::NodeId id) {
    const ir::Node& node = graph.node(id);
    bool nested = false;
    ir::for_each_subgraph(node, [&](const ir::Subgraph& subgraph) {
      nested = nested || has_special_constants(*subgraph.graph, subgraph.graph->nodes());
    });
    if (nested) return true;
    const size_t count = std::min(node.inputs.size(), node.is("Clip") ? size_t{1} : SIZE_MAX);
    return std::ranges::any_of(std::span(node.inputs).first(count), [&](ir::ValueId input) {
      const Tensor* constant = graph.constant_of(input);
      return constant && !compute::all_finite(*constant);
    });
  });
}

/// Nodes of the internal domain are made here only; in a file they mean something else.
void refuse_internal(const ir::Graph& outermost) {
  ir::for_each_graph(outermost, [](const ir::Graph& graph) {
    for (const ir::NodeId id : graph.nodes())
      if (graph.node(id).domain == ops::kInternalDomain)
        fail(ErrorCode::kUnsupported, "not supported: {} is of domain {}", ir::describe(graph, graph.node(id)),
             ops::kInternalDomain);
  });
}

/// No other graph shares the constant.
bool is_sole_owner(const ir::ValueRecord& record) {
  return record.constant->owners() == (record.payload ? 2 : 1);  // one of an initializer is both
}

/// Weights that only kernels read which pack them, of which nobody else has a copy. Plans compute what depends on
/// inputs that decide shapes while they are made, so where there are such nothing is certain.
std::vector<const Tensor*> weights_to_release(const ir::Graph& graph, std::span<const ir::NodeId> nodes) {
  constexpr size_t kWorthIt = size_t{64} << 10;  // bytes
  std::vector<const Tensor*> weights;
  for (const ir::NodeId id : nodes) {
    const ir::Node& node = graph.node(id);
    if (node.inputs.empty() || graph.constant_of(node.inputs[0])) continue;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const ir::ValueId input = node.inputs[i];
      const Tensor* constant = graph.constant_of(input);
      if (!constant || !ops::find_operator(graph, node)->absorbs(i)) continue;
      if (constant->bytes().size() >= kWorthIt && is_sole_owner(graph.value(input)) && graph.uses(input).size() == 1 &&
          !graph.is_output(input))
        weights.push_back(constant);
    }
  }
  return weights;
}

}  // namespace

Executor::Executor(ir::Graph graph, const SessionOptions& options)
    : graph_(std::move(graph)),
      log_(options.log),
      plans_(static_cast<size_t>(std::max(1, options.plan_cache)), options.limits.plan_bytes) {
  if (options.threads < 0)
    fail(ErrorCode::kInvalidArgument, "{} threads; 0 means as many as there are processors", options.threads);
  compile_options_.threads = std::make_shared<compute::ThreadPool>(
      options.threads == 0 ? compute::available_threads().threads : options.threads);
  compile_options_.limits = options.limits;
  compile_options_.precision = options.precision;
  compile_options_.round_halves = !options.fuse || !options.float32_between_steps;
  compile_options_.weights = compute::make_weight_cache();
  const compute::ThreadScope threads(compile_options_.threads.get());
  graph_.erase_dead();  // what no output needs may be wrong
  refuse_internal(graph_);
  infer_and_fold(graph_, options.limits);
  if (options.fuse) join_activations(graph_);
  const std::vector<ir::NodeId> needed = needed_nodes(graph_);
  check_supported(graph_, needed);
  for (size_t i = 0; i < graph_.inputs().size(); ++i)
    if (const auto& payload = graph_.value(graph_.inputs()[i]).payload; payload && !compute::all_finite(*payload))
      special_defaults_.insert(i);
  trains_by_reading_ = std::ranges::any_of(needed, [&](ir::NodeId id) {
    const ir::Node& node = graph_.node(id);
    return node.is("BatchNormalization") && ops::BatchNormView::of(graph_, node).statistics_are_read;
  });
  const auto moves_nan = [&](ir::NodeId id) {  // what a branch holds is not looked at
    const ir::Node& node = graph_.node(id);
    const bool may_spread_it = node.is("Conv") && options.precision != Precision::kFloat32Exact;
    return node.is("If") || may_spread_it || drops_nan_when_fused(graph_, node);
  };
  if (!options.fuse)
    compile_options_.fusion = Fusion::kNone;
  else if (std::ranges::any_of(needed, moves_nan)) {
    if (has_special_constants(graph_, needed))
      compile_options_.fusion = Fusion::kSums;
    else
      watches_nan_ = true;
  }
  compile_options_.folding = ops::FoldingBudget::of(graph_, options.limits);
  value_inputs_ = find_value_inputs(graph_);
  if (value_inputs_.empty())
    for (const Tensor* weight : weights_to_release(graph_, needed))
      compute::release_when_packed(*compile_options_.weights, *weight);
  for (size_t i = 0; i < graph_.inputs().size(); ++i) input_index_.emplace(graph_.name(graph_.inputs()[i]), i);
}

size_t Executor::index_of_input(const std::string& name) const {
  const auto found = input_index_.find(name);
  if (found != input_index_.end() && !graph_.constant_of(graph_.inputs()[found->second])) return found->second;
  if (found != input_index_.end())
    fail(ErrorCode::kInvalidArgument, "input \"{}\" is a weight that this model does not let be overridden", name);
  std::vector<std::string> names;
  for (const ir::ValueId id : graph_.inputs())
    if (!graph_.constant_of(id)) names.push_back(graph_.name(id));
  fail(ErrorCode::kInvalidArgument, "the model has no input \"{}\"; {}", name,
       names.empty() ? "it has none" : "its inputs are " + suggest(name, names));
}

auto Executor::match(const NamedValues& inputs, CallMemory& memory) const -> Array<const Tensor*> {
  Array<const Tensor*> matched(graph_.inputs().size(), nullptr, memory.resource());
  for (const auto& [name, value] : inputs) {
    const size_t index = index_of_input(name);
    const Tensor*& slot = matched[index];
    if (slot) fail(ErrorCode::kInvalidArgument, "input \"{}\" is given twice", name);
    if (!value.is_tensor()) fail(ErrorCode::kInvalidArgument, "input \"{}\" is not a tensor", name);
    slot = &value.tensor();
  }
  for (size_t i = 0; i < matched.size(); ++i) {
    const ir::ValueRecord& record = graph_.value(graph_.inputs()[i]);
    if (matched[i])
      check_input(record.name, record.type, *matched[i]);
    else if (!record.payload)
      fail(ErrorCode::kInvalidArgument, "input \"{}\" is missing; it is {}", record.name, ir::to_string(record.type));
  }
  return matched;
}

Fusion Executor::fusion_for(std::span<const Tensor* const> inputs) const {
  if (!watches_nan_) return compile_options_.fusion;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i] ? !compute::all_finite(*inputs[i]) : special_defaults_.contains(i)) return Fusion::kSums;
  return compile_options_.fusion;
}

/// The outputs that are asked for, in order; none where all are.
auto Executor::select(std::span<const std::string> names, std::span<const OutputMemory> written,
                      CallMemory& memory) const -> Array<size_t> {
  Array<size_t> chosen(memory.resource());
  chosen.reserve(names.size());
  for (const std::string& name : names) chosen.push_back(index_of_output(graph_, name));
  std::ranges::sort(chosen);
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  for (const OutputMemory& each : written)
    if (const size_t index = index_of_output(graph_, each.name);
        !chosen.empty() && !std::ranges::binary_search(chosen, index))
      fail(ErrorCode::kInvalidArgument, "there is memory for output \"{}\", which is not among those to compute",
           each.name);
  if (chosen.size() == graph_.outputs().size()) chosen.clear();
  return chosen;
}

auto Executor::key_of(const Request& request, CallMemory& memory) const -> Array<int64_t> {
  Array<int64_t> key(memory.resource());
  size_t size = 2 + request.outputs.size();
  for (const Tensor* tensor : request.inputs) size += tensor ? 2 + tensor->shape().size() : 1;
  key.reserve(size);
  key.push_back(static_cast<int64_t>(request.fusion));
  key.push_back(static_cast<int64_t>(request.outputs.size()));
  key.insert(key.end(), request.outputs.begin(), request.outputs.end());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) {
      key.push_back(-1);
      continue;
    }
    const Tensor& tensor = *request.inputs[i];
    key.push_back(static_cast<int64_t>(tensor.dtype()));
    key.push_back(static_cast<int64_t>(tensor.shape().size()));
    key.insert(key.end(), tensor.shape().begin(), tensor.shape().end());
    if (!value_inputs_.contains(graph_.inputs()[i])) continue;
    // A value that decides shapes or branches is small: what is large can't be part of a key.
    constexpr size_t kMostBytes = 65536;
    const auto bytes = tensor.bytes();
    if (bytes.size() > kMostBytes)
      fail(ErrorCode::kUnsupported, "input \"{}\" of {} bytes decides a shape or a branch; at most {} are supported",
           graph_.name(graph_.inputs()[i]), bytes.size(), kMostBytes);
    key.push_back(static_cast<int64_t>(bytes.size()));
    const size_t start = key.size();
    key.resize(start + (bytes.size() + 7) / 8, 0);
    std::memcpy(key.data() + start, bytes.data(), bytes.size());
  }
  return key;
}

std::shared_ptr<CachedPlan> Executor::plan_for(const Request& request, CallMemory& memory) const {
  const Array<int64_t> key = key_of(request, memory);
  if (auto plan = plans_.find(key)) return plan;
  return compile_new(request, key);
}

std::shared_ptr<CachedPlan> Executor::compile_new(const Request& request, std::span<const int64_t> key) const {
  const std::vector<Contradiction> contradictions = find_contradictions(graph_, request.inputs);
  if (log_)  // before any lock is taken: what is called may call this
    for (const Contradiction& contradiction : contradictions)
      log_(LogLevel::kWarning, contradiction.text + "; the plan is made for these sizes");
  const auto start = std::chrono::steady_clock::now();
  auto made = std::make_shared<CachedPlan>();
  {
    const std::scoped_lock compiling(compile_mutex_);
    if (auto found = plans_.find(key)) return found;
    made->key.assign(key.begin(), key.end());
    made->plan = compile_for(request, contradictions);
    made->bytes = own_bytes(*made->plan);
    plans_.add(made);
  }
  memory_.free_above(plans_.most_working_bytes());
  if (log_) {
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    log_(LogLevel::kInfo, fmt::format("a plan of {} steps for {} was made in {:.1f} ms", made->plan->steps.size(),
                                      shapes_text(request.inputs), ms));
  }
  return made;
}

/// "x float32[1, 3, 224, 224], n int64[1]" of the inputs that are given.
std::string Executor::shapes_text(std::span<const Tensor* const> inputs) const {
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i])
      text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", graph_.name(graph_.inputs()[i]),
                          to_string(inputs[i]->dtype()), to_string(inputs[i]->shape()));
  return text.empty() ? "no inputs" : text;
}

/// Symbols that the sizes contradict stop nothing by themselves; where an operator can't take them, they are the
/// reason.
std::shared_ptr<const Plan> Executor::compile_for(const Request& request,
                                                  std::span<const Contradiction> contradictions) const {
  CompileOptions options = compile_options_;
  options.fusion = request.fusion;
  if (!copy_) copy_ = graph_;
  ir::Graph graph = *std::exchange(copy_, std::nullopt);
  if (!request.outputs.empty() && !trains_by_reading_) {
    // The others become constants without elements, so that nothing has to compute them.
    const ir::ValueId nothing = graph.add_constant(Tensor(), "nothing");
    for (size_t i = 0; i < graph.outputs().size(); ++i)
      if (!std::ranges::binary_search(request.outputs, i)) graph.bind_output(i, nothing);
    graph.erase_dead();
  }
  std::shared_ptr<const Plan> plan;
  try {
    const Binding binding{{request.inputs.begin(), request.inputs.end()}, &value_inputs_};
    plan = std::make_shared<const Plan>(compile(graph, binding, options));
  } catch (const Error& e) {
    if (contradictions.empty() || e.code() != ErrorCode::kInvalidModel) throw;
    const auto& [symbol, text] = contradictions.front();
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}; {}, where one size is expected (such as --dim {}=...)", e.what(), text, symbol),
                e.file(), e.node());
  }
  if (plans_.statistics().plans_compiled > 0) {  // there are more to come: this is several times cheaper than to copy
    if (!graph.restore_constants(graph_)) graph = graph_;
    copy_ = std::move(graph);
  }
  return plan;
}

std::shared_ptr<const Plan> Executor::plan(const NamedValues& inputs) const {
  CallMemory memory;
  return plan_for({match(inputs, memory), compile_options_.fusion, Array<size_t>()}, memory)->plan;
}

void Executor::prepare(const NamedValues& inputs) const {
  CallMemory memory;
  const auto plan = plan_for({match(inputs, memory), compile_options_.fusion, Array<size_t>()}, memory);
  with_execution(*plan, [](Execution&, std::byte*) {});
  warn_of_missing_threads();
}

/// Lends `use` an execution and memory that nobody else has at the moment. The execution of a run that fails is not
/// used again: its kernels' states may be half of two.
template <class Use>
void Executor::with_execution(CachedPlan& plan, const Use& use) const {
  std::unique_ptr<Execution> execution;
  {
    const std::scoped_lock lock(plan.mutex);
    if (!plan.idle.empty()) {
      execution = std::move(plan.idle.back());
      plan.idle.pop_back();
    }
  }
  const compute::ThreadScope threads(compile_options_.threads.get());
  if (!execution) execution = std::make_unique<Execution>(plan.plan);
  struct Loan {
    WorkingMemory& from;
    WorkingBlock block;
    ~Loan() { from.give_back(std::move(block)); }
  } const loan{memory_, memory_.take(working_bytes(*plan.plan))};
  use(*execution, loan.block.memory.get());
  const std::scoped_lock lock(plan.mutex);
  plan.idle.push_back(std::move(execution));
}

/// Where the caller wants each output; null: nowhere.
auto Executor::places_of(std::span<const OutputMemory> written, const Plan& plan, CallMemory& memory) const
    -> Array<void*> {
  Array<void*> places(graph_.outputs().size(), nullptr, memory.resource());
  for (const OutputMemory& each : written) {
    const size_t index = index_of_output(graph_, each.name);
    check_fits(each, plan.outputs[index]);
    places[index] = each.data;
  }
  return places;
}

void Executor::run_plan(CachedPlan& plan, const Request& request, std::span<void* const> outputs,
                        const RunOptions& options, CallMemory& memory) const {
  Array<const void*> inputs(memory.resource());
  inputs.reserve(request.inputs.size());
  for (const Tensor* tensor : request.inputs) inputs.push_back(address_of(tensor));
  const compute::Interrupt interrupt{options.stop, options.deadline};
  RunControl control;
  if (options.stop.stop_possible() || options.deadline) control.interrupt = &interrupt;
  with_execution(plan,
                 [&](Execution& execution, std::byte* working) { execution.run(inputs, outputs, working, control); });
  warn_of_missing_threads();
}

NamedValues Executor::run(const NamedValues& inputs, const RunOptions& options) const {
  CallMemory memory;
  Array<const Tensor*> tensors = match(inputs, memory);
  check_overlaps(options.memory, tensors);
  const Fusion fusion = fusion_for(tensors);
  const Request request{std::move(tensors), fusion, select(options.outputs, options.memory, memory)};
  const auto cached = plan_for(request, memory);
  const Plan& plan = *cached->plan;
  const Array<void*> given = places_of(options.memory, plan, memory);
  Array<void*> places = given;
  std::vector<Tensor> made(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    if (given[i]) continue;
    made[i] = make_output(plan, i);
    if (!is_constant_output(plan, i)) places[i] = made[i].mutable_raw();
  }
  run_plan(*cached, request, places, options, memory);
  NamedValues outputs;
  for (size_t i = 0; i < places.size(); ++i) {
    if (!request.outputs.empty() && !std::ranges::binary_search(request.outputs, i)) continue;
    const compute::TensorDesc& desc = plan.outputs[i];
    if (given[i])
      made[i] = Tensor::adopt(desc.dtype, desc.dims, nullptr, given[i], static_cast<size_t>(compute::span_bytes(desc)));
    else if (desc.dtype == DataType::kString && made[i].dtype() != DataType::kString)
      made[i] = give_strings(made[i]);
    outputs.add(graph_.outputs()[i].name, std::move(made[i]));
  }
  return outputs;
}

void Executor::run(const NamedValues& inputs, std::span<const OutputMemory> outputs, const RunOptions& options) const {
  if (!options.outputs.empty() || !options.memory.empty() || outputs.empty())
    fail(ErrorCode::kInvalidArgument, "this form of run computes the outputs that it has memory for, and no others");
  CallMemory memory;
  Array<const Tensor*> tensors = match(inputs, memory);
  check_overlaps(outputs, tensors);
  Array<size_t> selected(memory.resource());
  selected.reserve(outputs.size());
  for (const OutputMemory& output : outputs) selected.push_back(index_of_output(graph_, output.name));
  std::ranges::sort(selected);
  if (selected.size() == graph_.outputs().size()) selected.clear();  // all: the plan of a run that asks for none
  const Fusion fusion = fusion_for(tensors);
  const Request request{std::move(tensors), fusion, std::move(selected)};
  const auto cached = plan_for(request, memory);
  Array<void*> places = places_of(outputs, *cached->plan, memory);
  std::vector<Tensor> unasked;  // what steps make all the same
  for (size_t i = 0; i < places.size(); ++i)
    if (!places[i] && !is_constant_output(*cached->plan, i))
      places[i] = unasked.emplace_back(make_output(*cached->plan, i)).mutable_raw();
  run_plan(*cached, request, places, options, memory);
}

void Executor::warn_of_missing_threads() const {
  const int missing = log_ ? compile_options_.threads->take_missing() : 0;
  if (missing == 0) return;
  log_(LogLevel::kWarning,
       fmt::format("the system gave {} of {} threads; runs go on with those", threads() - missing, threads()));
}

SessionStatistics Executor::statistics() const {
  SessionStatistics statistics = plans_.statistics();
  statistics.packed_bytes = packed_weight_bytes();
  statistics.working_bytes = memory_.idle_bytes();
  return statistics;
}

std::vector<StepTime> Executor::profile(const NamedValues& inputs, int runs) const {
  if (runs < 1) fail(ErrorCode::kInvalidArgument, "{} runs", runs);
  CallMemory memory;
  Array<const Tensor*> tensors = match(inputs, memory);
  const Fusion fusion = fusion_for(tensors);
  const Request request{std::move(tensors), fusion, Array<size_t>(memory.resource())};
  const auto cached = plan_for(request, memory);
  const std::vector<Step>& steps = cached->plan->steps;
  std::vector<std::vector<double>> samples(static_cast<size_t>(runs), std::vector<double>(steps.size()));
  std::vector<Tensor> made;
  std::vector<void*> places;
  for (size_t i = 0; i < cached->plan->outputs.size(); ++i) {
    made.push_back(make_output(*cached->plan, i));
    places.push_back(is_constant_output(*cached->plan, i) ? nullptr : made.back().mutable_raw());
  }
  std::vector<const void*> data;
  for (const Tensor* tensor : request.inputs) data.push_back(address_of(tensor));
  with_execution(*cached, [&](Execution& execution, std::byte* working) {
    for (std::vector<double>& sample : samples) execution.run(data, places, working, {.step_ms = sample});
  });
  std::vector<StepTime> times;
  for (size_t i = 0; i < steps.size(); ++i) {
    std::vector<double> of_step;
    for (const std::vector<double>& sample : samples) of_step.push_back(sample[i]);
    std::ranges::nth_element(of_step, of_step.begin() + runs / 2);
    times.push_back(
        {steps[i].group, steps[i].name, steps[i].kernel->implementation(), of_step[static_cast<size_t>(runs) / 2]});
  }
  return times;
}

}  // namespace pli::exec
