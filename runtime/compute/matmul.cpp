#include "runtime/compute/matmul.h"

#include "runtime/compute/matmul_f64.h"
#include "runtime/compute/onednn.h"

namespace pli::compute {

using dnnl::memory;

std::unique_ptr<Kernel> make_matmul(const MatMulProblem& problem) {
  if (problem.a.dtype == DataType::kFloat64) return make_matmul_f64(problem);
  return with_onednn([&]() -> std::unique_ptr<Kernel> {
    using Source = Argument::Source;
    const auto a = to_onednn(problem.a);
    const auto b = to_onednn(problem.b);
    const auto result = to_onednn(problem.result);
    memory::dims bias_dims(problem.result.dims.size(), 1);
    bias_dims.back() = problem.result.dims.back();
    const auto bias = problem.has_bias
                          ? memory::desc(bias_dims, memory::data_type::f32, memory::dims(plain_strides(bias_dims)))
                          : memory::desc();

    auto attributes = make_attributes(problem.post_ops, result);
    if (problem.scale != 1) set_scale(attributes, problem.scale);
    const bool pack = problem.b_constant != nullptr;
    const memory::desc wanted =
        pack ? memory::desc(problem.b.dims, memory::data_type::f32, memory::format_tag::any) : b;
    const dnnl::matmul::desc operation =
        problem.has_bias ? dnnl::matmul::desc(a, wanted, bias, result) : dnnl::matmul::desc(a, wanted, result);
    const dnnl::matmul::primitive_desc descriptor(operation, attributes, cpu_engine());

    std::vector<Argument> arguments{{DNNL_ARG_SRC, a, Source::kInput, 0, {}},
                                    {DNNL_ARG_DST, result, Source::kOutput, 0, {}}};
    if (pack)
      arguments.push_back({DNNL_ARG_WEIGHTS, descriptor.weights_desc(), Source::kOwned, 1,
                           packed(*problem.b_constant, b, descriptor.weights_desc(), problem.cache)});
    else
      arguments.push_back({DNNL_ARG_WEIGHTS, b, Source::kInput, 1, {}});
    if (problem.has_bias) arguments.push_back({DNNL_ARG_BIAS, bias, Source::kInput, problem.bias_operand, {}});
    add_post_op_arguments(problem.post_ops, result, arguments);
    return make_primitive_kernel(dnnl::matmul(descriptor), descriptor.get(), std::move(arguments));
  });
}

}  // namespace pli::compute
