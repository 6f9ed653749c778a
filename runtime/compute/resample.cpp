#include "runtime/compute/resample.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"
#include "runtime/core/error.h"

#include <algorithm>
#include <tuple>

namespace pli::compute {

namespace {

/// One dimension of memory: `outer` blocks of rows of `inner` elements, `in` rows of the source for `out` of the
/// result.
template <class T>
struct Pass {
  int64_t outer = 1, in = 1, out = 1, inner = 1;
  int64_t taps = 1;
  std::vector<int64_t> indices;
  std::vector<T> weights;

  int64_t results() const { return outer * out * inner; }
};

template <class T>
[[gnu::always_inline]] inline void resample_row(const T* block, T* to, int64_t inner, int64_t taps,
                                                const int64_t* index, const T* weight) {
  if (taps == 2) {
    const T *a = block + index[0] * inner, *b = block + index[1] * inner;
    const T u = weight[0], v = weight[1];
    for (int64_t i = 0; i < inner; ++i) to[i] = u * a[i] + v * b[i];
    return;
  }
  for (int64_t t = 0; t < taps; ++t) {
    const T* from = block + index[t] * inner;
    const T u = weight[t];
    if (t == 0)
      for (int64_t i = 0; i < inner; ++i) to[i] = u * from[i];
    else
      for (int64_t i = 0; i < inner; ++i) to[i] += u * from[i];
  }
}

template <class T>
[[gnu::always_inline]] inline void resample_rows(const Pass<T>& pass, const T* from, T* to, int64_t begin,
                                                 int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* const block = from + row / pass.out * pass.in * pass.inner;
    const int64_t first = row % pass.out * pass.taps;
    const int64_t* const index = pass.indices.data() + first;
    const T* const weight = pass.weights.data() + first;
    if (pass.inner > 1) {
      resample_row(block, to + row * pass.inner, pass.inner, pass.taps, index, weight);
    } else {
      T sum = 0;
      for (int64_t t = 0; t < pass.taps; ++t) sum += weight[t] * block[index[t]];
      to[row] = sum;
    }
  }
}

template <class T>
class Resample final : public Kernel {
 public:
  explicit Resample(std::vector<Pass<T>> passes) : passes_(std::move(passes)) {
    for (size_t i = 0; i + 1 < passes_.size(); ++i) half_ = std::max(half_, passes_[i].results());
  }

  /// The results of all passes but the last, in turn in one half and the other.
  size_t scratch_bytes() const override { return 2 * static_cast<size_t>(half_) * sizeof(T); }

  void run(const RunArgs& args) const override {
    const T* from = args.input<T>(0);
    T* const halves[] = {static_cast<T*>(args.scratch), static_cast<T*>(args.scratch) + half_};
    for (size_t i = 0; i < passes_.size(); ++i) {
      const Pass<T>& pass = passes_[i];
      T* const to = i + 1 == passes_.size() ? args.output<T>(0) : halves[i % 2];
      const int64_t cost = std::max<int64_t>(pass.inner * pass.taps, 1);
      parallel_for(pass.outer * pass.out, 16384 / cost,
                   [&](int64_t begin, int64_t end) { simd<resample_rows<T>>(pass, from, to, begin, end); });
      from = to;
    }
  }

 private:
  std::vector<Pass<T>> passes_;
  int64_t half_ = 0;
};

template <class T>
std::unique_ptr<Kernel> make(const TensorDesc& from, const TensorDesc& to, const std::vector<Taps>& taps) {
  std::vector<size_t> resampled;
  for (size_t axis = 0; axis < taps.size(); ++axis)
    if (!taps[axis].weights.empty()) resampled.push_back(axis);
  if (resampled.empty() || to.size() == 0) return make_copy(from, to);
  // What shrinks comes first, so that the others have less to do.
  std::ranges::stable_sort(resampled, {}, [&](size_t axis) {
    return static_cast<double>(to.dims[axis]) / static_cast<double>(from.dims[axis]);
  });
  // Strides are equal where a dimension of 1 is in between, in either tensor; then the earlier one is further out.
  const auto place = [&](size_t axis) { return std::tuple(to.strides[axis], from.strides[axis], taps.size() - axis); };
  std::vector<Pass<T>> passes;
  PerAxis dims = from.dims;
  for (const size_t axis : resampled) {
    Pass<T> pass{.in = dims[axis],
                 .out = to.dims[axis],
                 .taps = taps[axis].count,
                 .indices = taps[axis].indices,
                 .weights = std::vector<T>(taps[axis].weights.begin(), taps[axis].weights.end())};
    for (size_t other = 0; other < dims.size(); ++other)
      if (other != axis) (place(other) > place(axis) ? pass.outer : pass.inner) *= dims[other];
    dims[axis] = to.dims[axis];
    passes.push_back(std::move(pass));
  }
  return std::make_unique<Resample<T>>(std::move(passes));
}

}  // namespace

std::unique_ptr<Kernel> make_resample(const TensorDesc& from, const TensorDesc& to, const std::vector<Taps>& taps) {
  if (from.dtype == DataType::kFloat32) return make<float>(from, to, taps);
  if (from.dtype == DataType::kFloat64) return make<double>(from, to, taps);
  fail(ErrorCode::kUnsupported, "interpolation of {}", to_string(from.dtype));
}

}  // namespace pli::compute
