#include "runtime/compute/convolution.h"

#include "runtime/compute/convolution_f64.h"
#include "runtime/compute/convolution_form.h"
#include "runtime/compute/copy.h"
#include "runtime/compute/direct_convolution.h"
#include "runtime/compute/grouped_convolution.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/sliced.h"
#include "runtime/compute/winograd.h"

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

  std::string implementation() const { return descriptor->impl_info_str(); }
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
  const auto make = [&]<class Primitive>(Primitive, dnnl::algorithm algorithm) {
    auto descriptor = std::make_shared<typename Primitive::primitive_desc>(
        compute::describe<Primitive>(attributes, prop_kind::forward_inference, algorithm, source, weight,
                                     form.has_bias ? bias_of(form) : memory::desc(), result, form.strides,
                                     form.dilations, form.pads_begin, form.pads_end));
    const auto packed_weight = descriptor->weights_desc();
    return Description{descriptor, packed_weight};
  };
  if (form.transposed) return make(dnnl::deconvolution_forward(), dnnl::algorithm::deconvolution_direct);
  return make(dnnl::convolution_forward(), dnnl::algorithm::convolution_direct);
}

/// Brings an operand into the layout that the convolution wants, then convolves.
class PreparingKernel final : public Kernel {
 public:
  /// `preparation` writes what the convolution reads as its input `operand`, so many bytes.
  PreparingKernel(std::unique_ptr<Kernel> preparation, size_t operand, size_t bytes,
                  std::unique_ptr<Kernel> convolution)
      : preparation_(std::move(preparation)),
        convolution_(std::move(convolution)),
        operand_(operand),
        bytes_(whole_lines(bytes)) {}

  size_t scratch_bytes() const override {
    return bytes_ + std::max(convolution_->scratch_bytes(), preparation_->scratch_bytes());
  }
  std::string implementation() const override { return convolution_->implementation(); }

  std::unique_ptr<KernelState> make_state() const override {
    auto state = std::make_unique<State>();
    state->preparation = preparation_->make_state();
    state->convolution = convolution_->make_state();
    return state;
  }

  void run(const RunArgs& args) const override {
    auto& state = *static_cast<State*>(args.state);
    void* prepared = args.scratch;
    void* scratch = static_cast<std::byte*>(args.scratch) + bytes_;
    preparation_->run({args.inputs, {&prepared, 1}, scratch, state.preparation.get()});
    state.inputs.assign(args.inputs.begin(), args.inputs.end());
    state.inputs[operand_] = prepared;
    convolution_->run({state.inputs, args.outputs, scratch, state.convolution.get()});
  }

 private:
  struct State final : KernelState {
    std::unique_ptr<KernelState> preparation, convolution;
    std::vector<const void*> inputs;
  };

  std::unique_ptr<Kernel> preparation_, convolution_;
  size_t operand_, bytes_;
};

/// Brings a weight that is only known at run time into another layout.
std::unique_ptr<Kernel> make_repacking(const memory::desc& given, const memory::desc& wanted) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc descriptor(cpu_engine(), given, cpu_engine(), wanted, attributes);
  return make_primitive_kernel(descriptor, {{DNNL_ARG_FROM, given, Argument::Source::kInput, 1, {}},
                                            {DNNL_ARG_TO, wanted, Argument::Source::kOutput, 0, {}}});
}

/// oneDNN's convolutions by plain matrix products read the operand of a sum as if it were one number a channel
/// (2.6.3, channels-last). Those that add to what the result holds are right.
bool adds_wrongly(const Description& made) {
  const std::string implementation = made.implementation();
  return implementation.find("gemm") != std::string::npos || implementation.find("ref") != std::string::npos;
}

/// Whether a part of a convolution may be rounded otherwise than that part of the whole, so that into how many parts it
/// is divided must not depend on the threads.
bool depends_on_division(const Description& made) {
  const std::string implementation = made.implementation();
  return implementation.find("gemm") != std::string::npos || implementation.starts_with("brg_conv");  // oneDNN 3
}
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
  return make_primitive_kernel(*made.descriptor, std::move(arguments));
}

/// Makes the slices of the convolution that `whole` is.
class Slicer {
 public:
  Slicer(const Description& whole, const Constants& constants) : whole_(whole), constants_(constants) {}

  /// Nothing where oneDNN would do it in another way.
  std::optional<Slice> make(const ConvolutionSlice& slice);

 private:
  const Description& whole_;
  const Constants& constants_;
  std::optional<ConvolutionForm> last_form_;
  Description last_;  // of that: most often slices are alike
};

std::optional<Slice> Slicer::make(const ConvolutionSlice& slice) {
  Slice result{nullptr, {slice.source_bytes}, slice.result_bytes};
  const auto sum = std::ranges::find(slice.form.post_ops, PostOp::Kind::kAdd, &PostOp::kind);
  if (sum != slice.form.post_ops.end()) result.move_input(sum->operand, slice.result_bytes);
  if (last_form_ != slice.form) last_ = describe(slice.form, whole_.weight);
  last_form_ = slice.form;
  if (last_.implementation() != whole_.implementation()) return std::nullopt;
  result.kernel = make_kernel_of(slice.form, last_, constants_);
  return result;
}

/// The whole in slices; null where that can't be, or is not worth it.
std::unique_ptr<Kernel> make_in_slices(const ConvolutionForm& form, const Description& whole,
                                       const Constants& constants) {
  const int parts = depends_on_division(whole) ? kAnyThreads : threads_here();
  Slicer slicer(whole, constants);
  std::vector<Slice> slices;
  for (const ConvolutionSlice& slice : slices_of(form, parts)) {
    auto made = or_nothing([&] { return slicer.make(slice); });
    if (!made) return nullptr;
    slices.push_back(std::move(*made));
  }
  return slices.empty() ? nullptr : make_sliced(std::move(slices));
}

/// By a kernel of ours; null where there is none for it.
std::unique_ptr<Kernel> make_own(const ConvolutionProblem& problem, const ConvolutionForm& form) {
  if (!problem.weight || problem.transposed) return nullptr;
  if (!is_channels_last(problem.source) && !pixel_step(problem.source)) return nullptr;
  const KnownConvolution known{form, problem.weight, problem.bias, 2, problem.cache};
  if (auto kernel = make_grouped_convolution(known)) return kernel;
  if (!problem.exact)
    if (auto kernel = make_winograd_convolution(known, problem.most_scratch_bytes)) return kernel;
  return make_direct_convolution(known);
}

}  // namespace

std::unique_ptr<Kernel> make_convolution(const ConvolutionProblem& problem) {
  if (problem.source.dtype == DataType::kFloat64) return make_convolution_f64(problem);
  return with_onednn([&]() -> std::unique_ptr<Kernel> {
    const ConvolutionForm form = form_of(problem);
    if (auto own = make_own(problem, form)) return own;
    if (!is_channels_last(problem.result)) fail(ErrorCode::kInternal, "no kernel gives an image of this layout");
    if (!is_channels_last(problem.source)) {
      ConvolutionProblem dense = problem;
      dense.source = channels_last(DataType::kFloat32, problem.source.dims);
      const auto bytes = static_cast<size_t>(span_bytes(dense.source));
      return std::make_unique<PreparingKernel>(make_copy(problem.source, dense.source), 0, bytes,
                                               make_convolution(dense));
    }
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
    if (problem.bias) constants.bias = packed_bias(*problem.bias);
    std::unique_ptr<Kernel> kernel = make_in_slices(form, whole, constants);
    if (!kernel) kernel = make_kernel_of(form, whole, constants);
    if (problem.weight || given == whole.weight) return kernel;
    return std::make_unique<PreparingKernel>(make_repacking(given, whole.weight), 1, whole.weight.get_size(),
                                             std::move(kernel));
  });
}

}  // namespace pli::compute
