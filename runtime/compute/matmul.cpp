#include "runtime/compute/matmul.h"

#include "runtime/compute/batched_product.h"
#include "runtime/compute/direct_convolution.h"
#include "runtime/compute/matmul_f64.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/sliced.h"
#include "runtime/core/checked.h"

namespace pli::compute {

using dnnl::memory;

namespace {

using Description = dnnl::matmul::primitive_desc;

/// What oneDNN would do, before it generates any code for it. `b`: its layout, or any.
Description describe(const MatMulProblem& problem, const memory::desc& b) {
  const auto a = to_onednn(problem.a), result = to_onednn(problem.result);
  const dnnl::primitive_attr attributes = make_attributes(problem.post_ops);
  if (!problem.has_bias) return compute::describe<dnnl::matmul>(attributes, a, b, result);
  memory::dims bias_dims(problem.result.dims.size(), 1);
  bias_dims.back() = problem.result.dims.back();
  const memory::desc bias(bias_dims, memory::data_type::f32, memory::dims(plain_strides(bias_dims)));
  return compute::describe<dnnl::matmul>(attributes, a, b, bias, result);
}

/// `b`: null where it is read at each call.
std::unique_ptr<Kernel> make_kernel_of(const MatMulProblem& problem, const Description& made, const SharedWeights& b) {
  using Source = Argument::Source;
  std::vector<Argument> arguments{{DNNL_ARG_SRC, to_onednn(problem.a), Source::kInput, 0, {}},
                                  {DNNL_ARG_DST, to_onednn(problem.result), Source::kOutput, 0, {}},
                                  {DNNL_ARG_WEIGHTS, made.weights_desc(), b ? Source::kOwned : Source::kInput, 1, b}};
  if (problem.has_bias)
    arguments.push_back({DNNL_ARG_BIAS, made.bias_desc(), Source::kInput, problem.bias_operand, {}});
  add_post_op_arguments(problem.post_ops, arguments);
  return make_primitive_kernel(made, std::move(arguments));
}

// --- slices ----------------------------------------------------------------------------------------------------------

/// The axis of the result along which a product is divided, and into how many parts.
struct Division {
  size_t axis = 0;
  int64_t parts = 1, block = 1;
};

/// However many threads there are: a part may be rounded otherwise than that part of the whole.
Division division_of(const MatMulProblem& problem) {
  constexpr int64_t kLeastWork = 1 << 18;  // multiply-adds that are worth a part
  constexpr int64_t kMostParts = 4, kLeastRows = 32, kLeastColumns = 128, kColumns = 16;
  const PerAxis& dims = problem.result.dims;
  const auto work = checked_mul(problem.result.size(), problem.a.dims.back());
  if (work && *work < kLeastWork) return {};
  size_t axis = 0;  // the outermost that there is more than one of
  while (axis + 2 < dims.size() && dims[axis] == 1) ++axis;
  const size_t rows = dims.size() - 2;
  if (axis < rows) return {axis, std::min(kMostParts, dims[axis])};
  // Each part orders the other factor for itself, of which there should be the less.
  const bool adds =
      std::ranges::any_of(problem.post_ops, [](const PostOp& op) { return op.kind == PostOp::Kind::kAdd; });
  const bool may_divide_columns = dims[rows] == 1 || !adds;  // oneDNN has no good kernel for the others
  if (dims[rows] >= 2 * kLeastRows && (dims[rows] >= dims.back() || !may_divide_columns))
    return {rows, std::min(kMostParts, dims[rows] / kLeastRows)};
  if (!may_divide_columns) return {};
  return {rows + 1, std::min(kMostParts, dims.back() / kLeastColumns), kColumns};
}

/// [begin, end) along an axis of what is not broadcast there. By how many bytes it is moved.
int64_t narrow(TensorDesc& desc, size_t axis, Range range) {
  if (desc.dims[axis] == 1) return 0;
  desc.dims[axis] = range.size();
  return range.begin * desc.strides[axis] * static_cast<int64_t>(sizeof(float));
}

/// One part of the product that `whole` is. Nothing where oneDNN would do it in another way.
std::optional<Slice> make_slice(MatMulProblem problem, size_t axis, Range range, const Description& whole,
                                const SharedWeights& b) {
  Slice slice;
  const size_t columns = problem.result.dims.size() - 1;
  slice.output_bytes = narrow(problem.result, axis, range);
  if (axis != columns) slice.move_input(0, narrow(problem.a, axis, range));
  WeightPart part{whole.weights_desc()};
  if (axis + 1 != columns) {  // rows read all of b
    if (b && problem.b.dims[axis] != 1) {
      const auto found = part_along(part.desc, axis, range.begin, range.size());
      if (!found) return std::nullopt;
      part = *found;
    }
    const int64_t bytes = narrow(problem.b, axis, range);
    if (!b) {
      part.desc = to_onednn(problem.b);
      slice.move_input(1, bytes);
    }
  }
  if (problem.has_bias && axis == columns)
    slice.move_input(problem.bias_operand, range.begin * static_cast<int64_t>(sizeof(float)));
  for (PostOp& op : problem.post_ops)
    if (op.kind == PostOp::Kind::kAdd) slice.move_input(op.operand, narrow(op.description, axis, range));
  const Description made = describe(problem, part.desc);
  if (std::string_view(made.impl_info_str()) != whole.impl_info_str()) return std::nullopt;
  slice.kernel = make_kernel_of(problem, made, part_of(b, part));
  return slice;
}

/// The whole in slices; null where that can't be, or is not worth it.
std::unique_ptr<Kernel> make_in_slices(const MatMulProblem& problem, const Description& whole, const SharedWeights& b) {
  const Division division = division_of(problem);
  std::vector<Slice> slices;
  for (int64_t i = 0; division.parts > 1 && i < division.parts; ++i) {
    const Range range = range_of_part(problem.result.dims[division.axis], i, division.parts, division.block);
    auto slice = or_nothing([&] { return make_slice(problem, division.axis, range, whole, b); });
    if (!slice) return nullptr;
    slices.push_back(std::move(*slice));
  }
  return slices.empty() ? nullptr : make_sliced(std::move(slices));
}

/// A matrix times known weights is a convolution of a row of pixels. Null where it is none, or we have no kernel for
/// it.
std::unique_ptr<Kernel> make_own(const MatMulProblem& problem) {
  if (!problem.b_constant || problem.b.rank() != 2) return nullptr;
  if (!is_plain(problem.a) || !is_plain(problem.result)) return nullptr;
  const int64_t rows = problem.a.dims[0], depth = problem.a.dims[1], columns = problem.b.dims[1];
  const auto pixels = [&](int64_t channels) { return channels_last(DataType::kFloat32, {1, channels, 1, rows}); };
  KnownConvolution known;
  known.form.source = pixels(depth);
  known.form.result = pixels(columns);
  known.form.weight = {DataType::kFloat32, {columns, depth, 1, 1}, {problem.b.strides[1], problem.b.strides[0], 1, 1}};
  known.form.strides = {1, 1};
  known.form.dilations = known.form.pads_begin = known.form.pads_end = {0, 0};
  known.form.has_bias = problem.has_bias;
  known.form.post_ops = problem.post_ops;
  known.weight = problem.b_constant;
  known.bias_operand = problem.bias_operand;
  known.cache = problem.cache;
  return make_direct_convolution(known);
}

/// What is added lies as the result does, as kernels of ours want it.
bool adds_what_lies_alike(const MatMulProblem& problem) {
  return std::ranges::none_of(problem.post_ops, [&](const PostOp& op) {
    return op.kind == PostOp::Kind::kAdd && !(op.description.dims == problem.result.dims && is_plain(op.description));
  });
}

/// oneDNN computes two functions of one kind in one step with the numbers of the first (2.6.3).
bool repeats_a_function(const PostOps& ops) {
  return std::ranges::any_of(ops, [&](const PostOp& op) {
    return op.kind != PostOp::Kind::kAdd && std::ranges::count(ops, op.kind, &PostOp::kind) > 1;
  });
}

}  // namespace

std::unique_ptr<Kernel> make_matmul(const MatMulProblem& given_problem) {
  if (given_problem.a.dtype == DataType::kFloat64) return make_matmul_f64(given_problem);
  MatMulProblem problem = given_problem;
  if (const float scale = std::exchange(problem.scale, 1.0f); scale != 1)
    problem.post_ops.insert(problem.post_ops.begin(), {PostOp::Kind::kLinear, scale, 0, 0, {}});
  return with_onednn([&]() -> std::unique_ptr<Kernel> {
    if (adds_what_lies_alike(problem)) {
      if (auto own = make_own(problem)) return own;
      if (auto own = make_batched_product(problem, repeats_a_function(problem.post_ops))) return own;
    }
    const auto given = to_onednn(problem.b);
    const Description whole = describe(
        problem,
        problem.b_constant ? memory::desc(problem.b.dims, memory::data_type::f32, memory::format_tag::any) : given);
    SharedWeights b;
    if (problem.b_constant) b = packed(*problem.b_constant, given, whole.weights_desc(), problem.cache);
    std::unique_ptr<Kernel> kernel = make_in_slices(problem, whole, b);
    return kernel ? std::move(kernel) : make_kernel_of(problem, whole, b);
  });
}

}  // namespace pli::compute
