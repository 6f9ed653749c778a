#pragma once

#include <utility>

namespace pli::compute {

/// The instruction sets that hot loops are compiled for, each with everything of those before it.
enum class SimdLevel {
  kBaseline,  // what every processor of this architecture has
  kAvx2,      // AVX2, FMA, F16C
  kAvx512,    // AVX-512 F, BW, CD, DQ, VL
};

/// The level in use: the highest that the processor has, unless a lower one was asked for, by limit_simd or by
/// ONEDNN_MAX_CPU_ISA, oneDNN's variable.
SimdLevel simd_level();

/// Uses no higher level than this from now on; what the processor lacks is never used. Not while kernels run.
void limit_simd(SimdLevel most);

namespace detail {

extern SimdLevel simd_level_in_use;

#define PLI_TARGET_AVX2 [[gnu::target("avx2,f16c,fma")]]
#define PLI_TARGET_AVX512 [[gnu::target("avx2,f16c,fma,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]]

template <auto kBody, class Function>
struct Simd;

template <auto kBody, class Result, class... Args>
struct Simd<kBody, Result (*)(Args...)> {
  Result operator()(Args... args) const {
#if defined(__x86_64__)
    switch (simd_level_in_use) {
      case SimdLevel::kAvx512:
        return avx512(args...);
      case SimdLevel::kAvx2:
        return avx2(args...);
      case SimdLevel::kBaseline:
        break;
    }
#endif
    return kBody(args...);
  }

  /// The one for this level, which the processor has to have.
  template <SimdLevel kLevel>
  static constexpr Result (*at())(Args...) {
#if defined(__x86_64__)
    if constexpr (kLevel == SimdLevel::kAvx512) return avx512;
    if constexpr (kLevel == SimdLevel::kAvx2) return avx2;
#endif
    return kBody;
  }

#if defined(__x86_64__)
 private:
  PLI_TARGET_AVX2 static Result avx2(Args... args) { return kBody(args...); }
  PLI_TARGET_AVX512 static Result avx512(Args... args) { return kBody(args...); }
#endif
};

#undef PLI_TARGET_AVX2
#undef PLI_TARGET_AVX512

}  // namespace detail

/// simd<body>(args...) is body(args...), compiled for each level and called at the one in use. `body`, and what is hot
/// in what it calls, has to be [[gnu::always_inline]]: what is not inlined is compiled for the baseline.
/// simd<body>.at<level>() is a pointer to one of them, where bodies are written for the registers of a level.
template <auto kBody>
inline constexpr detail::Simd<kBody, decltype(kBody)> simd{};

/// The same where the body differs with the level: the one that stands for the level in use.
template <auto kBaseline, auto kAvx2, auto kAvx512, class... Args>
auto simd_of(Args&&... args) {
  switch (simd_level()) {
    case SimdLevel::kAvx512:
      return simd<kAvx512>.template at<SimdLevel::kAvx512>()(std::forward<Args>(args)...);
    case SimdLevel::kAvx2:
      return simd<kAvx2>.template at<SimdLevel::kAvx2>()(std::forward<Args>(args)...);
    case SimdLevel::kBaseline:
      break;
  }
  return simd<kBaseline>.template at<SimdLevel::kBaseline>()(std::forward<Args>(args)...);
}

}  // namespace pli::compute
