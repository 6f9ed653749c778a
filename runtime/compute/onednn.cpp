#include "runtime/compute/onednn.h"

#include "runtime/compute/panel_packing.h"
#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/sliced.h"

namespace pli::compute {

using dnnl::algorithm;
using dnnl::memory;

namespace {

/// oneDNN keeps this many primitives of the whole process for whoever asks for an equal one again. Plans keep their
/// own: what it does for us is to spare compiling what layers and plans share, and with inputs of ever new shapes as
/// many as it keeps by itself are tens of MB. What somebody has set stays.
constexpr int kDefaultPrimitives = 1024;
constexpr int kMostPrimitives = 256;

constexpr int64_t kFloatBytes = sizeof(float);

bool has_operand(const PostOp& op) { return op.kind == PostOp::Kind::kAdd; }

void append(dnnl::post_ops& ops, const PostOp& op) {
  using Kind = PostOp::Kind;
  const auto append_function = [&](algorithm function, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
    ops.append_eltwise(function, alpha, beta);
#else
    ops.append_eltwise(1, function, alpha, beta);
#endif
  };
  switch (op.kind) {
    case Kind::kRelu:
      append_function(algorithm::eltwise_relu, op.alpha, 0);
      return;
    case Kind::kClip:
      append_function(algorithm::eltwise_clip, op.alpha, op.beta);
      return;
    case Kind::kSigmoid:
      append_function(algorithm::eltwise_logistic, 0, 0);
      return;
    case Kind::kTanh:
      append_function(algorithm::eltwise_tanh, 0, 0);
      return;
    case Kind::kElu:
      append_function(algorithm::eltwise_elu, op.alpha, 0);
      return;
    case Kind::kHardSwish:
      append_function(algorithm::eltwise_hardswish, 0, 0);
      return;
    case Kind::kSwish:
      append_function(algorithm::eltwise_swish, op.alpha, 0);
      return;
    case Kind::kGeluErf:
      append_function(algorithm::eltwise_gelu_erf, 0, 0);
      return;
    case Kind::kGeluTanh:
      append_function(algorithm::eltwise_gelu_tanh, 0, 0);
      return;
    case Kind::kLinear:
      append_function(algorithm::eltwise_linear, op.alpha, op.beta);
      return;
    case Kind::kAddInPlace:
      ops.append_sum(1);
      return;
    case Kind::kAdd:
      ops.append_binary(algorithm::binary_add, to_onednn(op.description));
      return;
  }
}

void reorder_whole(memory from, memory to) {
  dnnl::stream stream(cpu_engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

/// [begin, end) of the first dimension; see part_along.
std::optional<memory> rows_of(const memory& all, Range rows) {
  const auto part = part_along(all.get_desc(), 0, rows.begin, rows.size());
  if (!part) return std::nullopt;
  return memory_of(*part, static_cast<std::byte*>(all.get_data_handle()) + part->bytes);
}

/// Between elements, or blocks of elements where there are such.
std::vector<int64_t> strides_of(const memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return desc.get_strides();
#else
  const int64_t* const strides = desc.data.format_desc.blocking.strides;
  return {strides, strides + desc.data.ndims};
#endif
}

bool has_blocks(const memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return desc.get_inner_nblks() > 0;
#else
  return desc.data.format_desc.blocking.inner_nblks > 0;
#endif
}

/// The layout of panels, [groups,] filters first, that this is.
struct Panels {
  memory::format_tag tag;
  bool has_groups;
};
std::optional<Panels> panels_of(const memory::desc& desc) {
  using Tag = memory::format_tag;
  const memory::dims dims = dims_of(desc);
  for (const auto& [rank, panels] : {std::pair<size_t, Panels>{4, {Tag::Ohwi16o, false}},
                                     {5, {Tag::Odhwi16o, false}},
                                     {5, {Tag::gOhwi16o, true}},
                                     {6, {Tag::gOdhwi16o, true}}})
    if (dims.size() == rank && desc == memory::desc(dims, type_of(desc), panels.tag)) return panels;
  return std::nullopt;
}

/// From an array into panels: oneDNN takes ten times as long for it.
bool reorder_to_panels(const memory& from, const memory& to) {
  const memory::desc source = from.get_desc();
  const auto panels = panels_of(to.get_desc());
  if (!panels || has_blocks(source)) return false;
  pack_panels(static_cast<const float*>(from.get_data_handle()),
              {DataType::kFloat32, dims_of(source), strides_of(source)}, panels->has_groups,
              static_cast<float*>(to.get_data_handle()));
  return true;
}

}  // namespace

// In parts along the first dimension.
void reorder(const memory& from, const memory& to) {
  if (reorder_to_panels(from, to)) return;
  constexpr size_t kLeastBytes = 64 << 10;
  constexpr int64_t kBlock = 16;  // of which layouts have whole ones, whatever theirs are
  const int64_t rows = dims_of(from.get_desc())[0];
  std::vector<std::pair<memory, memory>> parts;
  const int64_t wanted = to.get_desc().get_size() < kLeastBytes ? 1 : std::min<int64_t>(threads_here(), rows / kBlock);
  for (int64_t i = 0; wanted > 1 && i < wanted; ++i) {
    const Range range = range_of_part(rows, i, wanted, kBlock);
    const auto a = rows_of(from, range), b = rows_of(to, range);
    if (!a || !b) return reorder_whole(from, to);
    parts.emplace_back(*a, *b);
  }
  if (parts.empty()) return reorder_whole(from, to);
  parallel_tasks(wanted, [&](int64_t i) {
    const auto& [a, b] = parts[static_cast<size_t>(i)];
    reorder_whole(a, b);
  });
}

namespace {

class PrimitiveKernel final : public Kernel {
 public:
  PrimitiveKernel(const dnnl::primitive_desc_base& descriptor, std::vector<Argument> arguments)
      : primitive_(descriptor.get()),
        arguments_(std::move(arguments)),
        implementation_(descriptor.impl_info_str()),
        scratchpad_(descriptor.scratchpad_desc()) {}

  size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  std::string implementation() const override { return implementation_; }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    with_onednn([&] {
      state->stream = dnnl::stream(cpu_engine());
      for (const Argument& argument : arguments_) {
        const bool owned = argument.source == Argument::Source::kOwned;
        state->memories.push_back(owned ? *argument.weights : memory(argument.desc, cpu_engine(), nullptr));
        state->arguments.push_back({argument.id, state->memories.back().get()});
      }
      if (scratch_bytes() > 0) {
        state->memories.push_back(memory(scratchpad_, cpu_engine(), nullptr));
        state->arguments.push_back({DNNL_ARG_SCRATCHPAD, state->memories.back().get()});
      }
    });
    return state;
  }

  void run(const RunArgs& args) const override {
    auto& state = *static_cast<State*>(args.state);
    for (size_t i = 0; i < arguments_.size(); ++i) {
      const Argument& argument = arguments_[i];
      if (argument.source == Argument::Source::kOwned) continue;
      void* data = argument.source == Argument::Source::kInput ? const_cast<void*>(args.inputs[argument.index])
                                                               : args.outputs[argument.index];
      dnnl_memory_set_data_handle(state.memories[i].get(), data);
    }
    if (state.memories.size() > arguments_.size())
      dnnl_memory_set_data_handle(state.memories.back().get(), args.scratch);
    const dnnl_status_t status = dnnl_primitive_execute(
        primitive_.get(), state.stream.get(), static_cast<int>(state.arguments.size()), state.arguments.data());
    if (status == dnnl_out_of_memory) throw std::bad_alloc();
    if (status != dnnl_success)
      fail(ErrorCode::kInternal, "oneDNN: {} failed with status {}", implementation_, static_cast<int>(status));
  }

 private:
  struct State final : KernelState {
    dnnl::stream stream;
    std::vector<memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
  };

  dnnl::primitive primitive_;
  std::vector<Argument> arguments_;
  std::string implementation_;
  memory::desc scratchpad_;
};

}  // namespace

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine = [] {
    if (dnnl::get_primitive_cache_capacity() == kDefaultPrimitives) dnnl::set_primitive_cache_capacity(kMostPrimitives);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

memory::data_type to_onednn(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return memory::data_type::f32;
    case DataType::kInt32:
      return memory::data_type::s32;
    case DataType::kInt8:
      return memory::data_type::s8;
    case DataType::kUint8:
      return memory::data_type::u8;
    case DataType::kBfloat16:
      return memory::data_type::bf16;
    case DataType::kFloat16:
      return memory::data_type::f16;
    default:
      fail(ErrorCode::kUnsupported, "oneDNN has no {}", to_string(dtype));
  }
}

memory::desc to_onednn(const TensorDesc& desc) {
  if (desc.rank() > DNNL_MAX_NDIMS)
    fail(ErrorCode::kUnsupported, "rank {} is beyond oneDNN's {}", desc.rank(), DNNL_MAX_NDIMS);
  return {desc.dims, to_onednn(desc.dtype), desc.strides};
}

dnnl::primitive_attr make_attributes(const PostOps& post_ops) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  for (const PostOp& op : post_ops) append(ops, op);
  attributes.set_post_ops(ops);
  return attributes;
}

void add_post_op_arguments(const PostOps& post_ops, std::vector<Argument>& arguments) {
  for (size_t i = 0; i < post_ops.size(); ++i)
    if (has_operand(post_ops[i]))
      arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(static_cast<int>(i)) | DNNL_ARG_SRC_1,
                           to_onednn(post_ops[i].description),
                           Argument::Source::kInput,
                           post_ops[i].operand,
                           {}});
}

memory memory_of(const WeightPart& part, std::byte* begin) { return {part.desc, cpu_engine(), begin - part.counted}; }

SharedWeights part_of(const SharedWeights& all, const WeightPart& part) {
  if (!all) return nullptr;
  struct Part {
    SharedWeights all;
    memory weights;
  };
  auto* const begin = static_cast<std::byte*>(all->get_data_handle()) + part.bytes;
  const auto shared = std::make_shared<const Part>(Part{all, memory_of(part, begin)});
  return {shared, &shared->weights};
}

std::optional<WeightPart> part_along(const memory::desc& all, size_t axis, int64_t first, int64_t count) {
  memory::dims dims = dims_of(all);
#if DNNL_VERSION_MAJOR >= 3
  // A description of a part can't be moved to where the part begins: made anew where the whole is understood.
  const auto panels = panels_of(all);
  const size_t filters = panels && panels->has_groups ? 1 : 0;
  const int64_t block = panels && axis == filters ? kPanelColumns : 1;
  const bool is_whole = first % block == 0 && (count % block == 0 || first + count == dims[axis]);
  const bool is_known = panels ? axis <= filters : !has_blocks(all);
  memory::dims at(dims.size(), 0);
  dims[axis] = count;
  at[axis] = first;
  if (is_known) {
    if (!is_whole) return std::nullopt;
    const std::vector<int64_t> strides = strides_of(all);
    return WeightPart{
        panels ? memory::desc(dims, type_of(all), panels->tag) : memory::desc(dims, type_of(all), strides),
        first / block * strides[axis] * kFloatBytes};
  }
  const memory::desc part = all.submemory_desc(dims, at, true);
  if (!part) return std::nullopt;  // is_zero() of it would throw
  const int64_t bytes = part.get_submemory_offset() * kFloatBytes;
  return WeightPart{part, bytes, bytes};
#else
  memory::dims at(dims.size(), 0);
  dims[axis] = count;
  at[axis] = first;
  WeightPart part{all.submemory_desc(dims, at, true)};
  if (part.desc.is_zero()) return std::nullopt;
  part.bytes = part.desc.data.offset0 * kFloatBytes;
  part.desc.data.offset0 = 0;
  return part;
#endif
}

std::unique_ptr<Kernel> make_primitive_kernel(const dnnl::primitive_desc_base& descriptor,
                                              std::vector<Argument> arguments) {
  return std::make_unique<PrimitiveKernel>(descriptor, std::move(arguments));
}

}  // namespace pli::compute
