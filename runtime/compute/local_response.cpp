#include "runtime/compute/local_response.h"

#include "runtime/compute/loops.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"
#include "runtime/compute/vector_math.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 2048;  // elements that are worth a thread
constexpr int64_t kBlock = 256;   // channels at a time

/// First and last channel around `c`.
struct Neighbours {
  int64_t first;
  int64_t last;
};
Neighbours neighbours(int64_t c, int64_t size, int64_t channels) {
  return {std::max<int64_t>(c - (size - 1) / 2, 0), std::min(c + size / 2, channels - 1)};
}

/// total[k] += in[from + k]^2 for k in [first, last).
[[gnu::always_inline]] inline void add_squares(const float* in, int64_t from, int64_t first, int64_t last,
                                               float* total) {
  for (int64_t k = first; k < last; ++k) total[k] += in[from + k] * in[from + k];
}

[[gnu::always_inline]] inline void divide_by_power(const float* in, int64_t count, const float* total, float slope,
                                                   float bias, float beta, float* out) {
#pragma omp simd
  for (int64_t c = 0; c < count; ++c) out[c] = in[c] * fast_exp(-beta * fast_log(bias + slope * total[c]));
}

/// Contiguous channels, a block at a time.
void respond_to_row(const LocalResponse& r, const float* in, int64_t channels, float* out) {
  std::array<float, kBlock> total;
  for (int64_t c = 0; c < channels; c += kBlock) {
    const int64_t width = std::min(kBlock, channels - c);
    total.fill(0);
    for (int64_t offset = -std::min((r.size - 1) / 2, channels); offset <= std::min(r.size / 2, channels); ++offset)
      simd<add_squares>(in, c + offset, std::max<int64_t>(0, -(c + offset)), std::min(width, channels - c - offset),
                        total.data());
    simd<divide_by_power>(in + c, width, total.data(), static_cast<float>(r.alpha / static_cast<double>(r.size)),
                          static_cast<float>(r.bias), static_cast<float>(r.beta), out + c);
  }
}

template <class T>
void respond(const LocalResponse& r, const T* in, const Loop& channels, T* out) {
  for (int64_t c = 0; c < channels.size; ++c) {
    const Neighbours around = neighbours(c, r.size, channels.size);
    double total = 0;
    for (int64_t k = around.first; k <= around.last; ++k) {
      const auto x = static_cast<double>(in[k * channels.in]);
      total += x * x;
    }
    const double power = std::pow(r.bias + r.alpha / static_cast<double>(r.size) * total, -r.beta);
    out[c * channels.in] = static_cast<T>(static_cast<double>(in[c * channels.in]) * power);
  }
}

template <class T>
std::unique_ptr<Kernel> make_any(const LocalResponse& response, const Loop& channels, std::vector<Loop> pixels) {
  return make_kernel([=](const RunArgs& args) {
    const T* in = args.input<T>(0);
    T* out = args.output<T>(0);
    parallel_for(size_of(pixels), grain_of(channels.size, kGrain), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = offsets_of(pixels, i).in;
        if constexpr (std::is_same_v<T, float>) {
          if (channels.in == 1) {
            respond_to_row(response, in + at, channels.size, out + at);
            continue;
          }
        }
        respond(response, in + at, channels, out + at);
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> make_local_response(const LocalResponse& response, const TensorDesc& desc) {
  const Loop channels{desc.dims[1], desc.strides[1], desc.strides[1]};
  std::vector<Loop> pixels;
  for (size_t i = 0; i < desc.dims.size(); ++i)
    if (i != 1) pixels.push_back({desc.dims[i], desc.strides[i], desc.strides[i]});
  pixels = merged(std::move(pixels));
  if (desc.dtype == DataType::kFloat64) return make_any<double>(response, channels, std::move(pixels));
  if (desc.dtype == DataType::kFloat32) return make_any<float>(response, channels, std::move(pixels));
  fail(ErrorCode::kUnsupported, "elements of {}", to_string(desc.dtype));
}

}  // namespace pli::compute
