#include "runtime/compute/pooling.h"

#include "runtime/compute/lanes.h"
#include "runtime/compute/loops.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/pool_taps.h"
#include "runtime/core/dispatch.h"

#include <cmath>
#include <limits>

namespace pli::compute {

namespace {

constexpr int64_t kGrain = 8192;  // elements read that are worth a thread

/// Elements that the windows of one row of the output read, about.
int64_t row_work(const Pool& pool, int64_t channels) {
  double work = static_cast<double>(channels) * static_cast<double>(pool.axes[2].output);
  for (const PoolAxis& axis : pool.axes) work *= static_cast<double>(std::min(axis.kernel, axis.input));
  return static_cast<int64_t>(std::min(work, 1e15)) + 1;
}

std::unique_ptr<Kernel> make_channels_last(const Pool& pool, const TensorDesc& input) {
  const int64_t batch = input.dims[0];
  const int64_t channels = input.dims[1];
  const auto& [depth, height, width] = pool.axes;
  const int64_t image = depth.input * height.input * width.input * channels;
  return make_kernel([=, grain = grain_of(row_work(pool, channels), kGrain)](const RunArgs& args) {
    const auto* in = args.input<float>(0);
    auto* out = args.output<float>(0);
    parallel_for(batch * pool.axes[0].output * pool.axes[1].output, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t oh = i % pool.axes[1].output;
        const int64_t od = i / pool.axes[1].output % pool.axes[0].output;
        const int64_t n = i / pool.axes[1].output / pool.axes[0].output;
        pool_row_f32(pool, channels, in + n * image, od, oh, out + i * pool.axes[2].output * channels);
      }
    });
  });
}

/// Strides of N, C, depth, height, width; 0 for dimensions that the tensor does not have.
std::array<int64_t, 5> five_strides(const TensorDesc& desc) {
  std::array<int64_t, 5> strides{};
  if (!desc.present()) return strides;
  strides[0] = desc.strides[0];
  strides[1] = desc.strides[1];
  for (size_t i = desc.strides.size(), to = 5; i-- > 2;) strides[--to] = desc.strides[i];
  return strides;
}

/// A pool of any kind, type and layout.
template <class T>
struct AnyPool {
  Pool pool;
  int64_t batch;
  int64_t channels;
  std::array<int64_t, 5> in;
  std::array<int64_t, 5> out;
  std::array<int64_t, 5> index;

  using Windows = std::array<PoolTaps, 3>;

  /// Calls body(value, position in the image) for each element of a window.
  template <class Body>
  void for_each_tap(const Windows& windows, const T* channel, const Body& body) const {
    const auto& [depth, height, width] = pool.axes;
    for (int64_t i = 0; i < windows[0].count; ++i) {
      const int64_t d = windows[0].first + i * depth.dilation;
      for (int64_t j = 0; j < windows[1].count; ++j) {
        const int64_t h = windows[1].first + j * height.dilation;
        for (int64_t k = 0; k < windows[2].count; ++k) {
          const int64_t w = windows[2].first + k * width.dilation;
          const int64_t at = pool.column_major_indices ? d + depth.input * (h + height.input * w)
                                                       : (d * height.input + h) * width.input + w;
          body(channel[d * in[2] + h * in[3] + w * in[4]], at);
        }
      }
    }
  }

  T largest(const Windows& windows, const T* channel, int64_t& position) const {
    using Limits = std::numeric_limits<T>;
    T most = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    position = -1;
    for_each_tap(windows, channel, [&](T value, int64_t at) {
      const bool better = position < 0 || value > most || (value != value && most == most);
      if (!better) return;
      most = value;
      position = at;
    });
    return most;
  }

  T average(const Windows& windows, const T* channel) const {
    double total = 0;
    double counted = 1;
    for_each_tap(windows, channel, [&](T value, int64_t) { total += static_cast<double>(value); });
    for (const PoolTaps& taps : windows)
      counted *= static_cast<double>(pool.count_include_pad ? taps.padded_count : taps.count);
    return static_cast<T>(total / std::max(counted, 1.0));
  }

  T norm(const Windows& windows, const T* channel) const {
    double total = 0;
    for_each_tap(windows, channel,
                 [&](T value, int64_t) { total += std::pow(std::abs(static_cast<double>(value)), pool.p); });
    return static_cast<T>(std::pow(total, 1 / pool.p));
  }

  void run(const RunArgs& args) const {
    const auto &depth = pool.axes[0], &height = pool.axes[1], &width = pool.axes[2];
    const Loop loops[]{
        {batch, in[0], out[0]}, {channels, in[1], out[1]}, {depth.output, 0, out[2]}, {height.output, 0, out[3]}};
    const int64_t image = depth.input * height.input * width.input;
    auto* indices = args.outputs.size() > 1 ? args.output<int64_t>(1) : nullptr;
    parallel_for(size_of(loops), grain_of(row_work(pool, 1), kGrain), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Offsets at = offsets_of(loops, i);
        const int64_t oh = i % height.output;
        const int64_t od = i / height.output % depth.output;
        const int64_t c = i / height.output / depth.output % channels;
        const int64_t n = i / height.output / depth.output / channels;
        const T* channel = args.input<T>(0) + at.in;
        T* row = args.output<T>(0) + at.out;
        Windows windows{taps_at(depth, od), taps_at(height, oh), {}};
        for (int64_t ow = 0; ow < width.output; ++ow) {
          windows[2] = taps_at(width, ow);
          T& result = row[ow * out[4]];
          if (pool.kind == Pool::Kind::kAverage) {
            result = average(windows, channel);
          } else if (pool.kind == Pool::Kind::kLp) {
            result = norm(windows, channel);
          } else {
            int64_t position = -1;
            result = largest(windows, channel, position);
            if (indices)
              indices[n * index[0] + c * index[1] + od * index[2] + oh * index[3] + ow * index[4]] =
                  position < 0 ? -1 : (n * channels + c) * image + position;
          }
        }
      }
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_pool(const Pool& pool, const TensorDesc& input, const TensorDesc& output,
                                  const TensorDesc& indices) {
  if (input.dtype == DataType::kFloat32 && pool.kind != Pool::Kind::kLp && !indices.present() &&
      is_channels_last(input) && is_channels_last(output))
    return make_channels_last(pool, input);
  return with_number_type(input.dtype, [&](auto zero) -> std::unique_ptr<Kernel> {
    const AnyPool<decltype(zero)> any{
        pool, input.dims[0], input.dims[1], five_strides(input), five_strides(output), five_strides(indices)};
    return make_kernel([any](const RunArgs& args) { any.run(args); });
  });
}

}  // namespace pli::compute
