#include "runtime/compute/product_f64.h"

#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"
#include "runtime/compute/sliced.h"

#include <algorithm>
#include <cstring>

namespace pli::compute {

namespace {

constexpr int64_t kRows = LeftPanels::kPanelRows, kColumns = RightFactor::kPanelColumns;
constexpr int64_t kDepth = 256;  // of a block: what a panel of both factors has fits into the first cache
constexpr int64_t kBlockColumns = 8 * kColumns;  // the right block fits into the second

/// Four doubles: two side by side are a row of a tile.
using Doubles = double __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void load(Doubles& to, const double* from) { std::memcpy(&to, from, sizeof(Doubles)); }
[[gnu::always_inline]] inline void store(double* to, const Doubles& from) { std::memcpy(to, &from, sizeof(Doubles)); }

/// Adds the product of a left panel of `rows` rows and a right panel to rows of kColumns elements.
template <int64_t rows>
[[gnu::always_inline]] inline void add_tile(const double* left, const double* right, int64_t depth, double* tile,
                                            int64_t stride) {
  Doubles sums[rows][2];
  for (int64_t row = 0; row < rows; ++row) {
    load(sums[row][0], tile + row * stride);
    load(sums[row][1], tile + row * stride + 4);
  }
  for (int64_t k = 0; k < depth; ++k) {
    Doubles low, high;
    load(low, right + k * kColumns);
    load(high, right + k * kColumns + 4);
    for (int64_t row = 0; row < rows; ++row) {
      const double factor = left[k * rows + row];
      sums[row][0] += factor * low;
      sums[row][1] += factor * high;
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    store(tile + row * stride, sums[row][0]);
    store(tile + row * stride + 4, sums[row][1]);
  }
}

using AddTile = void (*)(const double* left, const double* right, int64_t depth, double* tile, int64_t stride);

template <int64_t rows>
void add_rows(const double* left, const double* right, int64_t depth, double* tile, int64_t stride) {
  simd<add_tile<rows>>(left, right, depth, tile, stride);
}

constexpr AddTile kAddTile[] = {nullptr, add_rows<1>, add_rows<2>, add_rows<3>, add_rows<4>, add_rows<5>, add_rows<6>};

/// A part of the result: all of its depth.
struct Part {
  int64_t first_row, end_row, first_column, end_column;
};

class Product {
 public:
  Product(const LeftPanels& left, const RightFactor& right, const double* start, double* result, int64_t stride)
      : left_(left), right_(right), start_(start), result_(result), stride_(stride) {}

  void run(const Part& part) const {
    thread_local std::vector<double> memory(kDepth * kBlockColumns);  // of the right factor, in order
    double* const block = memory.data();
    for (int64_t row = part.first_row; row < part.end_row; ++row)
      std::fill_n(result_ + row * stride_ + part.first_column, part.end_column - part.first_column,
                  start_ ? start_[row] : 0.0);
    for (int64_t k = 0; k < left_.depth(); k += kDepth) {
      const int64_t depth = std::min(kDepth, left_.depth() - k);
      for (int64_t column = part.first_column; column < part.end_column; column += kColumns)
        right_.pack(k, depth, column, block + (column - part.first_column) * depth);
      for (int64_t row = part.first_row; row < part.end_row; row += kRows)
        for (int64_t column = part.first_column; column < part.end_column; column += kColumns)
          add(row, column, part, k, depth, block + (column - part.first_column) * depth);
    }
  }

 private:
  void add(int64_t row, int64_t column, const Part& part, int64_t k, int64_t depth, const double* right) const {
    const int64_t rows = std::min(kRows, left_.rows() - row), columns = std::min(kColumns, part.end_column - column);
    double* to = result_ + row * stride_ + column;
    if (columns == kColumns) return kAddTile[rows](left_.panel(row, k), right, depth, to, stride_);
    double tile[kRows * kColumns] = {};
    for (int64_t r = 0; r < rows; ++r) std::copy_n(to + r * stride_, columns, tile + r * kColumns);
    kAddTile[rows](left_.panel(row, k), right, depth, tile, kColumns);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(tile + r * kColumns, columns, to + r * stride_);
  }

  const LeftPanels& left_;
  const RightFactor& right_;
  const double* start_;
  double* result_;
  int64_t stride_;
};

}  // namespace

void multiply(const LeftPanels& left, const RightFactor& right, int64_t columns, const double* start, double* result,
              int64_t stride) {
  constexpr int64_t kWorthAThread = 1 << 16;  // multiply-adds
  const Product product(left, right, start, result, stride);
  const int64_t column_parts = parts_of(columns, kBlockColumns), panels = parts_of(left.rows(), kRows);
  // Few columns: the rows are shared out as well, and each part brings the right factor into order for itself.
  const int64_t wanted = threads_here() == 1 ? 1 : 4 * threads_here() / column_parts;
  const int64_t row_parts = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(panels / 8, 1));
  const int64_t work = left.rows() * columns * left.depth() / (column_parts * row_parts);
  parallel_for(column_parts * row_parts, kWorthAThread / std::max<int64_t>(work, 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t part = i % row_parts, column = i / row_parts * kBlockColumns;
      product.run({panels * part / row_parts * kRows, std::min(panels * (part + 1) / row_parts * kRows, left.rows()),
                   column, std::min(column + kBlockColumns, columns)});
    }
  });
}

}  // namespace pli::compute
