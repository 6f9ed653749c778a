#include "runtime/compute/direct_convolution.h"

#include "runtime/compute/convolution_geometry.h"
#include "runtime/compute/epilogue.h"
#include "runtime/compute/line_kernel.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"

#include <algorithm>
#include <array>
#include <cstring>

// A block of pixels of the result is a product of matrices: for each tap of the filters a table says where the pixel of
// the source begins that each pixel of the result meets, or zeros in the padding. So nothing is copied, and stride,
// dilation and padding are the table's matter alone. Blocks are tasks; where there are few, the filters are divided.

namespace pli::compute {

using dnnl::memory;

namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kMostPointers = 4096;  // of a table, which lies on the stack
constexpr int64_t kLeastRows = 8;        // of a block

/// Filters of few channels: what they meet along a row lies side by side and is one tap, once the rows have their
/// padding.
bool joins_taps(const ConvolutionGeometry& g) {
  constexpr int64_t kFewChannels = 8, kMostGrowth = 2;
  const ConvolutionAxis& width = g.axes.back();
  const int64_t padded = width.source + width.pad + width.pad_end;
  return g.groups == 1 && g.channels < kFewChannels && g.source_step == g.channels && width.kernel > 1 &&
         width.dilation == 1 && padded <= kMostGrowth * width.source + width.kernel && width.source >= width.kernel;
}

void join_taps(ConvolutionGeometry& g) {
  ConvolutionAxis& width = g.axes.back();
  g.depth = width.kernel * g.channels;
  width.source += width.pad + width.pad_end;
  width.pad = width.pad_end = 0;
  width.kernel = 1;
  g.count();
}

/// Leaves out the taps that meet nothing but padding, as those above and below an image of one row. The numbers of the
/// others, where there are such.
std::vector<int64_t> leave_out_taps(ConvolutionGeometry& g) {
  const std::array<ConvolutionAxis, 3> all = g.axes;
  std::array<Range, 3> used;
  for (size_t i = 0; i < all.size(); ++i) {
    used[i] = all[i].taps_used();
    g.axes[i].kernel = used[i].size();
    g.axes[i].pad -= used[i].begin * all[i].dilation;
  }
  const int64_t before = g.taps;
  g.count();
  std::vector<int64_t> numbers;
  for (int64_t k = used[0].begin; k < used[0].end && g.taps < before; ++k)
    for (int64_t j = used[1].begin; j < used[1].end; ++j)
      for (int64_t i = used[2].begin; i < used[2].end; ++i)
        numbers.push_back((k * all[1].kernel + j) * all[2].kernel + i);
  return numbers;
}

/// rows[tap * count + i]: where the source's pixel begins that the tap meets at pixel i of the block. `source`: line
/// `source_line` of the image.
void find_rows(const ConvolutionGeometry& g, const float* source, int64_t source_line, Range block, const float* zeros,
               const float** rows) {
  const auto& [depth, height, width] = g.axes;
  const int64_t count = block.size();
  int64_t x = block.begin % width.result, y = block.begin / width.result % height.result,
          z = block.begin / (width.result * height.result);
  for (int64_t done = 0; done < count;) {
    const int64_t run = std::min(count - done, width.result - x);
    const float** to = rows + done;
    for (int64_t k = 0; k < depth.kernel; ++k) {
      const int64_t plane = z * depth.stride - depth.pad + k * depth.dilation;
      for (int64_t j = 0; j < height.kernel; ++j) {
        const int64_t line = y * height.stride - height.pad + j * height.dilation;
        const bool is_inside = plane >= 0 && plane < depth.source && line >= 0 && line < height.source;
        const int64_t distance = plane * height.source + line - source_line;
        const float* const from = source + distance * width.source * g.source_step;
        for (int64_t i = 0; i < width.kernel; ++i, to += count) {
          const int64_t column = x * width.stride - width.pad + i * width.dilation;
          const Range inside = is_inside ? width.inside_from(column, width.stride, run) : Range{run, run};
          std::fill_n(to, inside.begin, zeros);
          const float* pixel = from + (column + inside.begin * width.stride) * g.source_step;
          for (int64_t n = inside.begin; n < inside.end; ++n, pixel += width.stride * g.source_step) to[n] = pixel;
          std::fill_n(to + inside.end, run - inside.end, zeros);
        }
      }
    }
    done += run;
    x = 0;
    if (++y == height.result) y = 0, ++z;
  }
}

/// Into what a convolution is divided: the result does not depend on it.
struct Division {
  int64_t blocks = 1;  // of an image's pixels
  int64_t runs = 1;    // of its groups
  int64_t parts = 1;   // of a group's filters, where every group is a run
};

constexpr int64_t kFewRows = 48;

/// Pixels of a block.
int64_t most_rows(const ConvolutionGeometry& g) {
  constexpr int64_t kSecondCache = 96 << 10;  // bytes of the source that a block should have
  constexpr int64_t kMostRows = 240;
  int64_t read = g.depth * g.groups;  // of the source for each pixel of the result
  for (const ConvolutionAxis& axis : g.axes) read *= std::clamp<int64_t>(axis.kernel, 1, axis.stride);
  const int64_t cached = kSecondCache / (read * kFloatBytes);
  return std::min(kMostPointers / std::max<int64_t>(g.taps, 1), std::clamp(cached, kFewRows, kMostRows));
}

Division division_of(const ConvolutionGeometry& g, int threads) {
  constexpr int64_t kLeastWork = 1 << 17;  // multiply-adds that are worth a task
  constexpr int64_t kTasksForEach = 4;
  Division division{parts_of(g.pixels, most_rows(g))};
  if (threads == 1) return division;
  const double work = static_cast<double>(g.images * g.pixels) * static_cast<double>(g.filters * g.taps * g.depth);
  const auto most = static_cast<int64_t>(std::min(work / kLeastWork, 1e6));
  const int64_t wanted = std::min(kTasksForEach * threads, std::max<int64_t>(most, 1));
  const auto missing = [&] { return parts_of(wanted, g.images * division.blocks * division.runs); };
  if (missing() > 1)
    division.blocks = std::clamp(division.blocks * missing(), division.blocks, parts_of(g.pixels, kFewRows));
  division.runs = std::min(missing(), g.groups);
  if (missing() > 1) division.parts = std::min(missing(), parts_of(g.filters / g.groups, 2 * kPanelColumns));
  return division;
}

class DirectConvolution final : public Kernel, public LineKernel {
 public:
  DirectConvolution(const KnownConvolution& convolution, Epilogue epilogue)
      : geometry_(convolution.form), epilogue_(std::move(epilogue)), bias_(convolution) {
    const ConvolutionForm& form = convolution.form;
    weight_ = packed(*convolution.weight, to_onednn(form.weight), packed_form(form), convolution.cache);
    filters_ = floats_of(weight_);
    if (joins_taps(geometry_)) {
      padded_ = geometry_.axes.back();
      join_taps(geometry_);
    }
    panel_taps_ = geometry_.taps;
    tap_numbers_ = leave_out_taps(geometry_);
    if (geometry_.is_padded()) zeros_.resize(static_cast<size_t>(std::max(geometry_.channels, geometry_.depth)), 0.0f);
    division_ = division_of(geometry_, threads_here());
  }

  size_t scratch_bytes() const override {
    return pads() ? static_cast<size_t>(geometry_.images * geometry_.source_pixels * geometry_.channels * kFloatBytes)
                  : 0;
  }
  std::string implementation() const override { return geometry_.taps > 1 ? "direct" : "product"; }

  void run(const RunArgs& args) const override {
    const ConvolutionGeometry& g = geometry_;
    const float* const source = pads() ? padded_source(args) : args.input<float>(0);
    const Call call{args, bias_.of(args)};
    const int64_t blocks = division_.blocks, runs = division_.runs, parts = division_.parts;
    parallel_tasks(g.images * runs * blocks * parts, [&](int64_t i) {
      const int64_t image = i / (blocks * parts * runs);
      const Place place{image, source + image * g.source_pixels * g.source_step, 0,
                        args.output<float>(0) + image * g.pixels * g.result_step, 0};
      const Range columns = range_of_part(g.filters / g.groups, i / blocks % parts, parts, kPanelColumns);
      convolve(call, place, range_of_part(g.pixels, i % blocks, blocks),
               range_of_part(g.groups, i / (blocks * parts) % runs, runs), columns);
    });
  }

  const LineKernel* by_lines() const override { return geometry_.has_lines_only() ? this : nullptr; }

  Sizes sizes() const override {
    const auto& [depth, height, width] = geometry_.axes;
    const int64_t source_width = pads() ? padded_.source : width.source;
    return {.images = geometry_.images,
            .source_lines = height.source,
            .source_stride = source_width * geometry_.source_step,
            .lines = height.result,
            .stride = width.result * geometry_.result_step,
            .weight_bytes = weight_bytes(),
            .reads_result = epilogue_.adds_result()};
  }

  Range source_lines(Range lines) const override { return geometry_.axes[1].source_of(lines); }
  int64_t most_source_lines(int64_t lines) const override { return geometry_.axes[1].most_met(lines); }

  size_t line_scratch_bytes(int64_t lines) const override {
    const ConvolutionAxis& height = geometry_.axes[1];
    return pads() ? static_cast<size_t>(height.most_met(lines) * padded_line() * kFloatBytes) : 0;
  }

  void run_lines(const LineCall& line_call) const override {
    const ConvolutionGeometry& g = geometry_;
    const int64_t width = g.axes[2].result;
    const Call call{line_call.args, bias_.of(line_call.args)};
    Place place{line_call.image, line_call.source, line_call.source_line, line_call.result,
                line_call.lines.begin * width};
    if (pads()) {
      const Range read = source_lines(line_call.lines);
      auto* const padded = static_cast<float*>(line_call.args.scratch);
      pad_lines(line_call.source + (read.begin - line_call.source_line) * unpadded_line(), read.size(), padded);
      place.source = padded;
      place.source_line = read.begin;
    }
    const int64_t pixels = line_call.lines.size() * width, blocks = parts_of(pixels, most_rows(g));
    for (int64_t i = 0; i < blocks; ++i) {
      const Range block = range_of_part(pixels, i, blocks);
      convolve(call, place, {place.result_pixel + block.begin, place.result_pixel + block.end}, {0, g.groups},
               {0, g.filters / g.groups});
    }
  }

 private:
  struct Call {
    const RunArgs& args;
    const float* bias;
  };

  /// Where an image lies, or some lines of it.
  struct Place {
    int64_t image;
    const float* source;  // line `source_line`
    int64_t source_line;
    float* result;  // pixel `result_pixel`
    int64_t result_pixel;
  };

  static memory::desc packed_form(const ConvolutionForm& form) {
    using Tag = memory::format_tag;
    const bool is_volume = form.strides.size() == 3;
    const Tag tag =
        form.groups() > 1 ? (is_volume ? Tag::gOdhwi16o : Tag::gOhwi16o) : (is_volume ? Tag::Odhwi16o : Tag::Ohwi16o);
    return {form.weight.dims, memory::data_type::f32, tag};
  }

  /// Rows of the source are to be copied to where they have their padding.
  bool pads() const { return padded_.pad + padded_.pad_end > 0; }

  int64_t unpadded_line() const { return padded_.source * geometry_.channels; }
  int64_t padded_line() const { return geometry_.axes[2].source * geometry_.channels; }

  void pad_lines(const float* source, int64_t count, float* padded) const {
    const int64_t before = padded_.pad * geometry_.channels, after = padded_.pad_end * geometry_.channels;
    for (int64_t line = 0; line < count; ++line, source += unpadded_line(), padded += padded_line()) {
      std::fill_n(padded, before, 0.0f);
      std::memcpy(padded + before, source, static_cast<size_t>(unpadded_line() * kFloatBytes));
      std::fill_n(padded + before + unpadded_line(), after, 0.0f);
    }
  }

  const float* padded_source(const RunArgs& args) const {
    const auto* const source = args.input<float>(0);
    auto* const padded = static_cast<float*>(args.scratch);
    const int64_t lines = geometry_.images * geometry_.axes[0].source * geometry_.axes[1].source;
    parallel_for(lines, std::max<int64_t>(kLightGrain / unpadded_line(), 1), [&](int64_t begin, int64_t end) {
      pad_lines(source + begin * unpadded_line(), end - begin, padded + begin * padded_line());
    });
    return padded;
  }

  int64_t weight_bytes() const {
    const int64_t panels = geometry_.groups * parts_of(geometry_.filters / geometry_.groups, kPanelColumns);
    return panels * panel_taps_ * geometry_.depth * kPanelColumns * kFloatBytes;
  }

  void convolve(const Call& call, const Place& place, Range pixels, Range groups, Range range) const {
    const ConvolutionGeometry& g = geometry_;
    const int64_t columns = g.filters / g.groups;
    if (pixels.size() == 0 || range.size() == 0) return;
    const float* rows[kMostPointers];
    find_rows(g, place.source, place.source_line, pixels, zeros_.data(), rows);
    PanelProduct product;
    product.rows = rows;
    product.count = pixels.size();
    product.taps = g.taps;
    product.depth = g.depth;
    product.tap_numbers = tap_numbers_.empty() ? nullptr : tap_numbers_.data();
    product.panel_taps = panel_taps_;
    product.columns = range.size();
    product.stride = g.result_step;
    const Finish finish = epilogue_.finish(call.args);
    float* const result = place.result + (pixels.begin - place.result_pixel) * g.result_step;
    const int64_t first = (place.image * g.pixels + pixels.begin) * g.result_step;  // where that is in the whole result
    for (int64_t group = groups.begin; group < groups.end; ++group) {
      const int64_t column = group * columns + range.begin;
      const int64_t panel = parts_of(columns, kPanelColumns) * group + range.begin / kPanelColumns;
      product.offset = group * g.depth;
      product.panels = filters_ + panel * product.panel_size();
      product.result = result + column;
      product.finish = finish;
      if (call.bias) product.finish.bias = call.bias + column;
      if (finish.summand) product.finish.summand += first + column;
      multiply(product);
    }
    const int64_t column = groups.begin * columns + range.begin;
    epilogue_.apply(call.args, result + column, first + column, pixels.size(), groups.size() * range.size(),
                    g.result_step);
  }

  ConvolutionGeometry geometry_;
  ConvolutionAxis padded_;  // the width before taps were joined
  Epilogue epilogue_;
  ConvolutionBias bias_;
  SharedWeights weight_;
  const float* filters_;
  int64_t panel_taps_ = 0;            // of the filters, of which some may meet nothing
  std::vector<int64_t> tap_numbers_;  // of the others; empty: all
  std::vector<float> zeros_;          // a pixel of the padding
  Division division_;
};

}  // namespace

std::unique_ptr<Kernel> make_direct_convolution(const KnownConvolution& convolution) {
  constexpr int64_t kLeastFilters = 8;  // of a group: fewer leave most of a panel empty
  const ConvolutionForm& form = convolution.form;
  const ConvolutionGeometry geometry(form);
  if (form.result.size() == 0 || form.source.size() == 0 || form.weight.size() == 0) return nullptr;
  const bool fits = geometry.groups == 1 || geometry.filters / geometry.groups >= kLeastFilters;
  if (!fits || geometry.taps > kMostPointers / kLeastRows) return nullptr;
  auto epilogue = Epilogue::of(form.post_ops);
  if (!epilogue) return nullptr;
  return std::make_unique<DirectConvolution>(convolution, std::move(*epilogue));
}

}  // namespace pli::compute
