#include "runtime/compute/interleave.h"

#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 8192;  // elements of an input that are worth a thread

template <class T, size_t kInputs>
[[gnu::always_inline]] inline void interleave(const InterleavedRows& rows) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T* from[kInputs];
    for (size_t i = 0; i < kInputs; ++i) from[i] = static_cast<const T*>(rows.from[i]) + row * rows.step[i];
    T* const to = static_cast<T*>(rows.to) + row * rows.columns * static_cast<int64_t>(kInputs);
    for (int64_t column = 0; column < rows.columns; ++column)
      for (size_t i = 0; i < kInputs; ++i)
        to[column * static_cast<int64_t>(kInputs) + static_cast<int64_t>(i)] = from[i][column];
  }
}

template <class T>
InterleaveFn interleave_of(size_t inputs) {
  const auto at_level = []<size_t kInputs> {
    return [](const InterleavedRows& rows) { simd<interleave<T, kInputs>>(rows); };
  };
  switch (inputs) {
    case 2:
      return at_level.template operator()<2>();
    case 3:
      return at_level.template operator()<3>();
    default:
      return at_level.template operator()<4>();
  }
}

}  // namespace

InterleaveFn interleave_of(int bits, size_t parts) {
  if (parts < 2 || parts > InterleavedRows::kMostParts) return nullptr;
  if (bits == 16) return interleave_of<uint16_t>(parts);
  return bits == 32 ? interleave_of<uint32_t>(parts) : nullptr;
}

std::unique_ptr<Kernel> make_interleave(std::span<const TensorDesc> inputs, const TensorDesc& output, size_t axis) {
  const size_t count = inputs.size();
  if (output.size() == 0 || output.strides[axis] != 1) return nullptr;
  std::optional<size_t> inner;   // the axis of a row
  SmallVector<size_t, 6> outer;  // the others, innermost first
  for (size_t i = 0; i < output.dims.size(); ++i) {
    if (i == axis) continue;
    if (output.dims[i] > 1 && output.strides[i] == static_cast<int64_t>(count))
      inner = i;
    else
      outer.push_back(i);
  }
  const InterleaveFn function = interleave_of(bit_width(output.dtype), count);
  if (!inner || !function) return nullptr;
  std::ranges::sort(outer, {}, [&](size_t i) { return output.strides[i]; });
  InterleavedRows rows;
  rows.columns = output.dims[*inner];
  const int64_t width = rows.columns * static_cast<int64_t>(count);
  if (const auto step = equal_step(output, outer); step != width && step != 0) return nullptr;
  for (size_t i = 0; i < count; ++i) {
    const auto step = equal_step(inputs[i], outer);
    if (inputs[i].dims[axis] != 1 || inputs[i].strides[*inner] != 1 || !step) return nullptr;
    rows.step[i] = *step;
  }
  const int64_t all = output.size() / width;
  return make_kernel([rows, function, count, all](const RunArgs& args) {
    parallel_for(all, std::max<int64_t>(kGrain / rows.columns, 1), [&](int64_t begin, int64_t end) {
      InterleavedRows part = rows;
      std::copy_n(args.inputs.begin(), count, part.from.begin());
      part.to = args.outputs[0];
      part.begin = begin;
      part.end = end;
      function(part);
    });
  });
}

}  // namespace pli::compute
