#include "runtime/compute/convolution.h"

#include "runtime/compute/convolution_f64.h"
#include "runtime/compute/convolution_form.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/sliced.h"

#include <algorithm>
#include <cstring>

namespace pli::compute {

using dnnl::memory;
using dnnl::prop_kind;

namespace {

memory::desc any_layout(const TensorDesc& desc) { return {desc.dims, memory::data_type::f32, memory::format_tag::any}; }

/// What oneDNN would do, before it generates any code for it.
struct Description {
  std::shared_ptr<const dnnl::primitive_desc_base> descriptor;
  memory::desc weight;

  std::string implementation() const { return implementation_of(descriptor->get()); }
};

memory::desc bias_of(const ConvolutionForm& form) {
  return {{form.result.dims[1]}, memory::data_type::f32, memory::format_tag::x};
}

/// Of a part, what is added is a part.
PostOps post_ops_of(const ConvolutionForm& form) {
  PostOps ops = form.post_ops;
  for (PostOp& op : ops)
    if (op.kind == PostOp::Kind::kAdd) op.description = form.result;
  return ops;
}

Description describe(const ConvolutionForm& form, const memory::desc& weight) {
  const auto source = to_onednn(form.source);
  const auto result = to_onednn(form.result);
  const dnnl::primitive_attr attributes = make_attributes(post_ops_of(form));
  const auto make = [&]<class Algorithm>(Algorithm, dnnl::algorithm algorithm) {
    const typename Algorithm::desc operation(prop_kind::forward_inference, algorithm, source, weight,
                                             form.has_bias ? bias_of(form) : memory::desc(), result, form.strides,
                                             form.dilations, form.pads_begin, form.pads_end);
    auto descriptor = std::make_shared<typename Algorithm::primitive_desc>(operation, attributes, cpu_engine());
    const auto packed_weight = descriptor->weights_desc();
    return Description{descriptor, packed_weight};
  };
  if (form.transposed) return make(dnnl::deconvolution_forward(), dnnl::algorithm::deconvolution_direct);
  return make(dnnl::convolution_forward(), dnnl::algorithm::convolution_direct);
}

/// Brings a weight that is only known at run time into the layout that the convolution wants, then convolves.
class RepackingKernel final : public Kernel {
 public:
  RepackingKernel(const memory::desc& given, const memory::desc& wanted, std::unique_ptr<Kernel> convolution)
      : convolution_(std::move(convolution)), weight_bytes_(whole_lines(wanted.get_size())) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc descriptor(cpu_engine(), given, cpu_engine(), wanted, attributes);
    reorder_ = make_primitive_kernel(descriptor.get(), {{DNNL_ARG_FROM, given, Argument::Source::kInput, 1, {}},
                                                        {DNNL_ARG_TO, wanted, Argument::Source::kOutput, 0, {}}});
  }

  size_t scratch_bytes() const override {
    return weight_bytes_ + std::max(convolution_->scratch_bytes(), reorder_->scratch_bytes());
  }
  std::string implementation() const override { return convolution_->implementation(); }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    state->reorder = reorder_->make_state();
    state->convolution = convolution_->make_state();
    return state;
  }

  void run(const RunArgs& args) const override {
    auto& state = *static_cast<State*>(args.state);
    void* weight = args.scratch;
    void* scratch = static_cast<std::byte*>(args.scratch) + weight_bytes_;
    void* wanted[] = {weight};
    reorder_->run({args.inputs, wanted, scratch, state.reorder.get()});
    state.inputs.assign(args.inputs.begin(), args.inputs.end());
    state.inputs[1] = weight;
    convolution_->run({state.inputs, args.outputs, scratch, state.convolution.get()});
  }

 private:
  struct State final : KernelState {
    std::unique_ptr<KernelState> reorder, convolution;
    std::vector<const void*> inputs;
  };

  std::unique_ptr<Kernel> reorder_, convolution_;
  size_t weight_bytes_;
};

/// oneDNN's convolutions by plain matrix products read the operand of a sum as if it were one number a channel
/// (2.6.3, channels-last). Those that add to what the result holds are right.
bool adds_wrongly(const Description& made) {
  const std::string implementation = made.implementation();
  return implementation.find("gemm") != std::string::npos || implementation.find("ref") != std::string::npos;
}

/// Whether a part of a convolution may be rounded otherwise than that part of the whole, so that into how many parts it
/// is divided must not depend on the threads.
bool depends_on_division(const Description& made) { return made.implementation().find("gemm") != std::string::npos; }
constexpr int kAnyThreads = 4;

/// Puts the operand of a sum, which is laid out like the result, into the result and has the convolution add to that.
class AddToCopy final : public Kernel {
 public:
  AddToCopy(std::unique_ptr<Kernel> convolution, size_t operand, const TensorDesc& result)
      : convolution_(std::move(convolution)), operand_(operand), bytes_(static_cast<size_t>(span_bytes(result))) {}

  size_t scratch_bytes() const override { return convolution_->scratch_bytes(); }
  std::string implementation() const override { return convolution_->implementation(); }
  std::unique_ptr<KernelState> make_state() const override { return convolution_->make_state(); }

  void run(const RunArgs& args) const override {
    std::memcpy(args.outputs[0], args.inputs[operand_], bytes_);
    convolution_->run(args);
  }

 private:
  std::unique_ptr<Kernel> convolution_;
  size_t operand_, bytes_;
};

/// Computes some of the result's channels to an array of their own, from where they go to their place: oneDNN has no
/// good kernel that writes to it there.
class StripKernel final : public Kernel {
 public:
  /// `strip` as `kernel` gives it; the result has so many channels.
  StripKernel(std::unique_ptr<Kernel> kernel, const TensorDesc& strip, int64_t channels)
      : kernel_(std::move(kernel)),
        pixels_(strip.size() / strip.dims[1]),
        width_(static_cast<size_t>(strip.dims[1]) * sizeof(float)),
        stride_(static_cast<size_t>(channels) * sizeof(float)) {}

  /// The kernel adds to what the array holds: these channels of what the result holds.
  void add_result() { adds_result_ = true; }
  /// It adds these channels of an input, as an array of their own.
  void add_input(size_t index) { summand_ = index; }

  size_t scratch_bytes() const override { return (summand_ ? 2 : 1) * strip_bytes() + kernel_->scratch_bytes(); }
  std::string implementation() const override { return kernel_->implementation(); }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    state->own = kernel_->make_state();
    return state;
  }

  void run(const RunArgs& args) const override {
    auto& state = *static_cast<State*>(args.state);
    auto* scratch = static_cast<std::byte*>(args.scratch);
    auto* const result = args.output<std::byte>(0);
    auto* const strip = std::exchange(scratch, scratch + strip_bytes());
    state.inputs.assign(args.inputs.begin(), args.inputs.end());
    if (summand_) {
      auto* const summand = std::exchange(scratch, scratch + strip_bytes());
      copy(args.input<std::byte>(*summand_), stride_, summand, width_);
      state.inputs[*summand_] = summand;
    }
    if (adds_result_) copy(result, stride_, strip, width_);
    void* outputs[] = {strip};
    kernel_->run({state.inputs, outputs, scratch, state.own.get()});
    copy(strip, width_, result, stride_);
  }

 private:
  struct State final : KernelState {
    std::unique_ptr<KernelState> own;
    std::vector<const void*> inputs;
  };

  size_t strip_bytes() const { return whole_lines(static_cast<size_t>(pixels_) * width_); }
  void copy(const std::byte* from, size_t from_stride, std::byte* to, size_t to_stride) const {
    for (int64_t i = 0; i < pixels_; ++i, from += from_stride, to += to_stride) std::memcpy(to, from, width_);
  }

  std::unique_ptr<Kernel> kernel_;
  int64_t pixels_;
  size_t width_, stride_;  // bytes of a pixel of the array and of the result
  bool adds_result_ = false;
  std::optional<size_t> summand_;
};

/// The constants of a convolution as it reads them; null: operands 1 and 2 of the call.
struct Constants {
  SharedWeights weight, bias;
};

std::unique_ptr<Kernel> make_kernel_of(const ConvolutionForm& form, const Description& made,
                                       const Constants& constants) {
  using Source = Argument::Source;
  const auto result = to_onednn(form.result);
  std::vector<Argument> arguments{{DNNL_ARG_SRC, to_onednn(form.source), Source::kInput, 0, {}},
                                  {DNNL_ARG_DST, result, Source::kOutput, 0, {}}};
  const auto add_weights = [&](int id, const memory::desc& desc, size_t input, const SharedWeights& known) {
    arguments.push_back({id, desc, known ? Source::kOwned : Source::kInput, input, known});
  };
  add_weights(DNNL_ARG_WEIGHTS, made.weight, 1, constants.weight);
  if (form.has_bias) add_weights(DNNL_ARG_BIAS, bias_of(form), 2, constants.bias);
  add_post_op_arguments(post_ops_of(form), arguments);
  return make_primitive_kernel(made.descriptor->get(), std::move(arguments));
}

/// Makes the slices of the convolution that `whole` is.
class Slicer {
 public:
  Slicer(const Description& whole, const Constants& constants) : whole_(whole), constants_(constants) {}

  /// Nothing where oneDNN would do it in another way.
  std::optional<Slice> make(ConvolutionSlice slice);

 private:
  const Description& describe_like_last(const ConvolutionForm& form, const memory::desc& weight);

  const Description& whole_;
  const Constants& constants_;
  std::optional<ConvolutionForm> last_form_;
  Description last_;  // of that: most often slices are alike
};

const Description& Slicer::describe_like_last(const ConvolutionForm& form, const memory::desc& weight) {
  if (last_form_ != form) last_ = describe(form, weight);
  last_form_ = form;
  return last_;
}

std::optional<Slice> Slicer::make(ConvolutionSlice slice) {
  ConvolutionForm& form = slice.form;
  const bool is_strip = slice.first_channel.has_value();
  if (is_strip && !constants_.weight) return std::nullopt;
  Slice result{nullptr, {slice.source_bytes}, slice.result_bytes};
  const auto sum = std::ranges::find(form.post_ops, PostOp::Kind::kAdd, &PostOp::kind);
  if (sum != form.post_ops.end()) result.move_input(sum->operand, slice.result_bytes);

  std::optional<WeightPart> weight = WeightPart{whole_.weight};
  Constants own = constants_;
  if (is_strip) {
    const int64_t first = *slice.first_channel, bias_bytes = first * static_cast<int64_t>(sizeof(float));
    weight = part_along(whole_.weight, 0, first, form.result.dims[1]);
    if (!weight) return std::nullopt;
    own = {part_of(own.weight, weight->desc, weight->bytes), part_of(own.bias, bias_of(form), bias_bytes)};
    if (form.has_bias && !own.bias) result.move_input(2, bias_bytes);
  }
  const Description& made = describe_like_last(form, weight->desc);
  if (made.implementation() != whole_.implementation()) return std::nullopt;
  result.kernel = make_kernel_of(form, made, own);
  if (!is_strip) return result;
  auto strips = std::make_unique<StripKernel>(std::move(result.kernel), form.result, slice.channels);
  if (sum != form.post_ops.end()) strips->add_input(sum->operand);
  if (std::ranges::find(form.post_ops, PostOp::Kind::kAddInPlace, &PostOp::kind) != form.post_ops.end())
    strips->add_result();
  result.kernel = std::move(strips);
  return result;
}

/// The whole in slices; null where that can't be, or is not worth it.
std::unique_ptr<Kernel> make_in_slices(const ConvolutionForm& form, const Description& whole,
                                       const Constants& constants) {
  const int parts = depends_on_division(whole) ? kAnyThreads : threads_here();
  Slicer slicer(whole, constants);
  std::vector<Slice> slices;
  for (ConvolutionSlice& slice : slices_of(form, parts)) {
    auto made = or_nothing([&] { return slicer.make(std::move(slice)); });
    if (!made) return nullptr;
    slices.push_back(std::move(*made));
  }
  return slices.empty() ? nullptr : make_sliced(std::move(slices));
}

}  // namespace

std::unique_ptr<Kernel> make_convolution(const ConvolutionProblem& problem) {
  if (problem.source.dtype == DataType::kFloat64) return make_convolution_f64(problem);
  return with_onednn([&]() -> std::unique_ptr<Kernel> {
    const ConvolutionForm form = form_of(problem);
    const auto given = to_onednn(form.weight);
    const Description whole = describe(form, any_layout(form.weight));
    const auto sum = std::ranges::find(problem.post_ops, PostOp::Kind::kAdd, &PostOp::kind);
    if (sum != problem.post_ops.end() && adds_wrongly(whole)) {
      ConvolutionProblem in_place = problem;
      in_place.post_ops[static_cast<size_t>(sum - problem.post_ops.begin())] = {PostOp::Kind::kAddInPlace, 0, 0, 0, {}};
      return std::make_unique<AddToCopy>(make_convolution(in_place), sum->operand, problem.result);
    }
    Constants constants;
    if (problem.weight) constants.weight = packed(*problem.weight, given, whole.weight, problem.cache);
    if (problem.bias) constants.bias = packed(*problem.bias, bias_of(form), bias_of(form), nullptr);
    std::unique_ptr<Kernel> kernel = make_in_slices(form, whole, constants);
    if (!kernel) kernel = make_kernel_of(form, whole, constants);
    if (problem.weight || given == whole.weight) return kernel;
    return std::make_unique<RepackingKernel>(given, whole.weight, std::move(kernel));
  });
}

}  // namespace pli::compute
