#include "runtime/compute/loops.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/reduction.h"
#include "runtime/core/dispatch.h"

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 8192;  // elements that are worth a thread

/// Whether `value`, which comes later, takes the place of `best`.
template <class T>
bool beats(T value, T best, bool largest, bool last) {
  const bool value_is_nan = value != value;
  const bool best_is_nan = best != best;
  if (value_is_nan || best_is_nan) return value_is_nan && (last || !best_is_nan);
  if (value == best) return last;
  return largest ? value > best : value < best;
}

template <class T>
std::unique_ptr<Kernel> make_arg(bool largest, bool last, Loop along, std::vector<Loop> kept) {
  return make_kernel([=](const RunArgs& args) {
    const T* in = args.input<T>(0);
    auto* out = args.output<int64_t>(0);
    compute::parallel_for(size_of(kept), grain_of(along.size, kGrain), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Offsets at = offsets_of(kept, i);
        const T* from = in + at.in;
        int64_t best = 0;
        for (int64_t k = 1; k < along.size; ++k)
          if (beats(from[k * along.in], from[best * along.in], largest, last)) best = k;
        out[at.out] = best;
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> make_arg_reduction(bool largest, bool last, const TensorDesc& input, size_t axis,
                                           const TensorDesc& output) {
  std::vector<Loop> kept;
  for (size_t i = 0; i < input.dims.size(); ++i)
    if (i != axis) kept.push_back({input.dims[i], input.strides[i], output.strides[i]});
  const Loop along{input.dims[axis], input.strides[axis], 0};
  return with_number_type(
      input.dtype, [&](auto zero) { return make_arg<decltype(zero)>(largest, last, along, merged(std::move(kept))); });
}

}  // namespace pli::compute
