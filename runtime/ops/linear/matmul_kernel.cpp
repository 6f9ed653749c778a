#include "runtime/ops/linear/matmul.h"

#include "runtime/compute/matmul.h"
#include "runtime/ops/linear/post_ops.h"

namespace pli::ops {

namespace {

using compute::PostOp;

TensorDesc transposed(TensorDesc desc) {
  std::swap(desc.dims[desc.dims.size() - 2], desc.dims.back());
  std::swap(desc.strides[desc.strides.size() - 2], desc.strides.back());
  return desc;
}

/// A row-major tensor with dimensions of size 1 in front until it has `rank` of them.
TensorDesc widened(const TensorDesc& desc, size_t rank) {
  PerAxis dims(rank - desc.dims.size(), 1);
  dims.insert(dims.end(), desc.dims.begin(), desc.dims.end());
  return compute::plain(desc.dtype, std::move(dims));
}

bool is_row(const TensorDesc& desc, int64_t columns) {
  return !desc.dims.empty() && desc.dims.back() == columns && desc.size() == columns;
}

/// An empty inner dimension makes sums of nothing, which oneDNN does not compute: a column of zeros times a row of
/// them.
class EmptySums final : public Kernel {
 public:
  explicit EmptySums(compute::MatMulProblem problem) {
    problem.a.dims.back() = 1;
    *(problem.b.dims.end() - 2) = 1;
    problem.a = compute::plain(problem.a.dtype, problem.a.dims);
    problem.b = compute::plain(problem.b.dtype, problem.b.dims);
    problem.b_constant = nullptr;
    zeros_.resize(static_cast<size_t>(std::max(problem.a.size(), problem.b.size())), 0.0f);
    product_ = compute::make_matmul(problem);
  }

  size_t scratch_bytes() const override { return product_->scratch_bytes(); }
  std::string implementation() const override { return product_->implementation(); }
  std::unique_ptr<compute::KernelState> make_state() const override { return product_->make_state(); }

  void run(const compute::RunArgs& args) const override {
    std::vector<const void*> inputs(args.inputs.begin(), args.inputs.end());
    inputs[0] = inputs[1] = zeros_.data();
    product_->run({inputs, args.outputs, args.scratch, args.state});
  }

 private:
  std::vector<float> zeros_;
  std::unique_ptr<Kernel> product_;
};

std::unique_ptr<Kernel> make(const compute::MatMulProblem& problem) {
  if (problem.result.size() == 0) return compute::make_kernel([](const compute::RunArgs&) {});
  if (problem.a.dims.back() == 0 && problem.a.dtype != DataType::kFloat64) return std::make_unique<EmptySums>(problem);
  return compute::make_matmul(problem);
}

/// Multiplies the kernel's input 2 by beta before the product is made.
template <class T>
class ScaledC final : public Kernel {
 public:
  ScaledC(std::unique_ptr<Kernel> product, int64_t size, float beta)
      : product_(std::move(product)), size_(size), beta_(beta) {}

  size_t scratch_bytes() const override { return own_bytes() + product_->scratch_bytes(); }
  std::string implementation() const override { return product_->implementation(); }
  std::unique_ptr<compute::KernelState> make_state() const override { return product_->make_state(); }

  void run(const compute::RunArgs& args) const override {
    const T* c = args.input<T>(2);
    auto* scaled = static_cast<T*>(args.scratch);
    for (int64_t i = 0; i < size_; ++i) scaled[i] = static_cast<T>(beta_) * c[i];
    const void* inputs[] = {args.inputs[0], args.inputs[1], scaled};
    product_->run({inputs, args.outputs, static_cast<std::byte*>(args.scratch) + own_bytes(), args.state});
  }

 private:
  size_t own_bytes() const { return (static_cast<size_t>(size_) * sizeof(T) + 63) / 64 * 64; }

  std::unique_ptr<Kernel> product_;
  int64_t size_;
  float beta_;
};

}  // namespace

std::unique_ptr<Kernel> prepare_gemm(const PrepareContext& context) {
  const GemmView view = GemmView::of(context.graph, context.node);
  compute::MatMulProblem problem;
  problem.a = view.trans_a ? transposed(context.inputs[0]) : context.inputs[0];
  problem.b = view.trans_b ? transposed(context.inputs[1]) : context.inputs[1];
  problem.b_constant = context.constant(1);
  problem.result = context.outputs[0];
  problem.cache = context.weights;
  problem.most_scratch_bytes = context.limits.arena_bytes;
  problem.scale = view.alpha;
  problem.post_ops = to_post_ops(context);
  if (!view.c || view.beta == 0) return make(problem);
  const TensorDesc& c = context.inputs[2];
  if (view.alpha == 1 && view.beta == 1 && is_row(c, problem.result.dims.back())) {
    problem.has_bias = true;
    return make(problem);
  }
  problem.post_ops.insert(problem.post_ops.begin(), {PostOp::Kind::kAdd, 0, 0, 2, widened(c, 2)});
  if (view.beta == 1) return make(problem);
  if (c.dtype == DataType::kFloat64) return std::make_unique<ScaledC<double>>(make(problem), c.size(), view.beta);
  return std::make_unique<ScaledC<float>>(make(problem), c.size(), view.beta);
}

std::unique_ptr<Kernel> prepare_matmul(const PrepareContext& context) {
  const TensorDesc& a = context.inputs[0];
  const TensorDesc& b = context.inputs[1];
  compute::MatMulProblem problem;
  problem.b_constant = context.constant(1);
  problem.cache = context.weights;
  problem.most_scratch_bytes = context.limits.arena_bytes;
  const int64_t inner = a.dims.back();
  const int64_t columns = b.rank() == 1 ? 1 : b.dims.back();
  if (b.rank() <= 2) {
    // One product of all rows of a: batch dimensions of a are rows like others.
    const int64_t rows = inner == 0 ? context.outputs[0].size() / std::max<int64_t>(columns, 1) : a.size() / inner;
    problem.a = compute::plain(a.dtype, {rows, inner});
    problem.b = compute::plain(b.dtype, {inner, columns});
    problem.result = compute::plain(a.dtype, {rows, columns});
  } else {
    const auto rank = static_cast<size_t>(std::max<int64_t>(b.rank(), a.rank()));
    problem.a = widened(a, rank);
    problem.b = widened(b, rank);
    PerAxis dims = context.outputs[0].dims;
    if (a.rank() == 1) dims.insert(dims.end() - 1, 1);
    problem.result = widened(compute::plain(a.dtype, dims), rank);
  }
  PrepareContext rest = context;
  if (!rest.epilogues.empty() && rest.epilogues[0].kind == Epilogue::Kind::kAddRow) {
    problem.has_bias = true;
    problem.bias_operand = rest.epilogues[0].operand;
    rest.epilogues.erase(rest.epilogues.begin());
  }
  problem.post_ops = to_post_ops(rest);
  return make(problem);
}

}  // namespace pli::ops
