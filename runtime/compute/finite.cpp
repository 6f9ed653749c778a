#include "runtime/compute/finite.h"

#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"

#include <algorithm>
#include <atomic>

namespace pli::compute {

namespace {

/// NaN and infinity are the numbers whose exponent has all of its bits set.
template <class Bits, Bits kExponent>
[[gnu::always_inline]] inline bool run_is_finite(const Bits* bits, int64_t count) {
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) found |= static_cast<Bits>((bits[i] & kExponent) == kExponent);
  return found == 0;
}

template <class Bits, Bits kExponent>
bool are_finite(const Tensor& tensor) {
  constexpr int64_t kRun = 16384;  // so that what is found early ends the search
  constexpr int64_t kGrain = 8;
  const auto* bits = reinterpret_cast<const Bits*>(tensor.bytes().data());
  const auto count = static_cast<int64_t>(tensor.size());
  std::atomic<bool> finite = true;
  parallel_for((count + kRun - 1) / kRun, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && finite; ++i)
      if (!simd<run_is_finite<Bits, kExponent>>(bits + i * kRun, std::min(kRun, count - i * kRun))) finite = false;
  });
  return finite;
}

}  // namespace

bool all_finite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DataType::kFloat32:
      return are_finite<uint32_t, 0x7f800000>(tensor);
    case DataType::kFloat64:
      return are_finite<uint64_t, 0x7ff0000000000000>(tensor);
    case DataType::kFloat16:
      return are_finite<uint16_t, 0x7c00>(tensor);
    case DataType::kBfloat16:
      return are_finite<uint16_t, 0x7f80>(tensor);
    default:
      return true;
  }
}

}  // namespace pli::compute
