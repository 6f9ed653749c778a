#include "runtime/compute/normalization.h"

#include "runtime/compute/loops.h"
#include "runtime/compute/normalization_f32.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/reduction_f32.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 8192;  // elements that are worth a thread
constexpr int64_t kColumns = 256;

/// The loops over groups and over the elements of one; `out` of a loop is its step in scale and shift.
struct Groups {
  std::vector<Loop> kept;
  std::vector<Loop> grouped;
  Loop adjacent;     // taken out of `grouped`: columns side by side that belong to one group
  int64_t size = 1;  // elements of a group
  double epsilon = 0;
  bool epsilon_outside_root = false;

  double factor(double variance) const {
    return 1 / (epsilon_outside_root ? std::sqrt(variance) + epsilon : std::sqrt(variance + epsilon));
  }
};

Groups groups_of(const Normalization& n) {
  Groups groups{{}, {}, {}, 1, n.epsilon, n.epsilon_outside_root};
  for (size_t i = 0; i < n.desc.dims.size(); ++i)
    (n.grouped[i] ? groups.grouped : groups.kept)
        .push_back({n.desc.dims[i], n.desc.strides[i], n.parameter_strides[i]});
  groups.kept = merged(std::move(groups.kept));
  groups.grouped = merged(std::move(groups.grouped));
  groups.size = size_of(groups.grouped);
  return groups;
}

/// The operands, those that are omitted null.
template <class T>
struct Operands {
  const T* x;
  const T* scale;
  const T* shift;
  T* y;
  T* mean;
  T* factor;

  explicit Operands(const RunArgs& args)
      : x(args.input<T>(0)),
        scale(args.inputs.size() > 1 ? args.input<T>(1) : nullptr),
        shift(args.inputs.size() > 2 ? args.input<T>(2) : nullptr),
        y(args.output<T>(0)),
        mean(args.outputs.size() > 1 ? args.output<T>(1) : nullptr),
        factor(args.outputs.size() > 2 ? args.output<T>(2) : nullptr) {}

  void store(int64_t group, double m, double f) const {
    if (mean) mean[group] = static_cast<T>(m);
    if (factor) factor[group] = static_cast<T>(f);
  }
};

/// Calls body(offset, count) for pieces of a row that are short enough to be summed up in float.
template <class Body>
void for_each_piece(int64_t count, int64_t most, const Body& body) {
  for (int64_t i = 0; i < count; i += most) body(i, std::min(most, count - i));
}

/// The elements of a group are contiguous rows.
void normalize_rows(const Groups& groups, const Operands<float>& t) {
  const std::span<const Loop> outer(groups.grouped.data(), groups.grouped.size() - 1);
  const Loop& row = groups.grouped.back();
  const auto count = static_cast<double>(groups.size);
  parallel_for(size_of(groups.kept), grain_of(groups.size, kGrain), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Offsets at = offsets_of(groups.kept, i);
      double sum = 0;
      for_each_step(outer, at, [&](Offsets step) {
        for_each_piece(row.size, kRowPiece, [&](int64_t k, int64_t n) {
          sum += double{fold_row_f32(Reduction::kSum, t.x + step.in + k, n)};
        });
      });
      const auto mean = static_cast<float>(sum / count);
      double squares = 0;
      for_each_step(outer, at, [&](Offsets step) {
        for_each_piece(row.size, kRowPiece, [&](int64_t k, int64_t n) {
          squares += double{centered_squares_f32(t.x + step.in + k, n, mean)};
        });
      });
      const double factor = groups.factor(squares / count);
      for_each_step(outer, at, [&](Offsets step) {
        const RowParameters parameters{t.scale ? t.scale + step.out : nullptr, t.shift ? t.shift + step.out : nullptr,
                                       row.out == 1};
        normalize_row_f32(t.x + step.in, row.size, mean, static_cast<float>(factor), parameters, t.y + step.in);
      });
      t.store(i, sum / count, factor);
    }
  });
}

/// Every group is one contiguous row behind the one before it, short enough to be summed up in float, with a scale for
/// each element and the same scales for every row: LayerNormalization.
bool are_short_rows(const Groups& groups) {
  if (groups.epsilon_outside_root || groups.grouped.size() != 1 || groups.size > kRowPiece || groups.kept.size() > 1)
    return false;
  const Loop& row = groups.grouped[0];
  const bool one_after_the_other = groups.kept.empty() || (groups.kept[0].in == row.size && groups.kept[0].out == 0);
  return row.in == 1 && row.out == 1 && one_after_the_other;
}

void normalize_short_rows(const Groups& groups, const Operands<float>& t) {
  if (!t.scale) return normalize_rows(groups, t);
  parallel_for(size_of(groups.kept), grain_of(groups.size, kGrain), [&](int64_t begin, int64_t end) {
    const int64_t at = begin * groups.size;
    normalize_rows_f32(t.x + at, end - begin, groups.size, static_cast<float>(groups.epsilon), t.scale, t.shift,
                       t.y + at, t.mean ? t.mean + begin : nullptr, t.factor ? t.factor + begin : nullptr);
  });
}

/// Elements of several groups lie side by side: the innermost loop goes from group to group. This is one block of
/// columns.
class Columns {
 public:
  Columns(const Groups& groups, const Operands<float>& operands, int64_t first, int64_t width)
      : groups_(groups), t_(operands), first_(first), width_(width) {}

  /// `at` is where column 0 is, and the parameters of its group; `group` is the number of its group.
  void normalize(Offsets at, int64_t group) {
    const Loop& rows = groups_.grouped.back();
    const auto count = static_cast<double>(groups_.size);
    add_up(at, [&](const float* from, int64_t n) {
      fold_columns_f32(Reduction::kSum, from, n, rows.in, width_, part_.data());
    });
    for (size_t c = 0; c < size(); ++c) mean_[c] = static_cast<float>(total_[c] / count);
    add_up(at, [&](const float* from, int64_t n) {
      centered_squares_of_columns_f32(from, n, rows.in, width_, mean_.data(), part_.data());
    });
    const Loop& along = groups_.kept.back();
    const Loop& adjacent = groups_.adjacent;
    for (size_t c = 0; c < size(); ++c) {
      const int64_t column = first_ + static_cast<int64_t>(c);
      const int64_t parameter = at.out + column / adjacent.size * along.out + column % adjacent.size * adjacent.out;
      const double factor = groups_.factor(total_[c] / count);
      factor_[c] = static_cast<float>(factor * (t_.scale ? double{t_.scale[parameter]} : 1.0));
      shift_[c] = t_.shift ? t_.shift[parameter] : 0.0F;
      t_.store(group + column / adjacent.size, double{mean_[c]}, factor);
    }
    for_each_step(outer(), {at.in + first_, 0}, [&](Offsets step) {
      normalize_columns_f32(t_.x + step.in, rows.size, rows.in, width_, mean_.data(), factor_.data(), shift_.data(),
                            t_.y + step.in);
    });
  }

 private:
  size_t size() const { return static_cast<size_t>(width_); }
  std::span<const Loop> outer() const { return {groups_.grouped.data(), groups_.grouped.size() - 1}; }

  /// total_ = what `fold` makes of all rows; columns of the same group get their sum.
  template <class Fold>
  void add_up(Offsets at, const Fold& fold) {
    const Loop& rows = groups_.grouped.back();
    total_.fill(0);
    for_each_step(outer(), {at.in + first_, 0}, [&](Offsets step) {
      for_each_piece(rows.size, kColumnsPiece, [&](int64_t r, int64_t n) {
        fold(t_.x + step.in + r * rows.in, n);
        for (size_t c = 0; c < size(); ++c) total_[c] += double{part_[c]};
      });
    });
    const auto together = static_cast<size_t>(groups_.adjacent.size);
    for (size_t c = 0; together > 1 && c < size(); c += together) {
      const auto begin = total_.begin() + static_cast<std::ptrdiff_t>(c);
      std::fill_n(begin, together, std::accumulate(begin, begin + static_cast<std::ptrdiff_t>(together), 0.0));
    }
  }

  const Groups& groups_;
  const Operands<float>& t_;
  int64_t first_;
  int64_t width_;
  std::array<double, kColumns> total_;
  std::array<float, kColumns> part_, mean_, factor_, shift_;
};

void normalize_columns(const Groups& groups, const Operands<float>& t) {
  const std::span<const Loop> kept(groups.kept.data(), groups.kept.size() - 1);
  const int64_t together = groups.adjacent.size;
  const int64_t columns = groups.kept.back().size * together;
  const int64_t wanted = columns_per_block(columns, threads_here(), kColumns);
  const int64_t block = std::max(wanted / together, int64_t{1}) * together;
  const int64_t blocks = (columns + block - 1) / block;
  parallel_for(size_of(kept) * blocks, grain_of(groups.size * block, kGrain), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * block;
      Columns strip(groups, t, first, std::min(block, columns - first));
      strip.normalize(offsets_of(kept, i / blocks), i / blocks * groups.kept.back().size);
    }
  });
}

/// Any layout, element by element.
template <class T>
void normalize_any(const Groups& groups, const Operands<T>& t) {
  const auto count = static_cast<double>(groups.size);
  parallel_for(size_of(groups.kept), grain_of(groups.size, kGrain), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Offsets at = offsets_of(groups.kept, i);
      double sum = 0;
      for_each_step(groups.grouped, at, [&](Offsets step) { sum += static_cast<double>(t.x[step.in]); });
      const double mean = sum / count;
      double squares = 0;
      for_each_step(groups.grouped, at, [&](Offsets step) {
        const double centered = static_cast<double>(t.x[step.in]) - mean;
        squares += centered * centered;
      });
      const double factor = groups.factor(squares / count);
      for_each_step(groups.grouped, at, [&](Offsets step) {
        const double scale = t.scale ? static_cast<double>(t.scale[step.out]) : 1;
        const double shift = t.shift ? static_cast<double>(t.shift[step.out]) : 0;
        t.y[step.in] = static_cast<T>((static_cast<double>(t.x[step.in]) - mean) * factor * scale + shift);
      });
      t.store(i, mean, factor);
    }
  });
}

using Normalize = void (*)(const Groups&, const Operands<float>&);

/// The fastest loops that fit; `groups` as they want them.
Normalize loops_for(Groups& groups) {
  if (groups.size == 0 || groups.grouped.empty()) return &normalize_any<float>;
  if (are_short_rows(groups)) return &normalize_short_rows;
  const Loop row = groups.grouped.back();
  const bool has_columns = !groups.kept.empty();
  if (row.in == 1 && has_columns && groups.grouped.size() > 1 && groups.kept.back().in == row.size &&
      row.size <= kColumns) {
    groups.adjacent = row;
    groups.grouped.pop_back();
    return &normalize_columns;
  }
  if (row.in == 1 && (row.out == 0 || row.out == 1)) return &normalize_rows;
  if (has_columns && groups.kept.back().in == 1) return &normalize_columns;
  return &normalize_any<float>;
}

}  // namespace

std::unique_ptr<Kernel> make_normalization(const Normalization& normalization) {
  Groups groups = groups_of(normalization);
  if (normalization.desc.dtype == DataType::kFloat64)
    return make_kernel(
        [groups = std::move(groups)](const RunArgs& args) { normalize_any(groups, Operands<double>(args)); });
  if (normalization.desc.dtype != DataType::kFloat32)
    fail(ErrorCode::kUnsupported, "elements of {}", to_string(normalization.desc.dtype));

  const auto normalize = loops_for(groups);
  return make_kernel(
      [normalize, groups = std::move(groups)](const RunArgs& args) { normalize(groups, Operands<float>(args)); });
}

}  // namespace pli::compute
