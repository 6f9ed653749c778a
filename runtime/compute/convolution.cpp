#include "runtime/compute/convolution.h"

#include "runtime/compute/convolution_f64.h"
#include "runtime/compute/onednn.h"

#include <algorithm>
#include <cstring>

namespace pli::compute {

using dnnl::memory;
using dnnl::prop_kind;

namespace {

/// oneDNN's form of the problem: 1-D as 2-D, weights with an explicit group dimension where there is more than one
/// group.
struct Form {
  TensorDesc source, result, weight;
  memory::dims strides, dilations, pads_begin, pads_end;
};

/// The weight's elements as oneDNN orders them, [groups,] M / groups, C / groups, kernel: strides over ONNX's row-major
/// array.
TensorDesc weight_form(const ConvolutionProblem& problem) {
  const auto row_major = plain_strides(problem.weight_dims);
  Shape kernel(problem.weight_dims.begin() + 2, problem.weight_dims.end());
  std::vector<int64_t> kernel_strides(row_major.begin() + 2, row_major.end());
  if (kernel.size() == 1) {
    kernel.insert(kernel.begin(), 1);
    kernel_strides.insert(kernel_strides.begin(), kernel.back());
  }
  const int64_t groups = problem.groups;
  const int64_t first = problem.weight_dims[0] / groups;
  const int64_t second = problem.weight_dims[1];
  TensorDesc desc{DataType::kFloat32, {}, {}};
  if (groups > 1) {
    desc.dims.push_back(groups);
    desc.strides.push_back(first * row_major[0]);
  }
  const auto put = [&](int64_t dim, int64_t stride) {
    desc.dims.push_back(dim);
    desc.strides.push_back(stride);
  };
  if (problem.transposed) {
    put(second, row_major[1]);
    put(first, row_major[0]);
  } else {
    put(first, row_major[0]);
    put(second, row_major[1]);
  }
  desc.dims.insert(desc.dims.end(), kernel.begin(), kernel.end());
  desc.strides.insert(desc.strides.end(), kernel_strides.begin(), kernel_strides.end());
  return desc;
}

Form form_of(const ConvolutionProblem& problem) {
  Form form{problem.source,    problem.result,     weight_form(problem), problem.strides,
            problem.dilations, problem.pads_begin, problem.pads_end};
  if (problem.strides.size() == 1) {
    form.source = with_height(form.source);
    form.result = with_height(form.result);
    form.strides.insert(form.strides.begin(), 1);
    form.dilations.insert(form.dilations.begin(), 1);
    form.pads_begin.insert(form.pads_begin.begin(), 0);
    form.pads_end.insert(form.pads_end.begin(), 0);
  }
  for (int64_t& dilation : form.dilations) --dilation;  // oneDNN counts the gap
  return form;
}

memory::desc any_layout(const TensorDesc& desc) { return {desc.dims, memory::data_type::f32, memory::format_tag::any}; }

struct Primitive {
  dnnl::primitive primitive;
  std::shared_ptr<const dnnl::primitive_desc_base> descriptor;
  memory::desc weight;
};

Primitive make_primitive(const ConvolutionProblem& problem, const Form& form, const dnnl::primitive_attr& attributes) {
  const auto source = to_onednn(form.source);
  const auto result = to_onednn(form.result);
  const auto weight = any_layout(form.weight);
  const auto bias = problem.has_bias
                        ? memory::desc({form.result.dims[1]}, memory::data_type::f32, memory::format_tag::x)
                        : memory::desc();
  const auto make = [&]<class Algorithm>(Algorithm, dnnl::algorithm algorithm) {
    const typename Algorithm::desc operation(prop_kind::forward_inference, algorithm, source, weight, bias, result,
                                             form.strides, form.dilations, form.pads_begin, form.pads_end);
    auto descriptor = std::make_shared<typename Algorithm::primitive_desc>(operation, attributes, cpu_engine());
    const auto packed_weight = descriptor->weights_desc();
    return Primitive{Algorithm(*descriptor), descriptor, packed_weight};
  };
  if (problem.transposed) return make(dnnl::deconvolution_forward(), dnnl::algorithm::deconvolution_direct);
  return make(dnnl::convolution_forward(), dnnl::algorithm::convolution_direct);
}

/// Brings a weight that is only known at run time into the layout that the convolution wants, then convolves.
class RepackingKernel final : public Kernel {
 public:
  RepackingKernel(const memory::desc& given, const memory::desc& wanted, std::unique_ptr<Kernel> convolution)
      : convolution_(std::move(convolution)), weight_bytes_(round_up(wanted.get_size())) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc descriptor(cpu_engine(), given, cpu_engine(), wanted, attributes);
    reorder_ = make_primitive_kernel(dnnl::reorder(descriptor), descriptor.get(),
                                     {{DNNL_ARG_FROM, given, Argument::Source::kInput, 1, {}},
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
  static size_t round_up(size_t bytes) { return (bytes + 63) / 64 * 64; }

  std::unique_ptr<Kernel> reorder_, convolution_;
  size_t weight_bytes_;
};

/// oneDNN's convolutions by plain matrix products read the operand of a sum as if it were one number a channel
/// (2.6.3, channels-last). Those that add to what the result holds are right.
bool adds_wrongly(const Primitive& made) {
  const std::string implementation = implementation_of(made.descriptor->get());
  return implementation.find("gemm") != std::string::npos || implementation.find("ref") != std::string::npos;
}

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

}  // namespace

std::unique_ptr<Kernel> make_convolution(const ConvolutionProblem& problem) {
  if (problem.source.dtype == DataType::kFloat64) return make_convolution_f64(problem);
  return with_onednn([&]() -> std::unique_ptr<Kernel> {
    using Source = Argument::Source;
    const Form form = form_of(problem);
    const auto source = to_onednn(form.source);
    const auto result = to_onednn(form.result);
    const auto given = to_onednn(form.weight);
    Primitive made = make_primitive(problem, form, make_attributes(problem.post_ops, result));
    const auto sum = std::ranges::find(problem.post_ops, PostOp::Kind::kAdd, &PostOp::kind);
    if (sum != problem.post_ops.end() && adds_wrongly(made)) {
      ConvolutionProblem in_place = problem;
      in_place.post_ops[static_cast<size_t>(sum - problem.post_ops.begin())] = {PostOp::Kind::kAddInPlace, 0, 0, 0, {}};
      return std::make_unique<AddToCopy>(make_convolution(in_place), sum->operand, problem.result);
    }

    std::vector<Argument> arguments{{DNNL_ARG_SRC, source, Source::kInput, 0, {}},
                                    {DNNL_ARG_DST, result, Source::kOutput, 0, {}}};
    if (problem.weight)
      arguments.push_back({DNNL_ARG_WEIGHTS, made.weight, Source::kOwned, 0,
                           packed(*problem.weight, given, made.weight, problem.cache)});
    else
      arguments.push_back({DNNL_ARG_WEIGHTS, made.weight, Source::kInput, 1, {}});
    if (problem.has_bias) {
      const memory::desc bias({form.result.dims[1]}, memory::data_type::f32, memory::format_tag::x);
      if (problem.bias)
        arguments.push_back({DNNL_ARG_BIAS, bias, Source::kOwned, 0, packed(*problem.bias, bias, bias, nullptr)});
      else
        arguments.push_back({DNNL_ARG_BIAS, bias, Source::kInput, 2, {}});
    }
    add_post_op_arguments(problem.post_ops, result, arguments);
    auto kernel = make_primitive_kernel(std::move(made.primitive), made.descriptor->get(), std::move(arguments));
    if (problem.weight || given == made.weight) return kernel;
    return std::make_unique<RepackingKernel>(given, made.weight, std::move(kernel));
  });
}

}  // namespace pli::compute
