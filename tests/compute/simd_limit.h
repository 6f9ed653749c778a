#pragma once

#include "runtime/compute/simd.h"

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

}  // namespace pli::compute
