#include "runtime/compute/winograd.h"

#include "runtime/compute/convolution_geometry.h"
#include "runtime/compute/epilogue.h"
#include "runtime/compute/halves.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/winograd_tile.h"
#include "runtime/core/memory.h"

#include <algorithm>
#include <atomic>
#include <optional>

// The image is cut into tiles. For a block of tiles: each patch of the source is transformed; for each of the points
// the values of all tiles are a matrix [tiles, channels], which is multiplied with the filters' values [channels,
// filters]; and each tile of the products is transformed to pixels of the result. Where the tiles that share the first
// two steps fit into the second cache a thread does all three; otherwise the blocks are larger, so that the filters'
// values are read less often, and the threads share each step.

namespace pli::compute {

namespace {

constexpr int64_t kFloatBytes = sizeof(float), kTaps = 9;

/// The filters' values at the points: [points][filters / 16][channels][16]. They keep the tensor that they were made
/// of: its address and shape are their name.
struct FilterValues {
  Tensor tensor;
  std::shared_ptr<std::byte> memory;
  int64_t size = 0;

  int64_t bytes() const { return size; }
  const float* data() const { return reinterpret_cast<const float*>(memory.get()); }
};

const char* name_of(WinogradTile tile) { return tile == WinogradTile::k2x2 ? "winograd 2x2" : "winograd 4x4"; }

FilterValues values_of(WinogradTile tile, const Tensor& weight, const Tensor& content, int64_t filters,
                       int64_t channels) {
  constexpr int64_t kChannels = 8;  // at a time, for longer pieces of memory
  const Tensor stored = is_half(content.dtype()) ? widened(content) : content;
  const float* const numbers = stored.data<float>().data();
  const int64_t panels = parts_of(filters, kPanelColumns), of_point = panels * channels * kPanelColumns;
  const int64_t points = points_of(tile);
  FilterValues values{weight, nullptr, points * of_point * kFloatBytes};
  values.memory = allocate(static_cast<size_t>(values.size));
  auto* const to = reinterpret_cast<float*>(values.memory.get());
  parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel)
      for (int64_t channel = 0; channel < channels; channel += kChannels) {
        const int64_t first = panel * kPanelColumns, count = std::min(kPanelColumns, filters - first);
        const int64_t some = std::min(kChannels, channels - channel);
        double taps[kChannels * kTaps * kPanelColumns] = {};
        for (int64_t j = 0; j < count; ++j) {
          const float* const from = numbers + ((first + j) * channels + channel) * kTaps;
          for (int64_t i = 0; i < some * kTaps; ++i) taps[i * kPanelColumns + j] = static_cast<double>(from[i]);
        }
        float at_points[points_of(WinogradTile::k4x4) * kChannels * kPanelColumns];
        for (int64_t i = 0; i < some; ++i)
          winograd_filters(tile, taps + i * kTaps * kPanelColumns, at_points + i * kPanelColumns,
                           kChannels * kPanelColumns);
        for (int64_t q = 0; q < points; ++q)
          std::copy_n(at_points + q * kChannels * kPanelColumns, some * kPanelColumns,
                      to + q * of_point + (panel * channels + channel) * kPanelColumns);
      }
  });
  return values;
}

class WinogradConvolution final : public Kernel {
 public:
  WinogradConvolution(const KnownConvolution& convolution, WinogradTile tile, Epilogue epilogue,
                      int64_t most_scratch_bytes)
      : tile_(tile),
        epilogue_(std::move(epilogue)),
        bias_(convolution),
        images_(convolution.form.result.dims[0]),
        channels_(convolution.form.source.dims[1]),
        source_step_(convolution.form.source_step()),
        filters_(convolution.form.result.dims[1]),
        source_height_(convolution.form.source.dims[2]),
        source_width_(convolution.form.source.dims[3]),
        height_(convolution.form.result.dims[2]),
        width_(convolution.form.result.dims[3]),
        pad_top_(convolution.form.pads_begin[0]),
        pad_left_(convolution.form.pads_begin[1]),
        across_(parts_of(width_, side_of(tile))),
        tiles_(images_ * across_ * parts_of(height_, side_of(tile))),
        lanes_(threads_here()) {
    choose_block(most_scratch_bytes);
  }

  /// Before the first run.
  void transform_filters(const KnownConvolution& convolution) {
    const Tensor& weight = *convolution.weight;
    const auto make = [&](const Tensor& numbers) { return values_of(tile_, weight, numbers, filters_, channels_); };
    filter_ = convolution.cache ? convolution.cache->form_of<FilterValues>(weight, name_of(tile_), make)
                                : std::make_shared<const FilterValues>(make(weight));
  }

  size_t scratch_bytes() const override {
    return static_cast<size_t>((shares_steps_ ? 1 : lanes_) * block_floats() * kFloatBytes);
  }
  std::string implementation() const override { return name_of(tile_); }

  void run(const RunArgs& args) const override {
    const Call call{args, args.input<float>(0), bias_.of(args)};
    auto* const scratch = static_cast<float*>(args.scratch);
    const int64_t blocks = parts_of(tiles_, block_);
    if (shares_steps_) {
      for (int64_t i = 0; i < blocks; ++i) share_block(call, range_of_part(tiles_, i, blocks), scratch);
      return;
    }
    std::atomic<int64_t> next = 0;
    parallel_tasks(std::min<int64_t>(lanes_, blocks), [&](int64_t lane) {
      float* const own = scratch + lane * block_floats();
      for (int64_t i = next++; i < blocks; i = next++) {
        check_interrupt();
        const Range tiles = range_of_part(tiles_, i, blocks);
        transform_source(call, tiles, tiles, own);
        for (int64_t q = 0; q < points(); ++q) multiply_point(tiles.size(), q, {0, filters_}, own);
        transform_result(call, tiles, tiles, own);
      }
    });
  }

 private:
  struct Call {
    const RunArgs& args;
    const float* source;
    const float* bias;
  };

  int64_t points() const { return points_of(tile_); }

  /// Numbers of a point of so many tiles, of `width` numbers each: an odd number of the cache's lines, so that what a
  /// tile has at the points does not crowd a few of its sets.
  static int64_t point_floats(int64_t tiles, int64_t width) {
    constexpr int64_t kLine = 16;  // floats
    return (parts_of(tiles * width, kLine) | 1) * kLine;
  }
  int64_t source_floats(int64_t tiles) const { return points() * point_floats(tiles, channels_); }
  int64_t block_floats() const { return source_floats(block_) + points() * point_floats(block_, filters_); }
  int64_t fewest_tiles() const { return std::min<int64_t>(tiles_, 12); }  // of a block

  void choose_block(int64_t most_scratch_bytes) {
    constexpr int64_t kSecondCache = 400 << 10, kThirdCache = 6 << 20;      // bytes
    const int64_t bytes = points() * (channels_ + filters_) * kFloatBytes;  // of a tile
    const int64_t blocks = parts_of(tiles_, std::max<int64_t>(kSecondCache / bytes, 1));
    shares_steps_ = kSecondCache / bytes < fewest_tiles() || blocks < 2 * lanes_;
    block_ = std::min(tiles_, shares_steps_ ? std::max(kThirdCache / bytes, fewest_tiles()) : kSecondCache / bytes);
    const auto is_too_much = [&] { return static_cast<int64_t>(scratch_bytes()) > most_scratch_bytes; };
    shares_steps_ = shares_steps_ || is_too_much();
    while (block_ > fewest_tiles() && is_too_much()) block_ = std::max(block_ / 2, fewest_tiles());
  }

  /// The threads share each of the steps.
  void share_block(const Call& call, Range tiles, float* memory) const {
    const int64_t most = lanes_ == 1 ? 1 : 4 * lanes_;
    const int64_t parts = std::min(most, parts_of(tiles.size(), 2));
    parallel_tasks(parts, [&](int64_t i) {
      const Range part = range_of_part(tiles.size(), i, parts);
      transform_source(call, tiles, {tiles.begin + part.begin, tiles.begin + part.end}, memory);
    });
    parallel_tasks(points(), [&](int64_t q) { multiply_point(tiles.size(), q, {0, filters_}, memory); });
    parallel_tasks(parts, [&](int64_t i) {
      const Range part = range_of_part(tiles.size(), i, parts);
      transform_result(call, tiles, {tiles.begin + part.begin, tiles.begin + part.end}, memory);
    });
  }

  struct Place {
    int64_t image, y, x;  // of a tile's first pixel
  };
  Place place_of(int64_t tile) const {
    const int64_t side = side_of(tile_), down = parts_of(height_, side);
    return {tile / (across_ * down), tile / across_ % down * side, tile % across_ * side};
  }

  /// `memory`: for each point the values of the source, [tiles][channels], then so those of the result,
  /// [tiles][filters].
  void transform_source(const Call& call, Range all, Range tiles, float* memory) const {
    const int64_t patch_side = patch_of(tile_);
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const auto [image, y, x] = place_of(tile);
      const int64_t top = y - pad_top_, left = x - pad_left_;
      WinogradPatch patch;
      patch.source = call.source + ((image * source_height_ + top) * source_width_ + left) * source_step_;
      patch.row_stride = source_width_ * source_step_;
      patch.pixel_stride = source_step_;
      patch.rows = {std::max<int64_t>(-top, 0), std::clamp<int64_t>(source_height_ - top, 0, patch_side)};
      patch.columns = {std::max<int64_t>(-left, 0), std::clamp<int64_t>(source_width_ - left, 0, patch_side)};
      patch.channels = channels_;
      patch.values = memory + (tile - all.begin) * channels_;
      patch.point_stride = point_floats(all.size(), channels_);
      winograd_source(tile_, patch);
    }
  }

  void multiply_point(int64_t tiles, int64_t point, Range filters, float* memory) const {
    constexpr int64_t kMostRows = 512;
    const float* const values = memory + point * point_floats(tiles, channels_);
    float* const result = memory + source_floats(tiles) + point * point_floats(tiles, filters_);
    const int64_t of_point = parts_of(filters_, kPanelColumns) * channels_ * kPanelColumns;
    for (int64_t first = 0; first < tiles; first += kMostRows) {
      const int64_t count = std::min(kMostRows, tiles - first);
      const float* rows[kMostRows];
      for (int64_t i = 0; i < count; ++i) rows[i] = values + (first + i) * channels_;
      multiply(PanelProduct{rows,
                            0,
                            count,
                            1,
                            channels_,
                            nullptr,
                            1,
                            filter_->data() + point * of_point + filters.begin * channels_,
                            filters.size(),
                            result + first * filters_ + filters.begin,
                            filters_,
                            {}});
    }
  }

  void transform_result(const Call& call, Range all, Range tiles, const float* memory) const {
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const auto [image, y, x] = place_of(tile);
      const int64_t first = ((image * height_ + y) * width_ + x) * filters_;
      WinogradResult to;
      to.values = memory + source_floats(all.size()) + (tile - all.begin) * filters_;
      to.point_stride = point_floats(all.size(), filters_);
      to.channels = filters_;
      to.rows = std::min<int64_t>(side_of(tile_), height_ - y);
      to.columns = std::min<int64_t>(side_of(tile_), width_ - x);
      to.result = call.args.output<float>(0) + first;
      to.row_stride = width_ * filters_;
      to.finish = epilogue_.finish(call.args);
      to.finish.bias = call.bias;
      if (to.finish.summand) to.finish.summand += first;
      winograd_result(tile_, to);
      for (int64_t row = 0; row < to.rows; ++row)
        epilogue_.apply(call.args, to.result + row * to.row_stride, first + row * to.row_stride, 1,
                        to.columns * filters_, to.columns * filters_);
    }
  }

  WinogradTile tile_;
  Epilogue epilogue_;
  ConvolutionBias bias_;
  int64_t images_, channels_;
  int64_t source_step_;  // numbers from a pixel of the source to the next
  int64_t filters_;
  int64_t source_height_, source_width_, height_, width_;
  int64_t pad_top_, pad_left_;
  int64_t across_, tiles_;  // of a row; of all images
  int64_t lanes_;           // blocks that are worked at at once
  std::shared_ptr<const FilterValues> filter_;
  int64_t block_ = 0;  // tiles
  bool shares_steps_ = false;
};

/// Multiply-adds that take as long as the convolution with such tiles, by measurements on AVX2: weights that come from
/// memory take as long as ten rows that are multiplied with them, and a number that is transformed as long as fourteen.
double cost_of(const ConvolutionForm& form, WinogradTile tile) {
  constexpr double kRowsOfWeights = 10, kOfNumber = 14;
  const auto channels = static_cast<double>(form.source.dims[1]), filters = static_cast<double>(form.result.dims[1]);
  auto tiles = static_cast<double>(form.result.dims[0]);
  for (size_t i = 2; i < form.result.dims.size(); ++i)
    tiles *= static_cast<double>(parts_of(form.result.dims[i], side_of(tile)));
  return points_of(tile) *
         (channels * filters * std::max(tiles, kRowsOfWeights) + kOfNumber * (channels + filters) * tiles);
}

/// The tile with which the convolution is faster than by the direct sum, if one is.
std::optional<WinogradTile> tile_for(const ConvolutionForm& form) {
  constexpr double kMargin = 1.15;
  const double direct = static_cast<double>(form.result.size()) * static_cast<double>(form.source.dims[1] * kTaps);
  const double small = cost_of(form, WinogradTile::k2x2), large = cost_of(form, WinogradTile::k4x4);
  if (kMargin * std::min(small, large) > direct) return std::nullopt;
  return small < large ? WinogradTile::k2x2 : WinogradTile::k4x4;
}

}  // namespace

std::unique_ptr<Kernel> make_winograd_convolution(const KnownConvolution& convolution, int64_t most_scratch_bytes) {
  const ConvolutionForm& form = convolution.form;
  if (form.groups() != 1 || form.strides.size() != 2 || form.result.size() == 0) return nullptr;
  if (form.result_step() != form.result.dims[1]) return nullptr;
  for (size_t i = 0; i < 2; ++i)
    if (form.kernel(i) != 3 || form.strides[i] != 1 || form.dilations[i] != 0) return nullptr;
  const auto tile = tile_for(form);
  auto epilogue = Epilogue::of(form.post_ops);
  if (!tile || !epilogue) return nullptr;
  auto kernel = std::make_unique<WinogradConvolution>(convolution, *tile, std::move(*epilogue), most_scratch_bytes);
  if (static_cast<int64_t>(kernel->scratch_bytes()) > most_scratch_bytes) return nullptr;  // for any number of threads
  kernel->transform_filters(convolution);
  return kernel;
}

}  // namespace pli::compute
