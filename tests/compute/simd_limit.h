#pragma once

#include "runtime/compute/simd.h"

#include <gtest/gtest.h>

#include <string>

namespace pli::compute {

/// Holds kernels at a level, or at the highest below it that the machine has, while it lives.
class SimdLimit {
 public:
  explicit SimdLimit(SimdLevel most) : before_(simd_level()) { limit_simd(most); }
  ~SimdLimit() { limit_simd(before_); }
  SimdLimit(const SimdLimit&) = delete;
  SimdLimit& operator=(const SimdLimit&) = delete;

 private:
  SimdLevel before_;
};

/// For suites that run at each of them.
inline constexpr SimdLevel kSimdLevels[] = {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512};

inline std::string level_name(const testing::TestParamInfo<SimdLevel>& info) {
  return info.param == SimdLevel::kBaseline ? "Baseline" : info.param == SimdLevel::kAvx2 ? "Avx2" : "Avx512";
}

}  // namespace pli::compute
