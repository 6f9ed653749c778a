#include "runtime/compute/simd.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

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

/// What oneDNN is told to use at most goes for our own code, too.
SimdLevel asked_level() {
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    const char* const value = std::getenv(name);
    if (!value || !*value) continue;
    std::string most = value;  // in any case
    for (char& c : most) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return most == "sse41" || most == "avx" ? SimdLevel::kBaseline
           : most.starts_with("avx2")       ? SimdLevel::kAvx2
                                            : SimdLevel::kAvx512;
  }
  return SimdLevel::kAvx512;
}

}  // namespace

SimdLevel detail::simd_level_in_use = std::min(highest_level(), asked_level());

SimdLevel simd_level() { return detail::simd_level_in_use; }

void limit_simd(SimdLevel most) { detail::simd_level_in_use = std::min(most, highest_level()); }

}  // namespace pli::compute
