#include "runtime/compute/halves.h"

#include "runtime/compute/simd.h"

#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pli::compute {

namespace {

// --- float16 by integer arithmetic -----------------------------------------------------------------------------------

float widened(Float16 half) {
  const uint32_t magnitude = static_cast<uint32_t>(half.bits & 0x7fffu) << 13;
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  // Exponents are moved by 127 - 15; those of infinity and NaN by as much again.
  const uint32_t normal = magnitude + (112u << 23) + (magnitude >= (31u << 23) ? 112u << 23 : 0u);
  // 2^-14 + m 2^-24 less 2^-14: no subnormal float is computed with, so that no mode of the processor makes it zero.
  const float subnormal = std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23);
  const uint32_t bits = magnitude < (1u << 23) ? std::bit_cast<uint32_t>(subnormal) : normal;
  return std::bit_cast<float>(bits | sign);
}

Float16 narrowed(float value) {
  constexpr uint32_t kInfinity = 0x7f800000u, kLeastInfinite = 0x477ff000u;  // 65520, half way to what would be 2^16
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t result = 0;
  if (magnitude > kInfinity)
    result = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  else if (magnitude >= kLeastInfinite)
    result = 0x7c00u;
  else if (magnitude >= (113u << 23))
    result = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  else  // beside 1/2 the spacing of floats is 2^-24, that of subnormal halves: the sum rounds
    result = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  return {static_cast<uint16_t>(result | ((bits >> 16) & 0x8000u))};
}

// --- by the processor ------------------------------------------------------------------------------------------------

#if defined(__x86_64__)
[[gnu::target("avx2,f16c")]] int64_t widen_by_eight(const Float16* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  return i;
}

[[gnu::target("avx2,f16c")]] int64_t narrow_by_eight(const float* from, Float16* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  return i;
}

bool has_instructions() { return simd_level() >= SimdLevel::kAvx2; }
#else
int64_t widen_by_eight(const Float16*, float*, int64_t) { return 0; }
int64_t narrow_by_eight(const float*, Float16*, int64_t) { return 0; }
bool has_instructions() { return false; }
#endif

// --- bfloat16 --------------------------------------------------------------------------------------------------------

[[gnu::always_inline]] inline void widen_all(const Bfloat16* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = std::bit_cast<float>(static_cast<uint32_t>(from[i].bits) << 16);
}

[[gnu::always_inline]] inline void narrow_all(const float* from, Bfloat16* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(from[i]);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t nan = (bits >> 16) | 0x40u;
    to[i].bits = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
}

template <class Body>
void with_half_type(DataType dtype, const Body& body) {
  if (dtype == DataType::kFloat16)
    body(Float16{});
  else if (dtype == DataType::kBfloat16)
    body(Bfloat16{});
  else
    fail(ErrorCode::kInternal, "{} is no half", to_string(dtype));
}

}  // namespace

void widen(const Float16* from, float* to, int64_t count) {
  int64_t i = has_instructions() ? widen_by_eight(from, to, count) : 0;
  for (; i < count; ++i) to[i] = widened(from[i]);
}

void narrow(const float* from, Float16* to, int64_t count) {
  int64_t i = has_instructions() ? narrow_by_eight(from, to, count) : 0;
  for (; i < count; ++i) to[i] = narrowed(from[i]);
}

void widen(const Bfloat16* from, float* to, int64_t count) { simd<widen_all>(from, to, count); }

void narrow(const float* from, Bfloat16* to, int64_t count) { simd<narrow_all>(from, to, count); }

Tensor widened(const Tensor& tensor) {
  Tensor result(DataType::kFloat32, Shape(tensor.shape().begin(), tensor.shape().end()));
  with_half_type(tensor.dtype(), [&]<class Half>(Half) {
    widen(tensor.data<Half>().data(), result.mutable_data<float>().data(), static_cast<int64_t>(tensor.size()));
  });
  return result;
}

Tensor narrowed(const Tensor& tensor, DataType dtype) {
  Tensor result(dtype, Shape(tensor.shape().begin(), tensor.shape().end()));
  with_half_type(dtype, [&]<class Half>(Half) {
    narrow(tensor.data<float>().data(), result.mutable_data<Half>().data(), static_cast<int64_t>(tensor.size()));
  });
  return result;
}

}  // namespace pli::compute
