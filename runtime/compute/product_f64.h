#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

/// Matrix products of float64, which oneDNN does not have: blocked for the caches, with a kernel of registers inside.
namespace pli::compute {

/// The left factor [rows, depth] in panels of kPanelRows rows, the last one of fewer, each with the rows of a column
/// side by side.
class LeftPanels {
 public:
  static constexpr int64_t kPanelRows = 6;

  /// `at(row, k)`: an element.
  template <class At>
  LeftPanels(int64_t rows, int64_t depth, const At& at)
      : rows_(rows), depth_(depth), elements_(static_cast<size_t>(rows * depth)) {
    double* to = elements_.data();
    for (int64_t first = 0; first < rows; first += kPanelRows)
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t row = first; row < std::min(first + kPanelRows, rows); ++row) *to++ = at(row, k);
  }

  int64_t rows() const { return rows_; }
  int64_t depth() const { return depth_; }
  int64_t bytes() const { return static_cast<int64_t>(elements_.size() * sizeof(double)); }
  /// The panel that starts with row `row`, from column k on.
  const double* panel(int64_t row, int64_t k) const {
    return elements_.data() + row * depth_ + k * std::min(kPanelRows, rows_ - row);
  }

 private:
  int64_t rows_, depth_;
  std::vector<double> elements_;
};

/// The right factor [depth, columns], brought piece by piece into the order in which it is read.
class RightFactor {
 public:
  static constexpr int64_t kPanelColumns = 8;

  virtual ~RightFactor() = default;
  /// Writes rows k to k + count of the columns from `column` on, kPanelColumns of them, row after row; zeros for what
  /// lies beyond the last.
  virtual void pack(int64_t k, int64_t count, int64_t column, double* to) const = 0;
};

/// result[row * stride + column] = left right + start[row], start being 0 where there is none, for `columns` columns.
/// In parallel, unless it is called in a task of a parallel loop.
void multiply(const LeftPanels& left, const RightFactor& right, int64_t columns, const double* start, double* result,
              int64_t stride);

}  // namespace pli::compute
