#include "runtime/compute/simd.h"

#include <algorithm>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pli::compute {

namespace {

SimdLevel highest_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool has_f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
  if (!has_f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return SimdLevel::kBaseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  return wide ? SimdLevel::kAvx512 : SimdLevel::kAvx2;
#else
  return SimdLevel::kBaseline;
#endif
}

}  // namespace

SimdLevel detail::simd_level_in_use = highest_level();

SimdLevel simd_level() { return detail::simd_level_in_use; }

void limit_simd(SimdLevel most) { detail::simd_level_in_use = std::min(most, highest_level()); }

}  // namespace pli::compute
