#include "runtime/compute/convolution_f64.h"

#include "runtime/compute/onednn.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/product_f64.h"

#include <algorithm>
#include <array>

namespace pli::compute {

namespace {

constexpr int64_t kOutside = -1;

/// One spatial dimension: which element of the input a place of the kernel meets at a place of the output.
struct Axis {
  int64_t kernel, output, input;
  int64_t step, dilation, pad;
  int64_t stride;  // of the input, in elements
  bool transposed;

  Axis(const ConvolutionProblem& problem, size_t i, int64_t input_stride)
      : kernel(problem.weight_dims[i + 2]),
        output(problem.result.dims[i + 2]),
        input(problem.source.dims[i + 2]),
        step(problem.strides[i]),
        dilation(problem.dilations[i]),
        pad(problem.pads_begin[i]),
        stride(input_stride),
        transposed(problem.transposed) {}

  /// In elements; kOutside: none.
  int64_t offset(int64_t k, int64_t o) const {
    int64_t at = o * step + k * dilation - pad;
    if (transposed) {
      const int64_t behind = o + pad - k * dilation;
      at = behind % step == 0 ? behind / step : kOutside;
    }
    return at >= 0 && at < input ? at * stride : kOutside;
  }
};

/// What does not depend on the image.
struct Geometry {
  std::vector<Axis> axes;
  int64_t channels = 0;  // of a group
  int64_t plane = 1;     // elements of a channel of the input
  int64_t pixels = 1;    // of a channel of the output
  int64_t taps = 1;      // places of the kernel

  explicit Geometry(const ConvolutionProblem& problem) : channels(problem.source.dims[1] / problem.groups) {
    const PerAxis strides = plain_strides(problem.source.dims);
    for (size_t i = 0; i < problem.strides.size(); ++i) {
      axes.emplace_back(problem, i, strides[i + 2]);
      plane *= problem.source.dims[i + 2];
      pixels *= axes.back().output;
      taps *= axes.back().kernel;
    }
  }
};

/// The input of a group as a matrix: a row for each place of the kernel and, inside of that, each channel; a column for
/// each pixel of the output.
class ImageColumns final : public RightFactor {
 public:
  ImageColumns(const Geometry& geometry, const double* image) : geometry_(geometry), image_(image) {}

  void pack(int64_t k, int64_t count, int64_t column, double* to) const override {
    const Pixels pixels = pixels_at(column);
    const int64_t end = k + count;
    while (k < end) {
      const int64_t tap = k / geometry_.channels;
      const int64_t next = std::min(end, (tap + 1) * geometry_.channels);
      pack_tap(offsets_at(pixels, tap), k % geometry_.channels, next - k, to);
      to += (next - k) * kPanelColumns;
      k = next;
    }
  }

 private:
  static constexpr size_t kMostAxes = 3;
  using Places = std::array<int64_t, kPanelColumns>;
  struct Pixels {
    std::array<Places, kMostAxes> at{};  // by axis
    int64_t count = 0;                   // that there are
  };

  Pixels pixels_at(int64_t column) const {
    Pixels pixels;
    pixels.count = std::min(kPanelColumns, geometry_.pixels - column);
    for (int64_t i = 0; i < pixels.count; ++i) {
      int64_t rest = column + i;
      for (size_t axis = geometry_.axes.size(); axis-- > 0; rest /= geometry_.axes[axis].output)
        pixels.at[axis][static_cast<size_t>(i)] = rest % geometry_.axes[axis].output;
    }
    return pixels;
  }

  Places offsets_at(const Pixels& pixels, int64_t tap) const {
    Places offsets;
    offsets.fill(kOutside);
    std::fill_n(offsets.begin(), pixels.count, 0);
    for (size_t i = geometry_.axes.size(); i-- > 0; tap /= geometry_.axes[i].kernel) {
      const Axis& axis = geometry_.axes[i];
      const int64_t place = tap % axis.kernel;
      for (size_t column = 0; column < static_cast<size_t>(pixels.count); ++column) {
        const int64_t offset = axis.offset(place, pixels.at[i][column]);
        offsets[column] = offset == kOutside || offsets[column] == kOutside ? kOutside : offsets[column] + offset;
      }
    }
    return offsets;
  }

  void pack_tap(const Places& offsets, int64_t channel, int64_t count, double* to) const {
    const double* from = image_ + channel * geometry_.plane;
    bool adjacent = offsets[0] != kOutside;
    for (size_t i = 1; i < offsets.size(); ++i) adjacent = adjacent && offsets[i] == offsets[i - 1] + 1;
    for (; count > 0; --count, from += geometry_.plane, to += kPanelColumns) {
      if (adjacent)
        std::copy_n(from + offsets[0], kPanelColumns, to);
      else
        for (size_t i = 0; i < offsets.size(); ++i) to[i] = offsets[i] == kOutside ? 0 : from[offsets[i]];
    }
  }

  const Geometry& geometry_;
  const double* image_;
};

/// The weights, a left factor for each group. They keep the tensor that they were made of: its address is their name.
struct Weights {
  Tensor tensor;
  std::vector<LeftPanels> groups;

  int64_t bytes() const {
    int64_t total = 0;
    for (const LeftPanels& panels : groups) total += panels.bytes();
    return total;
  }
};

std::vector<LeftPanels> weights_of(const ConvolutionProblem& problem, const Geometry& geometry, const double* weight) {
  const int64_t filters = problem.result.dims[1] / problem.groups, channels = geometry.channels, taps = geometry.taps;
  std::vector<LeftPanels> groups;
  for (int64_t group = 0; group < problem.groups; ++group)
    groups.emplace_back(filters, channels * taps, [&](int64_t filter, int64_t k) {
      const int64_t channel = k % channels, tap = k / channels;
      return problem.transposed ? weight[((group * channels + channel) * filters + filter) * taps + tap]
                                : weight[((group * filters + filter) * channels + channel) * taps + tap];
    });
  return groups;
}

class ConvolutionF64 final : public Kernel {
 public:
  explicit ConvolutionF64(const ConvolutionProblem& problem) : problem_(problem), geometry_(problem) {
    if (!problem.weight) return;
    const auto make = [&](const Tensor& numbers) {
      return Weights{*problem.weight, weights_of(problem, geometry_, numbers.data<double>().data())};
    };
    const std::string form = fmt::format("f64 {} {}", problem.groups, problem.transposed);
    weights_ = problem.cache ? problem.cache->form_of<Weights>(*problem.weight, form, make)
                             : std::make_shared<const Weights>(make(*problem.weight));
    problem_.cache = nullptr;
  }

  std::string implementation() const override { return "blocked:f64"; }

  void run(const RunArgs& args) const override {
    const std::vector<LeftPanels> own =
        weights_ ? std::vector<LeftPanels>() : weights_of(problem_, geometry_, args.input<double>(1));
    const std::vector<LeftPanels>& weights = weights_ ? weights_->groups : own;
    const double* bias = !problem_.has_bias ? nullptr
                         : problem_.bias    ? problem_.bias->data<double>().data()
                                            : args.input<double>(2);
    const int64_t groups = problem_.groups, products = problem_.source.dims[0] * groups;
    const int64_t filters = problem_.result.dims[1] / groups;
    const auto convolve = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const ImageColumns image(geometry_, args.input<double>(0) + i * geometry_.channels * geometry_.plane);
        multiply(weights[static_cast<size_t>(i % groups)], image, geometry_.pixels,
                 bias ? bias + i % groups * filters : nullptr, args.output<double>(0) + i * filters * geometry_.pixels,
                 geometry_.pixels);
      }
    };
    if (products >= 2 * threads_here())
      parallel_for(products, 1, convolve);
    else
      convolve(0, products);
  }

 private:
  ConvolutionProblem problem_;
  Geometry geometry_;
  std::shared_ptr<const Weights> weights_;  // null: known when it runs
};

}  // namespace

std::unique_ptr<Kernel> make_convolution_f64(const ConvolutionProblem& problem) {
  if (!problem.post_ops.empty()) fail(ErrorCode::kInternal, "a convolution of float64 with something fused");
  if (problem.result.size() == 0) return make_kernel([](const RunArgs&) {});
  return std::make_unique<ConvolutionF64>(problem);
}

}  // namespace pli::compute
