#include "runtime/compute/reduction.h"

#include "runtime/compute/loops.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/reduction_f32.h"
#include "runtime/compute/reduction_operations.h"
#include "runtime/core/checked.h"
#include "runtime/core/dispatch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pli::compute {

namespace {

struct Loops {
  std::vector<Loop> kept;
  std::vector<Loop> reduced;
  int64_t count = 1;  // elements that become one
};

Loops loops_of(const TensorDesc& input, const TensorDesc& output) {
  Loops loops;
  for (size_t i = 0; i < input.dims.size(); ++i) {
    const bool is_reduced = output.dims[i] == 1;
    (is_reduced ? loops.reduced : loops.kept)
        .push_back({input.dims[i], input.strides[i], is_reduced ? 0 : output.strides[i]});
  }
  loops.kept = merged(std::move(loops.kept));
  loops.reduced = merged(std::move(loops.reduced));
  loops.count = size_of(loops.reduced);
  return loops;
}

/// Totals are kept in double, or in 64 bits of the element's kind.
template <class T>
using Total = std::conditional_t<std::is_floating_point_v<T>, double,
                                 std::conditional_t<std::is_same_v<T, uint64_t>, uint64_t, int64_t>>;

template <class T, class Operation>
Total<T> identity() {
  if constexpr (std::is_floating_point_v<T>)
    return Operation::kIdentity;
  else if (std::isinf(Operation::kIdentity))
    return Operation::kIdentity < 0 ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
  else
    return static_cast<Total<T>>(Operation::kIdentity);
}

/// The logarithm of nothing is -infinity, which no integer is.
template <class T>
T rounded(double value) {
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(value);
  else
    return saturate<T>(value);
}

template <class T>
T finished(Reduction reduction, Total<T> total, int64_t count) {
  switch (reduction) {
    case Reduction::kMean:
      if constexpr (std::is_floating_point_v<T>)
        return static_cast<T>(total / static_cast<double>(count));
      else
        return count == 0 ? T{0} : static_cast<T>(total / static_cast<Total<T>>(count));
    case Reduction::kL2:
      return static_cast<T>(std::sqrt(static_cast<double>(total)));
    case Reduction::kLogSum:
      return rounded<T>(std::log(static_cast<double>(total)));
    default:
      return static_cast<T>(total);
  }
}

constexpr int64_t kColumnsBlock = 256;
constexpr int64_t kGrain = 8192;  // elements that are worth a thread

/// The innermost loop runs along contiguous elements that become one.
void reduce_rows(Reduction reduction, const Loops& loops, const float* in, float* out) {
  const std::span<const Loop> outer(loops.reduced.data(), loops.reduced.size() - 1);
  const int64_t length = loops.reduced.back().size;
  parallel_for(size_of(loops.kept), grain_of(loops.count, kGrain), [&](int64_t begin, int64_t end) {
    with_operation(reduction, [&](auto op) {
      for (int64_t i = begin; i < end; ++i) {
        const Offsets at = offsets_of(loops.kept, i);
        double total = op.kIdentity;
        for_each_step(outer, at, [&](Offsets step) {
          for (int64_t k = 0; k < length; k += kRowPiece)
            op.join(total, double{fold_row_f32(reduction, in + step.in + k, std::min(kRowPiece, length - k))});
        });
        out[at.out] = finished<float>(reduction, total, loops.count);
      }
    });
  });
}

/// The innermost loop runs along contiguous elements that each become another one.
void reduce_columns(Reduction reduction, const Loops& loops, const float* in, float* out) {
  const std::span<const Loop> kept(loops.kept.data(), loops.kept.size() - 1);
  const std::span<const Loop> outer(loops.reduced.data(), loops.reduced.size() - 1);
  const Loop& rows = loops.reduced.back();
  const int64_t columns = loops.kept.back().size;
  const int64_t block = columns_per_block(columns, threads_here(), kColumnsBlock);
  const int64_t blocks = (columns + block - 1) / block;
  parallel_for(size_of(kept) * blocks, grain_of(loops.count * block, kGrain), [&](int64_t begin, int64_t end) {
    with_operation(reduction, [&](auto op) {
      std::array<double, kColumnsBlock> total;
      std::array<float, kColumnsBlock> part;
      for (int64_t i = begin; i < end; ++i) {
        const Offsets at = offsets_of(kept, i / blocks);
        const int64_t first = i % blocks * block;
        const int64_t width = std::min(block, columns - first);
        total.fill(op.kIdentity);
        for_each_step(outer, {at.in + first, 0}, [&](Offsets step) {
          for (int64_t r = 0; r < rows.size; r += kColumnsPiece) {
            fold_columns_f32(reduction, in + step.in + r * rows.in, std::min(kColumnsPiece, rows.size - r), rows.in,
                             width, part.data());
            for (size_t c = 0; c < static_cast<size_t>(width); ++c) op.join(total[c], double{part[c]});
          }
        });
        for (int64_t c = 0; c < width; ++c)
          out[at.out + first + c] = finished<float>(reduction, total[static_cast<size_t>(c)], loops.count);
      }
    });
  });
}

// Any type, any layout.

template <class T, class Operation>
Total<T> reduce_one(Operation op, std::span<const Loop> reduced, const T* in) {
  Total<T> total = identity<T, Operation>();
  for_each_step(reduced, {}, [&](Offsets step) {
    auto value = static_cast<Total<T>>(in[step.in]);
    op.map(value);
    op.join(total, value);
  });
  return total;
}

/// log(sum(exp(x))), the largest x taken out of the sum.
template <class T>
T log_sum_exp(std::span<const Loop> reduced, const T* in) {
  const auto most = static_cast<double>(reduce_one<T>(Max{}, reduced, in));
  if (!std::isfinite(most)) return rounded<T>(most);
  double sum = 0;
  for_each_step(reduced, {}, [&](Offsets step) { sum += std::exp(static_cast<double>(in[step.in]) - most); });
  return rounded<T>(most + std::log(sum));
}

template <class T>
void reduce_any(Reduction reduction, const Loops& loops, const T* in, T* out) {
  parallel_for(size_of(loops.kept), grain_of(loops.count, kGrain), [&](int64_t begin, int64_t end) {
    with_operation(reduction, [&](auto op) {
      for (int64_t i = begin; i < end; ++i) {
        const Offsets at = offsets_of(loops.kept, i);
        const T* from = in + at.in;
        out[at.out] = reduction == Reduction::kLogSumExp
                          ? log_sum_exp<T>(loops.reduced, from)
                          : finished<T>(reduction, reduce_one<T>(op, loops.reduced, from), loops.count);
      }
    });
  });
}

/// Whether the float loops know how: the product and exp want doubles throughout.
bool is_hot(Reduction reduction, const TensorDesc& input, const Loops& loops) {
  return input.dtype == DataType::kFloat32 && reduction != Reduction::kProd && reduction != Reduction::kLogSumExp &&
         !loops.reduced.empty() && loops.count > 0;
}

template <class T>
std::unique_ptr<Kernel> make_any(Reduction reduction, Loops loops) {
  return make_kernel([reduction, loops = std::move(loops)](const RunArgs& args) {
    reduce_any(reduction, loops, args.input<T>(0), args.output<T>(0));
  });
}

}  // namespace

std::unique_ptr<Kernel> make_reduction(Reduction reduction, const TensorDesc& input, const TensorDesc& output) {
  Loops loops = loops_of(input, output);
  if (is_hot(reduction, input, loops)) {
    const bool columns = !loops.kept.empty() && loops.kept.back().in == 1 && loops.kept.back().out == 1;
    if (columns || loops.reduced.back().in == 1)
      return make_kernel([reduction, columns, loops = std::move(loops)](const RunArgs& args) {
        (columns ? reduce_columns : reduce_rows)(reduction, loops, args.input<float>(0), args.output<float>(0));
      });
  }
  return with_number_type(input.dtype,
                          [&](auto zero) { return make_any<decltype(zero)>(reduction, std::move(loops)); });
}

}  // namespace pli::compute
