#include "runtime/ops/normalization/batch_normalization.h"

#include "runtime/compute/elementwise.h"
#include "runtime/ops/activation/activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace pli::ops {

namespace {

// --- inference -----------------------------------------------------------------------------------

/// One of the four statistics against the channels or, not spatial, against the sample's shape.
void check_statistic(const BatchNormView& view, const ir::Type& x, const ir::Type& statistic, std::string_view what) {
  if (!statistic.dims) return;
  if (view.spatial && statistic.rank() != 1)
    fail(ErrorCode::kInvalidModel, "{} has rank {}, not 1", what, statistic.rank());
  if (!x.dims) return;
  if (!view.spatial && statistic.rank() != x.rank() - 1)
    fail(ErrorCode::kInvalidModel, "{} has rank {}, where attribute spatial = 0 asks for the {} dimensions of a sample",
         what, statistic.rank(), x.rank() - 1);
  for (size_t i = 0; i < statistic.dims->size(); ++i) {
    const ir::Dim dim = x.rank() == 1 ? ir::Dim(1) : (*x.dims)[i + 1];
    const ir::Dim& size = (*statistic.dims)[i];
    if (!dim.known() || !size.known() || dim.value() == size.value()) continue;
    if (!view.spatial)
      fail(ErrorCode::kInvalidModel,
           "dimension {} of {} is {}, where attribute spatial = 0 asks for {}, as samples have it", i, what,
           size.value(), dim.value());
    fail(ErrorCode::kInvalidModel, "{} has {} elements, where the input has {} channels", what, size.value(),
         dim.value());
  }
}

std::vector<ir::Type> infer_batch_normalization(const InferContext& context) {
  context.check_inputs(5, 5);
  if (context.node.outputs.empty() || context.node.outputs.size() > 5)
    fail(ErrorCode::kInvalidModel, "{} outputs", context.node.outputs.size());
  const BatchNormView view = BatchNormView::of(context.graph, context.node);
  std::vector<ir::Type> types(context.node.outputs.size(), context.graph.type(view.mean));
  types[0] = context.type(0);
  return types;
}

// --- kernel --------------------------------------------------------------------------------------

/// y = scale * x + shift over [outer, channels, inner] in memory.
struct AffineLoop {
  int64_t outer = 1, channels = 1, inner = 1;
};

template <class T>
[[gnu::always_inline]] inline void scale_shift_rows(const T* x, T* y, const T* scale, const T* shift,
                                                    const AffineLoop& loop, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t channel = row % loop.channels;
    const T factor = scale[channel];
    const T offset = shift[channel];
    const T* from = x + row * loop.inner;
    T* to = y + row * loop.inner;
    for (int64_t i = 0; i < loop.inner; ++i) to[i] = factor * from[i] + offset;
  }
}

template <class T>
[[gnu::always_inline]] inline void scale_shift_vectors(const T* x, T* y, const T* scale, const T* shift,
                                                       const AffineLoop& loop, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* from = x + row * loop.channels;
    T* to = y + row * loop.channels;
    for (int64_t c = 0; c < loop.channels; ++c) to[c] = scale[c] * from[c] + shift[c];
  }
}

/// What is done to the results, float32 then: in place, on a run of them.
using Activations = std::vector<compute::TileLoop>;

template <class T>
void scale_shift(const T* x, T* y, const T* scale, const T* shift, const AffineLoop& loop,
                 const Activations& activations) {
  const bool channels_inside = loop.inner == 1;
  const int64_t width = channels_inside ? loop.channels : loop.inner;
  const int64_t rows = channels_inside ? loop.outer : loop.outer * loop.channels;
  // Activations find the results of a block still in the nearest cache.
  const int64_t block = activations.empty() ? rows : std::max<int64_t>(compute::Walk::kTileElements / width, 1);
  compute::parallel_for(rows, compute::kLightGrain / width + 1, [&](int64_t begin, int64_t end) {
    for (int64_t from = begin; from < end; from += block) {
      const int64_t to = std::min(from + block, end);
      if (channels_inside)
        compute::simd<scale_shift_vectors<T>>(x, y, scale, shift, loop, from, to);
      else
        compute::simd<scale_shift_rows<T>>(x, y, scale, shift, loop, from, to);
      compute::Tile tile{.rows = 1, .columns = (to - from) * width, .output = y + from * width};
      tile.column_strides[0] = 1;
      for (const compute::TileLoop& activation : activations) activation.in_place(tile);
    }
  });
}

/// A dense layout holds, for each index of what is outside of the channels, all channels, each with a run of what is
/// inside: the channels' stride is the length of that run.
AffineLoop loop_of(const TensorDesc& x, bool spatial) {
  const int64_t size = x.size();
  if (!spatial) return {x.dims[0], size / std::max<int64_t>(x.dims[0], 1), 1};
  const int64_t channels = x.rank() > 1 ? x.dims[1] : 1;
  if (channels <= 1) return {1, 1, size};
  const int64_t inner = x.strides[1];
  return {size / (channels * inner), channels, inner};
}

/// A kernel's operand of one number a channel, float32 or float64.
class Parameter {
 public:
  Parameter() = default;
  /// kUnsupported for other types.
  explicit Parameter(const TensorDesc& desc) : is_double_(desc.dtype == DataType::kFloat64) {
    if (!is_double_ && desc.dtype != DataType::kFloat32)
      fail(ErrorCode::kUnsupported, "parameters of {}", to_string(desc.dtype));
  }
  double at(const void* data, int64_t channel) const {
    return is_double_ ? static_cast<const double*>(data)[channel]
                      : static_cast<double>(static_cast<const float*>(data)[channel]);
  }

 private:
  bool is_double_ = false;
};
using Parameters = std::array<Parameter, 4>;  // scale, bias, mean, variance

/// Parameters that are only known while running.
template <class T>
class DynamicBatchNormalization final : public Kernel {
 public:
  DynamicBatchNormalization(AffineLoop loop, double epsilon, const Parameters& parameters, Activations activations)
      : loop_(loop), epsilon_(epsilon), parameters_(parameters), activations_(std::move(activations)) {}

  size_t scratch_bytes() const override { return 2 * static_cast<size_t>(loop_.channels) * sizeof(T); }

  void run(const RunArgs& args) const override {
    auto* scale = static_cast<T*>(args.scratch);
    T* shift = scale + loop_.channels;
    const auto parameter = [&](size_t i, int64_t channel) { return parameters_[i].at(args.inputs[i + 1], channel); };
    for (int64_t c = 0; c < loop_.channels; ++c) {
      const double factor = parameter(0, c) / std::sqrt(parameter(3, c) + epsilon_);
      scale[c] = static_cast<T>(factor);
      shift[c] = static_cast<T>(parameter(1, c) - parameter(2, c) * factor);
    }
    scale_shift<T>(args.input<T>(0), args.output<T>(0), scale, shift, loop_, activations_);
  }

 private:
  AffineLoop loop_;
  double epsilon_;
  Parameters parameters_;
  Activations activations_;
};

/// Training mode: mean and variance are those of each channel of x, whatever inputs 3 and 4 hold.
template <class T>
class BatchStatistics final : public Kernel {
 public:
  BatchStatistics(AffineLoop loop, double epsilon, const Parameters& parameters, Activations activations)
      : loop_(loop), epsilon_(epsilon), parameters_(parameters), activations_(std::move(activations)) {}

  size_t scratch_bytes() const override {
    return 2 * static_cast<size_t>(loop_.channels) * (sizeof(double) + sizeof(T));
  }

  void run(const RunArgs& args) const override {
    auto* mean = static_cast<double*>(args.scratch);
    double* variance = mean + loop_.channels;
    auto* scale = reinterpret_cast<T*>(variance + loop_.channels);
    T* shift = scale + loop_.channels;
    const T* x = args.input<T>(0);
    average(x, mean, [](double value, double) { return value; });
    const auto squared_distance = [&](double value, double center) { return (value - center) * (value - center); };
    average(x, variance, squared_distance, mean);
    for (int64_t c = 0; c < loop_.channels; ++c) {
      const double factor = parameters_[0].at(args.inputs[1], c) / std::sqrt(variance[c] + epsilon_);
      scale[c] = static_cast<T>(factor);
      shift[c] = static_cast<T>(parameters_[1].at(args.inputs[2], c) - mean[c] * factor);
    }
    scale_shift<T>(x, args.output<T>(0), scale, shift, loop_, activations_);
  }

 private:
  /// Of each channel, the mean of term(x, center).
  template <class Term>
  void average(const T* x, double* result, const Term& term, const double* centers = nullptr) const {
    std::fill_n(result, loop_.channels, 0.0);
    for (int64_t row = 0; row < loop_.outer * loop_.channels; ++row) {
      const int64_t channel = row % loop_.channels;
      const double center = centers ? centers[channel] : 0;
      for (int64_t i = 0; i < loop_.inner; ++i)
        result[channel] += term(static_cast<double>(x[row * loop_.inner + i]), center);
    }
    for (int64_t c = 0; c < loop_.channels; ++c) result[c] /= static_cast<double>(loop_.outer * loop_.inner);
  }

  AffineLoop loop_;
  double epsilon_;
  Parameters parameters_;
  Activations activations_;
};

template <class T>
std::unique_ptr<Kernel> make_batch_normalization(const PrepareContext& context, const BatchNormView& view) {
  const AffineLoop loop = loop_of(context.inputs[0], view.spatial);
  Activations activations;
  for (const Epilogue& epilogue : context.epilogues) activations.push_back(activation_loop(epilogue.activation));
  const auto first = context.constants.begin() + 1;
  const bool known = std::all_of(first, first + 4, [](const Tensor* constant) { return constant != nullptr; });
  if (!view.training && known) {
    const ChannelAffine affine = view.affine(*first[0], *first[1], *first[2], *first[3]);
    return compute::make_kernel([loop, scale = std::vector<T>(affine.scale.begin(), affine.scale.end()),
                                 shift = std::vector<T>(affine.shift.begin(), affine.shift.end()),
                                 activations = std::move(activations)](const RunArgs& args) {
      scale_shift<T>(args.input<T>(0), args.output<T>(0), scale.data(), shift.data(), loop, activations);
    });
  }
  Parameters parameters;
  for (size_t i = 0; i < (view.training ? 2 : 4); ++i) parameters[i] = Parameter(context.inputs[i + 1]);
  if (view.training)
    return std::make_unique<BatchStatistics<T>>(loop, view.epsilon, parameters, std::move(activations));
  return std::make_unique<DynamicBatchNormalization<T>>(loop, view.epsilon, parameters, std::move(activations));
}

std::unique_ptr<Kernel> prepare_batch_normalization(const PrepareContext& context) {
  const BatchNormView view = BatchNormView::of(context.graph, context.node);
  if (view.training && view.statistics_are_read)
    fail(ErrorCode::kUnsupported, "training mode whose statistics are read");
  const TensorDesc& x = context.inputs[0];
  if (x.size() == 0) return compute::make_kernel([](const RunArgs&) {});
  const int64_t channels = loop_of(x, view.spatial).channels;
  for (size_t i = 1; i < 5; ++i)
    if (context.inputs[i].size() != channels)
      fail(ErrorCode::kInvalidModel, "input {} has {} elements, not {}", i, context.inputs[i].size(), channels);
  return x.dtype == DataType::kFloat64 ? make_batch_normalization<double>(context, view)
                                       : make_batch_normalization<float>(context, view);
}

Layouts layout_batch_normalization(const PrepareContext& context) {
  return BatchNormView::of(context.graph, context.node).spatial ? shared_layouts(context) : row_major_layouts(context);
}

}  // namespace

BatchNormView BatchNormView::of(const ir::Graph& graph, const ir::Node& node) {
  BatchNormView view{.x = node.input(0),
                     .scale = node.input(1),
                     .bias = node.input(2),
                     .mean = node.input(3),
                     .variance = node.input(4)};
  for (size_t i = 0; i < 5; ++i)
    if (!node.input(i)) fail(ErrorCode::kInvalidModel, "input {} of 5 is missing", i);
  const int64_t opset = graph.opset("");
  view.epsilon = static_cast<double>(node.float_or("epsilon", 1e-5f));
  view.spatial = opset >= 9 || node.int_or("spatial", 1) != 0;
  const auto statistics = std::span(node.outputs).subspan(std::min<size_t>(1, node.outputs.size()));
  const bool listed = std::ranges::any_of(statistics, [](ir::ValueId id) { return static_cast<bool>(id); });
  view.statistics_are_read = std::ranges::any_of(statistics, [&](ir::ValueId id) { return graph.is_used(id); });
  if (opset >= 14) {
    view.training = node.int_or("training_mode", 0) != 0;
  } else if (opset >= 7) {
    view.training = view.statistics_are_read;
    view.lists_unread_statistics = listed && !view.statistics_are_read;
  } else {
    view.training = listed || node.int_or("is_test", 0) == 0;
  }

  const ir::Type& x = graph.type(view.x);
  if (x.dims && x.dims->empty()) fail(ErrorCode::kInvalidModel, "the input is a scalar");
  constexpr std::array<std::string_view, 4> kNames{"scale", "bias", "mean", "variance"};
  for (size_t i = 0; i < kNames.size(); ++i) check_statistic(view, x, graph.type(node.inputs[i + 1]), kNames[i]);
  return view;
}

ChannelAffine BatchNormView::affine(const Tensor& gamma, const Tensor& beta, const Tensor& mu,
                                    const Tensor& sigma_squared) const {
  ChannelAffine affine{to_doubles(gamma), to_doubles(beta), 1};
  const std::vector<double> means = to_doubles(mu);
  const std::vector<double> variances = to_doubles(sigma_squared);
  if (affine.shift.size() != affine.scale.size() || means.size() != affine.scale.size() ||
      variances.size() != affine.scale.size())
    fail(ErrorCode::kInvalidModel, "scale, bias, mean and variance have {}, {}, {} and {} elements",
         affine.scale.size(), affine.shift.size(), means.size(), variances.size());
  for (size_t i = 0; i < affine.scale.size(); ++i) {
    affine.scale[i] /= std::sqrt(variances[i] + epsilon);
    affine.shift[i] -= means[i] * affine.scale[i];
  }
  return affine;
}

Family batch_normalization_family() {
  static constexpr std::array<Operator, 1> kOperators{{
      {.type = "BatchNormalization",
       .since = 1,
       .until = kNewestOpset,
       .types = kF32 | kF64,
       .infer = infer_batch_normalization,
       .prepare = prepare_batch_normalization,
       .layout = layout_batch_normalization,
       .epilogues = kTakesActivation},
  }};
  return kOperators;
}

}  // namespace pli::ops
