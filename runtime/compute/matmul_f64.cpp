#include "runtime/compute/matmul_f64.h"

#include "runtime/compute/parallel.h"
#include "runtime/compute/product_f64.h"

#include <algorithm>

namespace pli::compute {

namespace {

/// A matrix of any strides as a right factor.
class StridedMatrix final : public RightFactor {
 public:
  StridedMatrix(const double* data, int64_t row_stride, int64_t column_stride, int64_t columns)
      : data_(data), row_stride_(row_stride), column_stride_(column_stride), columns_(columns) {}

  void pack(int64_t k, int64_t count, int64_t column, double* to) const override {
    const int64_t columns = std::min(kPanelColumns, columns_ - column);
    const double* from = data_ + k * row_stride_ + column * column_stride_;
    if (columns < kPanelColumns) std::fill_n(to, count * kPanelColumns, 0.0);
    if (row_stride_ == 1) {  // a transposed one: along its rows
      for (int64_t i = 0; i < columns; ++i)
        for (int64_t row = 0; row < count; ++row) to[row * kPanelColumns + i] = from[row + i * column_stride_];
      return;
    }
    for (int64_t row = 0; row < count; ++row)
      for (int64_t i = 0; i < columns; ++i) to[row * kPanelColumns + i] = from[row * row_stride_ + i * column_stride_];
  }

 private:
  const double* data_;
  int64_t row_stride_, column_stride_, columns_;
};

/// Where the matrix `batch` of those that a tensor holds starts; its dimensions before the last two are those of the
/// result, or 1.
int64_t offset_of(const TensorDesc& desc, const PerAxis& result_dims, int64_t batch) {
  int64_t offset = 0;
  for (size_t i = result_dims.size() - 2; i-- > 0; batch /= result_dims[i])
    if (desc.dims[i] != 1) offset += batch % result_dims[i] * desc.strides[i];
  return offset;
}

class MatMulF64 final : public Kernel {
 public:
  explicit MatMulF64(const MatMulProblem& problem) : problem_(problem) {
    const PerAxis& dims = problem.result.dims;
    rows_ = dims[dims.size() - 2];
    columns_ = dims.back();
    depth_ = problem.a.dims.back();
    matrices_ = rows_ * columns_ == 0 ? 0 : problem.result.size() / (rows_ * columns_);
  }

  std::string implementation() const override { return "blocked:f64"; }

  void run(const RunArgs& args) const override {
    const auto run_some = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_one(args, i);
    };
    if (matrices_ >= 2 * threads_here())
      parallel_for(matrices_, 1, run_some);
    else
      run_some(0, matrices_);
  }

 private:
  void run_one(const RunArgs& args, int64_t matrix) const {
    const TensorDesc &a = problem_.a, &b = problem_.b;
    const size_t row = a.dims.size() - 2, column = row + 1;
    const double* left = args.input<double>(0) + offset_of(a, problem_.result.dims, matrix);
    const LeftPanels panels(rows_, depth_,
                            [&](int64_t i, int64_t k) { return left[i * a.strides[row] + k * a.strides[column]]; });
    const double* factor = problem_.b_constant ? problem_.b_constant->data<double>().data() : args.input<double>(1);
    const StridedMatrix right(factor + offset_of(b, problem_.result.dims, matrix), b.strides[row], b.strides[column],
                              columns_);
    double* result = args.output<double>(0) + matrix * rows_ * columns_;
    multiply(panels, right, columns_, nullptr, result, columns_);
    if (problem_.has_bias || problem_.scale != 1 || !problem_.post_ops.empty()) finish(args, matrix, result);
  }

  void finish(const RunArgs& args, int64_t matrix, double* result) const {
    const double* bias = problem_.has_bias ? args.input<double>(problem_.bias_operand) : nullptr;
    const auto scale = static_cast<double>(problem_.scale);
    for (int64_t i = 0; i < rows_; ++i)
      for (int64_t j = 0; j < columns_; ++j) {
        double& value = result[i * columns_ + j];
        value = scale * (value + (bias ? bias[j] : 0));
      }
    for (const PostOp& op : problem_.post_ops) {
      const TensorDesc& desc = op.description;
      const double* operand = args.input<double>(op.operand) + offset_of(desc, problem_.result.dims, matrix);
      const size_t row = desc.dims.size() - 2, column = row + 1;
      const int64_t row_stride = desc.dims[row] == 1 ? 0 : desc.strides[row];
      const int64_t column_stride = desc.dims[column] == 1 ? 0 : desc.strides[column];
      for (int64_t i = 0; i < rows_; ++i)
        for (int64_t j = 0; j < columns_; ++j) result[i * columns_ + j] += operand[i * row_stride + j * column_stride];
    }
  }

  MatMulProblem problem_;
  int64_t rows_ = 0, columns_ = 0, depth_ = 0, matrices_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> make_matmul_f64(const MatMulProblem& problem) {
  for (const PostOp& op : problem.post_ops)
    if (op.kind != PostOp::Kind::kAdd) fail(ErrorCode::kInternal, "a product of float64 with something fused");
  return std::make_unique<MatMulF64>(problem);
}

}  // namespace pli::compute
