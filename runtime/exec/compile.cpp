#include "runtime/exec/compile.h"

#include "runtime/compute/joined_lines.h"
#include "runtime/compute/parallel.h"
#include "runtime/exec/fuse.h"
#include "runtime/exec/memory_plan.h"
#include "runtime/ops/arithmetic/cast.h"
#include "runtime/ops/linear/convolution.h"

#include <algorithm>
#include <map>

namespace pli::exec {

namespace {

using compute::plain;
using compute::TensorDesc;
using ops::Layouts;

class Compiler {
 public:
  Compiler(const ir::Graph& graph, const CompileOptions& options)
      : graph_(graph),
        options_(options),
        places_(graph.value_limit()),
        readers_(graph.value_limit(), 0),
        spacers_(graph.value_limit(), 0) {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) first_output_.emplace(graph_.outputs()[i].value, i);
  }

  Plan compile(std::span<const ir::NodeId> nodes) {
    const std::vector<Group> groups = fuse(graph_, nodes, options_.fusion);
    count_readers(groups);
    for (size_t i = 0; i < graph_.inputs().size(); ++i) place_input(i);
    for (const Group& group : groups) {
      const ir::Node& root = graph_.node(group.root);
      in_node([&] { return ir::describe(graph_, root); }, [&] { add_group(work_of(group)); });
    }
    if (!unsupported_.empty()) fail(ErrorCode::kUnsupported, "not supported: {}", unsupported_);
    finish_outputs();
    place_arena();
    return std::move(plan_);
  }

 private:
  /// A value at a place, in one layout.
  using Places = std::vector<Operand>;

  using Values = SmallVector<ir::ValueId, 8>;

  /// A group with what there is to know of it.
  struct Work {
    const Group& group;
    const ir::Node& root;
    const ops::Operator& op;
    Values operands, outputs;
  };

  Places& places(ir::ValueId id) { return places_[static_cast<size_t>(id.index)]; }
  int& readers(ir::ValueId id) { return readers_[static_cast<size_t>(id.index)]; }
  DataType dtype(ir::ValueId id) const { return graph_.type(id).dtype; }
  DataType memory_type(ir::ValueId id) const { return dtype(id) == DataType::kString ? kStringAddress : dtype(id); }
  TensorDesc plain_desc(ir::ValueId id) const { return plain(memory_type(id), *graph_.type(id).shape()); }

  Values operands_of(const Group& group) const {
    Values ids = graph_.node(group.root).inputs;
    ids.insert(ids.end(), group.operands.begin(), group.operands.end());
    return ids;
  }

  Work work_of(const Group& group) const {
    const ir::Node& root = graph_.node(group.root);
    Values outputs = root.outputs;
    if (!outputs.empty()) outputs[0] = group.result;
    return {group, root, *ops::find_operator(graph_, root), operands_of(group), std::move(outputs)};
  }

  void count_readers(std::span<const Group> groups) {
    for (const Group& group : groups) {
      for (const ir::ValueId id : operands_of(group))
        if (id) ++readers(id);
      const ir::Node& root = graph_.node(group.root);
      if (ops::wants_spaced_pixels(graph_, root)) ++spacers_[static_cast<size_t>(root.inputs[0].index)];
    }
    for (const ir::Output& output : graph_.outputs()) ++readers(output.value);
  }

  int add_buffer(const Buffer& buffer) {
    plan_.buffers.push_back(buffer);
    intervals_.push_back({plan_.buffers.back().bytes, -1, -1});
    residents_.emplace_back();
    return static_cast<int>(plan_.buffers.size()) - 1;
  }

  Operand add_operand(ir::ValueId id, const Buffer& buffer, TensorDesc desc) {
    const Operand operand{add_buffer(buffer), 0, std::move(desc)};
    if (id) {
      places(id).push_back(operand);
      residents_.back().push_back(id);
    }
    return operand;
  }

  Operand allocate(ir::ValueId id, TensorDesc desc) {
    const int64_t bytes = compute::span_bytes(desc);
    if (bytes > options_.limits.tensor_bytes)
      fail(ErrorCode::kResourceLimit, "a value of {} bytes passes the limit of {}", bytes,
           options_.limits.tensor_bytes);
    return add_operand(id, {.kind = Buffer::Kind::kArena, .bytes = bytes}, std::move(desc));
  }

  void place_input(size_t index) {
    const ir::ValueId id = graph_.inputs()[index];
    if (graph_.constant_of(id) || (graph_.uses(id).empty() && !graph_.is_output(id))) return;
    const TensorDesc desc = plain_desc(id);
    if (dtype(id) == DataType::kString) plan_.string_inputs.push_back({index, static_cast<size_t>(desc.size())});
    add_operand(id, {.kind = Buffer::Kind::kInput, .bytes = compute::span_bytes(desc), .index = index}, desc);
  }

  const Operand& place_constant(ir::ValueId id) {
    if (places(id).empty()) {
      const Tensor& stored = plan_.constants.emplace_back(*graph_.constant_of(id));
      const bool strings = stored.dtype() == DataType::kString;
      const Tensor& tensor = strings ? plan_.constants.emplace_back(addresses_of(stored)) : stored;
      add_operand(
          id,
          {.kind = Buffer::Kind::kConstant, .bytes = static_cast<int64_t>(tensor.bytes().size()), .constant = &tensor},
          plain(tensor.dtype(), plain_desc(id).dims));
    }
    return places(id).front();
  }

  /// The step before makes what `step` reads first, from nothing, and nobody else reads that.
  bool feeds(const Step& before, const Step& step) const {
    if (before.outputs.size() != 1 || step.inputs.empty()) return false;
    const Operand &made = before.outputs[0], &read = step.inputs[0];
    const auto is_made = [&](const Operand& operand) { return operand.buffer == made.buffer; };
    return made.buffer >= 0 && is_made(read) && read.byte_offset == 0 && read.desc == made.desc &&
           intervals_[static_cast<size_t>(made.buffer)].first == static_cast<int>(plan_.steps.size()) - 1 &&
           is_free(made) && std::ranges::count_if(step.inputs, is_made) == 1 &&
           std::ranges::none_of(step.outputs, is_made);
  }

  /// Perhaps `step` and the one before it will be one, as their kernels tell: then `step` must not overwrite what that
  /// reads.
  bool may_be_joined(const Step& step) const {
    return options_.fusion != Fusion::kNone && !plan_.steps.empty() && feeds(plan_.steps.back(), step) &&
           compute::is_worth_joining(*plan_.steps.back().kernel);
  }

  bool can_be_joined(const Step& step) const {
    return compute::can_join(*plan_.steps.back().kernel, *step.kernel, options_.limits.arena_bytes);
  }

  /// One of the operands lies in the memory of `operand`.
  static bool reads(std::span<const Operand> operands, const Operand& operand) {
    return std::ranges::find(operands, operand.buffer, &Operand::buffer) != operands.end();
  }

  /// `step` with the one before it, as one.
  Step joined_with_last(Step step) {
    Step joined = std::move(plan_.steps.back());
    plan_.steps.pop_back();
    intervals_[static_cast<size_t>(joined.outputs[0].buffer)].first = -1;  // nowhere in the arena
    joined.group += ", " + step.group;
    joined.kernel = compute::join_lines({std::move(joined.kernel), joined.inputs.size()},
                                        {std::move(step.kernel), step.inputs.size()});
    step.inputs[0] = {};
    joined.inputs.insert(joined.inputs.end(), std::make_move_iterator(step.inputs.begin()),
                         std::make_move_iterator(step.inputs.end()));
    joined.outputs = std::move(step.outputs);
    return joined;
  }

  void add_step(Step step) {
    const auto is_read = [&](const Operand& to) { return reads(plan_.steps.back().inputs, to); };
    if (may_be_joined(step) && can_be_joined(step) && std::ranges::none_of(step.outputs, is_read))
      step = joined_with_last(std::move(step));
    const int index = static_cast<int>(plan_.steps.size());
    const auto touch = [&](const Operand& operand) {
      if (operand.buffer < 0) return;
      Interval& interval = intervals_[static_cast<size_t>(operand.buffer)];
      if (interval.first < 0) interval.first = index;
      interval.last = index;
    };
    std::ranges::for_each(step.inputs, touch);
    std::ranges::for_each(step.outputs, touch);
    const auto is_double = [](const Operand& operand) {
      return operand.buffer >= 0 && operand.desc.dtype == DataType::kFloat64;
    };
    step.keeps_denormals = std::ranges::any_of(step.inputs, is_double) || std::ranges::any_of(step.outputs, is_double);
    plan_.scratch_bytes = std::max(plan_.scratch_bytes, static_cast<int64_t>(step.kernel->scratch_bytes()));
    plan_.steps.push_back(std::move(step));
  }

  void copy(const Operand& from, const Operand& to, ir::ValueId id) {
    const std::string& name = graph_.name(id);
    const char* group = from.desc.dtype == to.desc.dtype ? "Reorder" : "Convert";
    add_step({group, name, fmt::format("copy of \"{}\"", name), ops::make_cast(from.desc, to.desc), {from}, {to}, {}});
  }

  /// The value in the layout `wanted`: where it already is, or in a copy.
  Operand in_layout(ir::ValueId id, const TensorDesc& wanted) {
    if (graph_.constant_of(id)) place_constant(id);
    for (const Operand& place : places(id))
      if (place.desc.dtype == wanted.dtype && compute::same_layout(place.desc, wanted))
        return {place.buffer, place.byte_offset, wanted};
    const Operand from = places(id).front();
    if (const Tensor* constant = graph_.constant_of(id)) return constant_copy(id, *constant, from, wanted);
    const Operand to = allocate(id, wanted);
    copy(from, to, id);
    return to;
  }

  Operand constant_copy(ir::ValueId id, const Tensor& constant, const Operand& from, const TensorDesc& wanted) {
    Tensor& copied =
        plan_.constants.emplace_back(wanted.dtype, Shape(constant.shape().begin(), constant.shape().end()));
    const void* in[] = {constant.bytes().data()};
    void* out[] = {copied.mutable_raw()};
    const auto kernel = ops::make_cast(from.desc, wanted);
    const auto state = kernel->make_state();
    kernel->run({in, out, nullptr, state.get()});
    return add_operand(
        id,
        {.kind = Buffer::Kind::kConstant, .bytes = static_cast<int64_t>(copied.bytes().size()), .constant = &copied},
        wanted);
  }

  /// Nobody reads what lies in the buffer any more, so that its memory may be written to.
  bool is_free(const Operand& operand) const {
    const auto index = static_cast<size_t>(operand.buffer);
    if (plan_.buffers[index].kind != Buffer::Kind::kArena) return false;
    return std::ranges::all_of(residents_[index],
                               [&](ir::ValueId id) { return readers_[static_cast<size_t>(id.index)] == 0; });
  }

  /// Everything that reads the value had better have its pixels spaced.
  bool is_to_be_spaced(ir::ValueId id) const {
    if (!id) return false;
    const auto index = static_cast<size_t>(id.index);
    return spacers_[index] > 0 && spacers_[index] == readers_[index];
  }

  ops::PrepareContext context_of(const Work& work) {
    ops::PrepareContext context{graph_,
                                work.root,
                                options_.limits,
                                graph_.opset(""),
                                {},
                                {},
                                {},
                                work.group.epilogues,
                                options_.threads->threads(),
                                options_.weights.get(),
                                options_.fusion != Fusion::kAll || options_.precision == Precision::kFloat32Exact,
                                is_to_be_spaced(work.group.result)};
    context.inputs.reserve(work.operands.size());
    context.constants.reserve(work.operands.size());
    context.outputs.reserve(work.outputs.size());
    for (size_t i = 0; i < work.operands.size(); ++i) {
      const ir::ValueId id = work.operands[i];
      const Tensor* const constant = graph_.constant_of(id);
      if (!id) {
        context.inputs.emplace_back();
        context.constants.push_back(nullptr);
      } else if (constant && work.op.absorbs(i) && places(id).empty()) {  // no step reads it
        context.inputs.push_back(plain(constant->dtype(), *graph_.type(id).shape()));
        context.constants.push_back(&plan_.constants.emplace_back(*constant));
      } else {
        const Operand& place = constant ? place_constant(id) : places(id).front();
        context.inputs.push_back(place.desc);
        context.constants.push_back(constant ? plan_.buffers[static_cast<size_t>(place.buffer)].constant : nullptr);
      }
    }
    for (ops::Epilogue& epilogue : context.epilogues) epilogue.operand += work.root.inputs.size();
    for (const ir::ValueId id : work.outputs) {
      const auto shape = id ? graph_.type(id).shape() : std::nullopt;
      context.outputs.push_back(shape ? plain(memory_type(id), *shape) : TensorDesc{});
    }
    widen_halves(work, context);
    return context;
  }

  /// What computes on halves does so in float32, and what moves them takes them as float32 where one lies so: then the
  /// group reads and gives float32.
  void widen_halves(const Work& work, ops::PrepareContext& context) const {
    const auto& [group, root, op, inputs, outputs] = work;
    if (!ops::reads_halves(op, graph_, inputs)) return;
    const auto is_half = [&](ir::ValueId id) { return id && pli::is_half(dtype(id)); };
    if (context.node.is("Cast") || context.node.is("CastLike")) {  // of what the model means: rounded
      if (is_half(inputs[0])) context.inputs[0].dtype = dtype(inputs[0]);
      return;
    }
    bool wide = op.computes_wide();
    for (size_t i = 0; i < inputs.size(); ++i)
      wide = wide || (is_half(inputs[i]) && !op.reads_only_type(i) && context.inputs[i].dtype == DataType::kFloat32);
    if (!wide) return;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (is_half(inputs[i]) && !op.reads_only_type(i)) context.inputs[i].dtype = DataType::kFloat32;
    for (size_t i = 0; i < outputs.size(); ++i)
      if (is_half(outputs[i]) && context.outputs[i].present()) context.outputs[i].dtype = DataType::kFloat32;
  }

  /// The outputs are the first input seen otherwise: nothing to run.
  bool add_views(const Work& work, const ops::PrepareContext& context) {
    if (!work.op.view || !work.group.epilogues.empty() || !work.root.input(0)) return false;
    const auto views = work.op.view(context);
    if (!views) return false;
    const Operand from = places(work.root.inputs[0]).front();
    if (from.desc.dtype != context.inputs[0].dtype) return false;
    for (size_t i = 0; i < std::min(work.outputs.size(), views->size()); ++i) {
      const ir::ValueId id = work.outputs[i];
      if (!id) continue;
      const auto& [desc, offset] = (*views)[i];
      places(id).push_back({from.buffer, from.byte_offset + offset * bit_width(desc.dtype) / 8, desc});
      residents_[static_cast<size_t>(from.buffer)].push_back(id);
    }
    return true;
  }

  /// Residual operands come in the result's layout; one that dies here lends the result its memory. Whether it did not
  /// since the step before, which `is_joined` with this one, reads it meanwhile.
  bool settle_epilogues(const Group& group, const Layouts& layouts, bool is_joined, ops::PrepareContext& context,
                        const Step& step, Operand& in_place) {
    bool is_held_back = false;
    for (size_t i = 0; i < group.epilogues.size(); ++i) {
      ops::Epilogue& epilogue = context.epilogues[i];
      if (epilogue.kind != ops::Epilogue::Kind::kAdd) continue;
      const Operand& operand = step.inputs[epilogue.operand];
      const bool root_reads_it = reads(std::span(step.inputs).first(epilogue.operand), operand);
      if (in_place.buffer >= 0 || root_reads_it || operand.byte_offset != 0 || !is_free(operand) ||
          plan_.buffers[static_cast<size_t>(operand.buffer)].bytes != compute::span_bytes(layouts.outputs[0]) ||
          graph_.is_output(group.result))
        continue;
      if (is_joined && reads(plan_.steps.back().inputs, operand)) {
        is_held_back = true;
        continue;
      }
      epilogue.kind = ops::Epilogue::Kind::kAddInPlace;
      in_place = operand;
    }
    return is_held_back;
  }

  void add_group(const Work& work) {
    const auto& [group, root, op, inputs, outputs] = work;
    ops::PrepareContext context = context_of(work);
    const auto release = [&] {
      for (const ir::ValueId id : work.operands)
        if (id) --readers(id);
    };
    if (add_views(work, context)) return release();
    try {
      Layouts layouts = op.layout ? op.layout(context) : ops::row_major_layouts(context);
      for (const ops::Epilogue& epilogue : context.epilogues)
        if (epilogue.kind == ops::Epilogue::Kind::kAdd) layouts.inputs[epilogue.operand] = layouts.outputs[0];

      Step step{describe(graph_, group), root.name, ir::describe(graph_, root), nullptr, {}, {}, {}};
      for (size_t i = 0; i < inputs.size(); ++i) {
        const bool read = inputs[i] && !(context.constants[i] && op.absorbs(i));
        step.inputs.push_back(read ? in_layout(inputs[i], layouts.inputs[i]) : Operand{});
      }
      release();
      Operand in_place;
      const bool is_held_back = settle_epilogues(group, layouts, may_be_joined(step), context, step, in_place);
      context.inputs = layouts.inputs;
      context.outputs = layouts.outputs;
      if (!op.prepare) fail(ErrorCode::kInternal, "operator {} has no kernel", root.op_type);
      step.kernel = op.prepare(context);
      if (is_held_back && in_place.buffer < 0 && !can_be_joined(step)) {
        settle_epilogues(group, layouts, false, context, step, in_place);
        step.kernel = op.prepare(context);
      }
      for (size_t i = 0; i < outputs.size(); ++i) {
        const bool wanted = outputs[i] && layouts.outputs[i].present();
        step.outputs.push_back(wanted ? place_output(outputs[i], layouts.outputs[i], i == 0 ? in_place : Operand{})
                                      : Operand{});
      }
      add_step(std::move(step));
      const size_t index = plan_.steps.size() - 1;
      for (size_t i = 0; i < outputs.size(); ++i) {
        const Operand& operand = plan_.steps[index].outputs[i];
        if (operand.buffer >= 0 && is_to_be_rounded(outputs[i], operand.desc)) round(outputs[i], Operand(operand));
      }
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kUnsupported) throw;
      unsupported_ += fmt::format("{}{}: {}", unsupported_.empty() ? "" : ", ", ir::describe(graph_, root), e.what());
      pretend(work);
    }
  }

  /// So that the operators behind an unsupported one are looked at as well; the plan is not going to run.
  void pretend(const Work& work) {
    for (const ir::ValueId id : work.outputs)
      if (id && places(id).empty() && graph_.type(id).shape())
        add_operand(id, {.kind = Buffer::Kind::kArena}, plain_desc(id));
  }

  /// A half that lies as float32 may stay so, unless every step is to round what it gives.
  bool is_to_be_rounded(ir::ValueId id, const TensorDesc& desc) const {
    return options_.round_halves && desc.dtype != memory_type(id);
  }

  void round(ir::ValueId id, const Operand& made) {
    TensorDesc desc = made.desc;
    desc.dtype = dtype(id);
    copy(made, place_output(id, desc, {}), id);
  }

  Operand place_output(ir::ValueId id, const TensorDesc& desc, const Operand& in_place) {
    if (is_to_be_rounded(id, desc)) return in_place.buffer >= 0 ? in_place : allocate({}, desc);
    if (in_place.buffer >= 0) {
      const Operand operand{in_place.buffer, 0, desc};
      places(id).push_back(operand);
      residents_[static_cast<size_t>(in_place.buffer)].push_back(id);
      return operand;
    }
    if (graph_.is_output(id) && compute::is_plain(desc) && desc.dtype == memory_type(id)) {
      return add_operand(
          id, {.kind = Buffer::Kind::kOutput, .bytes = compute::span_bytes(desc), .index = first_output_.at(id)}, desc);
    }
    return allocate(id, desc);
  }

  /// A buffer of the constant itself, whatever the steps see of it.
  int constant_output(ir::ValueId id) {
    if (dtype(id) != DataType::kString) return place_constant(id).buffer;
    const Tensor& strings = plan_.constants.emplace_back(*graph_.constant_of(id));
    return add_buffer({.kind = Buffer::Kind::kConstant, .constant = &strings});
  }

  /// Each output of the graph in a buffer of its own, row-major; constants and inputs as they are.
  void finish_outputs() {
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::ValueId id = graph_.outputs()[i].value;
      const TensorDesc desc = plain_desc(id);
      plan_.outputs.push_back(plain(dtype(id), desc.dims));
      if (graph_.constant_of(id)) {
        plan_.output_buffers.push_back(constant_output(id));
        continue;
      }
      const auto direct = std::ranges::find_if(places(id), [&](const Operand& place) {
        const Buffer& buffer = plan_.buffers[static_cast<size_t>(place.buffer)];
        const bool whole = place.byte_offset == 0 && place.desc.dtype == desc.dtype && compute::is_plain(place.desc) &&
                           buffer.bytes == compute::span_bytes(desc);
        return whole && ((buffer.kind == Buffer::Kind::kInput && dtype(id) != DataType::kString) ||
                         (buffer.kind == Buffer::Kind::kOutput && buffer.index == i));
      });
      if (direct != places(id).end()) {
        plan_.output_buffers.push_back(direct->buffer);
        continue;
      }
      const Operand from = places(id).front();
      const Operand to =
          add_operand({}, {.kind = Buffer::Kind::kOutput, .bytes = compute::span_bytes(desc), .index = i}, desc);
      copy(from, to, id);
      plan_.output_buffers.push_back(to.buffer);
    }
  }

  void place_arena() {
    std::vector<Interval> wanted;
    std::vector<size_t> which;
    for (size_t i = 0; i < plan_.buffers.size(); ++i) {
      if (plan_.buffers[i].kind != Buffer::Kind::kArena || intervals_[i].first < 0) continue;
      wanted.push_back(intervals_[i]);
      which.push_back(i);
    }
    const MemoryPlan memory = plan_memory(wanted, options_.limits.arena_bytes);
    for (size_t i = 0; i < which.size(); ++i) plan_.buffers[which[i]].offset = memory.offsets[i];
    plan_.arena_bytes = memory.bytes;
    if (plan_.scratch_bytes > options_.limits.arena_bytes)
      fail(ErrorCode::kResourceLimit, "scratch memory of {} bytes passes the limit of {}", plan_.scratch_bytes,
           options_.limits.arena_bytes);
  }

  const ir::Graph& graph_;
  const CompileOptions& options_;
  std::map<ir::ValueId, size_t> first_output_;
  Plan plan_;
  std::vector<Places> places_;                       // by value: the first is where it was made, others are copies
  std::vector<int> readers_;                         // by value: groups and outputs that have yet to read it
  std::vector<int> spacers_;                         // by value: groups that had better have it spaced
  std::vector<Interval> intervals_;                  // by buffer
  std::vector<std::vector<ir::ValueId>> residents_;  // by buffer: the values that lie in it
  std::string unsupported_;
};

}  // namespace

Plan compile(ir::Graph& graph, const Binding& binding, const CompileOptions& options) {
  const compute::ThreadScope threads(options.threads.get());
  const std::vector<ir::NodeId> nodes = specialize(graph, binding, options.limits, options.folding);
  return Compiler(graph, options).compile(nodes);
}

}  // namespace pli::exec
