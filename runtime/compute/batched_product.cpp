#include "runtime/compute/batched_product.h"

#include "runtime/compute/elementwise.h"
#include "runtime/compute/epilogue.h"
#include "runtime/compute/loops.h"
#include "runtime/compute/panel_packing.h"
#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/sliced.h"

#include <algorithm>

// First every matrix of the right factor is packed into panels, and of the left one where its rows do not lie in memory
// one number after the other; then blocks of rows are tasks. Sizes are numbers here and nothing is generated for them,
// so that a kernel costs a microsecond.

namespace pli::compute {

namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kMostRows = 240;  // of a block
constexpr int64_t kMostPacked = int64_t{64} << 20;

/// The matrices of a factor: so many, `size` elements each, one after the other.
struct Matrices {
  explicit Matrices(const TensorDesc& desc)
      : rows(desc.dims[desc.dims.size() - 2]),
        columns(desc.dims.back()),
        row_stride(desc.strides[desc.strides.size() - 2]),
        column_stride(desc.strides.back()),
        size(rows * columns),
        count(desc.size() / std::max<int64_t>(size, 1)) {}

  int64_t rows, columns, row_stride, column_stride, size, count;
};

/// Which matrix of `a` (in) and of `b` (out) each matrix of the result is made of.
std::vector<Loop> batches_of(const MatMulProblem& problem) {
  std::vector<Loop> loops;
  int64_t a = 1, b = 1;
  for (size_t i = problem.result.dims.size() - 2; i-- > 0;) {
    const int64_t of_a = problem.a.dims[i], of_b = problem.b.dims[i];
    loops.insert(loops.begin(), {problem.result.dims[i], of_a == 1 ? 0 : a, of_b == 1 ? 0 : b});
    a *= of_a;
    b *= of_b;
  }
  return loops;
}

class BatchedProduct final : public Kernel {
 public:
  BatchedProduct(const MatMulProblem& problem, Epilogue epilogue)
      : a_(problem.a), b_(problem.b), batches_(batches_of(problem)), epilogue_(std::move(epilogue)) {
    if (problem.has_bias) bias_operand_ = problem.bias_operand;
    panels_ = parts_of(b_.columns, kPanelColumns);
    divide(threads_here());
  }

  size_t scratch_bytes() const override { return b_bytes() + (packs_a() ? bytes_of(a_.count * a_.size) : 0); }
  std::string implementation() const override { return "product"; }

  void run(const RunArgs& args) const override {
    auto* const panels = static_cast<float*>(args.scratch);
    pack_b(args.input<float>(1), panels);
    const float* a = args.input<float>(0);
    if (packs_a()) a = packed_a(a, panels + b_bytes() / sizeof(float));
    parallel_tasks(size_of(batches_) * blocks_ * parts_, [&](int64_t i) {
      const int64_t batch = i / (blocks_ * parts_);
      multiply_block(args, a, panels, batch, range_of_part(a_.rows, i / parts_ % blocks_, blocks_),
                     range_of_part(b_.columns, i % parts_, parts_, kPanelColumns));
    });
  }

 private:
  static size_t bytes_of(int64_t elements) { return whole_lines(static_cast<size_t>(elements * kFloatBytes)); }

  int64_t panel_size() const { return b_.rows * kPanelColumns; }
  size_t b_bytes() const { return bytes_of(b_.count * panels_ * panel_size()); }
  bool packs_a() const { return a_.column_stride != 1; }
  int64_t a_stride() const { return packs_a() ? a_.columns : a_.row_stride; }

  void divide(int threads) {
    constexpr int64_t kLeastWork = 1 << 17;  // multiply-adds that are worth a task
    constexpr int64_t kTasksForEach = 4, kFewRows = 48;
    blocks_ = parts_of(a_.rows, kMostRows);
    if (threads == 1) return;
    const int64_t batches = size_of(batches_);
    const double work = static_cast<double>(batches * a_.rows) * static_cast<double>(b_.size);
    const int64_t wanted = std::min(kTasksForEach * threads, static_cast<int64_t>(std::min(work / kLeastWork, 1e6)));
    const auto missing = [&] { return parts_of(wanted, batches * blocks_); };
    if (missing() > 1) blocks_ = std::clamp(blocks_ * missing(), blocks_, parts_of(a_.rows, kFewRows));
    if (missing() > 1) parts_ = std::min(missing(), parts_of(panels_, 2));
  }

  void pack_b(const float* from, float* to) const {
    const TensorDesc filters{
        DataType::kFloat32, {b_.count, b_.columns, b_.rows}, {b_.size, b_.column_stride, b_.row_stride}};
    pack_panels(from, filters, true, to);
  }

  const float* packed_a(const float* from, float* to) const {
    parallel_for(a_.count * a_.rows, grain_of(a_.columns, kLightGrain), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* const row = from + i / a_.rows * a_.size + i % a_.rows * a_.row_stride;
        for (int64_t k = 0; k < a_.columns; ++k) to[i * a_.columns + k] = row[k * a_.column_stride];
      }
    });
    return to;
  }

  void multiply_block(const RunArgs& args, const float* a, const float* panels, int64_t batch, Range rows,
                      Range columns) const {
    if (rows.size() == 0 || columns.size() == 0) return;
    const Offsets matrices = offsets_of(batches_, batch);
    const float* pointers[kMostRows];
    for (int64_t i = 0; i < rows.size(); ++i) pointers[i] = a + matrices.in * a_.size + (rows.begin + i) * a_stride();
    const int64_t first = (batch * a_.rows + rows.begin) * b_.columns + columns.begin;
    Finish finish = epilogue_.finish(args);
    if (bias_operand_) finish.bias = args.input<float>(*bias_operand_) + columns.begin;
    if (finish.summand) finish.summand += first;
    PanelProduct product;
    product.rows = pointers;
    product.count = rows.size();
    product.depth = b_.rows;
    product.panels = panels + (matrices.out * panels_ + columns.begin / kPanelColumns) * panel_size();
    product.columns = columns.size();
    product.result = args.output<float>(0) + first;
    product.stride = b_.columns;
    product.finish = finish;
    multiply(product);
    epilogue_.apply(args, product.result, first, rows.size(), columns.size(), b_.columns);
  }

  Matrices a_, b_;
  std::vector<Loop> batches_;
  Epilogue epilogue_;
  std::optional<size_t> bias_operand_;
  int64_t panels_ = 0;              // of a matrix of b
  int64_t blocks_ = 1, parts_ = 1;  // of the rows and of the columns of a matrix of the result
};

}  // namespace

std::unique_ptr<Kernel> make_batched_product(const MatMulProblem& problem, bool whatever_it_costs) {
  constexpr int64_t kFewRows = 16, kFewColumns = 8;
  const Matrices a(problem.a), b(problem.b);
  if (problem.b_constant || problem.result.size() == 0 || !is_plain(problem.result)) return nullptr;
  if (!whatever_it_costs && (a.rows < kFewRows || b.columns < kFewColumns)) return nullptr;
  auto epilogue = Epilogue::of(problem.post_ops);
  if (!epilogue) return nullptr;
  auto kernel = std::make_unique<BatchedProduct>(problem, std::move(*epilogue));
  if (static_cast<int64_t>(kernel->scratch_bytes()) > std::min(kMostPacked, problem.most_scratch_bytes)) return nullptr;
  return kernel;
}

}  // namespace pli::compute
