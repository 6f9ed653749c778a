#include "runtime/compute/softmax.h"

#include "runtime/compute/fold_row.h"
#include "runtime/compute/lanes.h"
#include "runtime/compute/loops.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/reduction_operations.h"
#include "runtime/compute/simd.h"
#include "runtime/compute/vector_math.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 4096;  // elements that are worth a thread
constexpr int64_t kColumns = 64;  // of a strip of groups that lie side by side
constexpr int64_t kPiece = 1024;  // terms that are summed up in float

/// The groups: where they are, and the loops over the elements of one.
struct Groups {
  std::vector<Loop> kept;
  std::vector<Loop> grouped;
  int64_t size = 1;  // elements of a group
};

Groups groups_of(const TensorDesc& desc, std::span<const int64_t> axes) {
  Groups groups;
  for (size_t i = 0; i < desc.dims.size(); ++i) {
    const bool is_grouped = std::ranges::find(axes, static_cast<int64_t>(i)) != axes.end();
    (is_grouped ? groups.grouped : groups.kept).push_back({desc.dims[i], desc.strides[i], desc.strides[i]});
  }
  groups.kept = merged(std::move(groups.kept));
  groups.grouped = merged(std::move(groups.grouped));
  groups.size = size_of(groups.grouped);
  return groups;
}

// Floats, the elements of a group one after the other.

/// The sum of exp(x - shift), the terms to `out` unless it is null.
[[gnu::always_inline]] inline float exponentials(const float* in, int64_t count, float shift, float* out) {
  float sum = 0;
  if (out) {
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) {
      const float e = fast_normal_exp(in[i] - shift);
      out[i] = e;
      sum += e;
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) sum += fast_normal_exp(in[i] - shift);
  }
  return sum;
}

[[gnu::always_inline]] inline void softmax_of_rows(bool logarithm, const float* in, int64_t rows, int64_t stride,
                                                   int64_t count, float* out) {
  for (int64_t r = 0; r < rows; ++r, in += stride, out += stride) {
    const float most = fold_row(Max{}, in, count);
    double sum = 0;
    for (int64_t i = 0; i < count; i += kPiece)
      sum += double{exponentials(in + i, std::min(kPiece, count - i), most, logarithm ? nullptr : out + i)};
    if (logarithm) {
      const auto log_sum = static_cast<float>(std::log(sum));
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - most) - log_sum;
    } else {
      const auto factor = static_cast<float>(1 / sum);
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) out[i] *= factor;
    }
  }
}

void softmax_rows(bool logarithm, const Groups& groups, const float* in, float* out) {
  parallel_for(size_of(groups.kept), grain_of(groups.size, kGrain), [&](int64_t begin, int64_t end) {
    if (groups.kept.size() == 1) {
      const int64_t stride = groups.kept[0].in;
      simd<softmax_of_rows>(logarithm, in + begin * stride, end - begin, stride, groups.size, out + begin * stride);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = offsets_of(groups.kept, i).in;
      simd<softmax_of_rows>(logarithm, in + at, 1, 0, groups.size, out + at);
    }
  });
}

// Floats, equal elements of several groups side by side.

/// `width` groups of `count` elements, those of a group `stride` apart.
[[gnu::always_inline]] inline void softmax_of_columns(bool logarithm, const float* in, int64_t count, int64_t stride,
                                                      int64_t width, float* out) {
  std::array<float, kColumns> most;
  std::array<float, kColumns> sum{};
  most.fill(-std::numeric_limits<float>::infinity());
  for (int64_t r = 0; r < count; ++r) {
    const float* row = in + r * stride;
    for (int64_t c = 0; c < width; ++c) maximize(most[static_cast<size_t>(c)], row[c]);
  }
  for (int64_t r = 0; r < count; ++r) {
    const float* row = in + r * stride;
    float* to = out + r * stride;
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) {
      const float e = fast_normal_exp(row[c] - most[static_cast<size_t>(c)]);
      sum[static_cast<size_t>(c)] += e;
      if (!logarithm) to[c] = e;
    }
  }
#pragma omp simd
  for (int64_t c = 0; c < width; ++c) {
    float& s = sum[static_cast<size_t>(c)];
    s = logarithm ? fast_log(s) : 1 / s;
  }
  for (int64_t r = 0; r < count; ++r) {
    const float* row = in + r * stride;
    float* to = out + r * stride;
    if (logarithm) {
      for (int64_t c = 0; c < width; ++c) to[c] = (row[c] - most[static_cast<size_t>(c)]) - sum[static_cast<size_t>(c)];
    } else {
      for (int64_t c = 0; c < width; ++c) to[c] *= sum[static_cast<size_t>(c)];
    }
  }
}

void softmax_strips(bool logarithm, const Groups& groups, const float* in, float* out) {
  const std::span<const Loop> outer(groups.kept.data(), groups.kept.size() - 1);
  const int64_t columns = groups.kept.back().size;
  const int64_t strips = (columns + kColumns - 1) / kColumns;
  const Loop& along = groups.grouped[0];
  parallel_for(size_of(outer) * strips, grain_of(along.size * kColumns, kGrain), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % strips * kColumns;
      const int64_t at = offsets_of(outer, i / strips).in + first;
      simd<softmax_of_columns>(logarithm, in + at, along.size, along.in, std::min(kColumns, columns - first), out + at);
    }
  });
}

// Any layout.

/// What a group as a whole says: the largest, and a sum.
struct Summary {
  double most = -std::numeric_limits<double>::infinity();
  double sum = 0;
};

template <class T>
Summary summarize(GroupFunction function, std::span<const Loop> loops, const T* in) {
  Summary summary;
  for_each_step(loops, {}, [&](Offsets step) {
    const auto x = static_cast<double>(in[step.in]);
    if (x > summary.most || x != x) summary.most = x;
    if (function == GroupFunction::kL1) summary.sum += std::abs(x);
    if (function == GroupFunction::kL2) summary.sum += x * x;
  });
  if (function == GroupFunction::kL2) summary.sum = std::sqrt(summary.sum);
  if (function == GroupFunction::kSoftmax || function == GroupFunction::kLogSoftmax)
    for_each_step(loops, {},
                  [&](Offsets step) { summary.sum += std::exp(static_cast<double>(in[step.in]) - summary.most); });
  return summary;
}

template <class T>
void apply_to_group(GroupFunction function, std::span<const Loop> loops, const T* in, T* out) {
  const Summary summary = summarize(function, loops, in);
  const double log_sum = std::log(summary.sum);
  bool found = false;
  for_each_step(loops, {}, [&](Offsets step) {
    const auto x = static_cast<double>(in[step.in]);
    double y = 0;
    switch (function) {
      case GroupFunction::kSoftmax:
        y = std::exp(x - summary.most) / summary.sum;
        break;
      case GroupFunction::kLogSoftmax:
        y = x - summary.most - log_sum;
        break;
      case GroupFunction::kHardmax:
        y = !found && (x == summary.most || x != x) ? 1 : 0;
        found = found || y == 1;
        break;
      case GroupFunction::kL1:
      case GroupFunction::kL2:
        y = summary.sum == 0 ? 0 : x / summary.sum;
        break;
    }
    out[step.in] = static_cast<T>(y);
  });
}

template <class T>
std::unique_ptr<Kernel> make_any(GroupFunction function, Groups groups) {
  return make_kernel([function, groups = std::move(groups)](const RunArgs& args) {
    parallel_for(size_of(groups.kept), grain_of(groups.size, kGrain), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = offsets_of(groups.kept, i).in;
        apply_to_group(function, groups.grouped, args.input<T>(0) + at, args.output<T>(0) + at);
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> make_group_function(GroupFunction function, const TensorDesc& desc,
                                            std::span<const int64_t> axes) {
  Groups groups = groups_of(desc, axes);
  if (desc.dtype == DataType::kFloat64) return make_any<double>(function, std::move(groups));
  if (desc.dtype != DataType::kFloat32) fail(ErrorCode::kUnsupported, "elements of {}", to_string(desc.dtype));
  const bool logarithm = function == GroupFunction::kLogSoftmax;
  const bool is_hot = (function == GroupFunction::kSoftmax || logarithm) && groups.grouped.size() == 1;
  if (is_hot && groups.grouped[0].in == 1)
    return make_kernel([logarithm, groups = std::move(groups)](const RunArgs& args) {
      softmax_rows(logarithm, groups, args.input<float>(0), args.output<float>(0));
    });
  if (is_hot && !groups.kept.empty() && groups.kept.back().in == 1)
    return make_kernel([logarithm, groups = std::move(groups)](const RunArgs& args) {
      softmax_strips(logarithm, groups, args.input<float>(0), args.output<float>(0));
    });
  return make_any<float>(function, std::move(groups));
}

}  // namespace pli::compute
