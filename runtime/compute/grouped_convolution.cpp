#include "runtime/compute/grouped_convolution.h"

#include "runtime/compute/channel_product.h"
#include "runtime/compute/convolution_geometry.h"
#include "runtime/compute/epilogue.h"
#include "runtime/compute/line_kernel.h"
#include "runtime/compute/onednn.h"
#include "runtime/compute/panel_product.h"
#include "runtime/compute/parallel.h"

#include <algorithm>

// Pixels that meet the same taps of their filters, at equal distances, are one product, for any number of groups. Along
// a line of the result these are the pixels whose filters lie in the source from left to right; of the others, at both
// ends, those below one another.

namespace pli::compute {

using dnnl::memory;

namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kMostTaps = 512;
constexpr size_t kFirstTapAxis = 3;  // of a weight, behind groups, filters and channels

/// The groups whose filters a line of the cache has.
int64_t groups_together(const ConvolutionGeometry& g) {
  return std::max<int64_t>(kPanelColumns * g.groups / g.filters, 1);
}

/// Into what a convolution is divided: the result does not depend on it.
struct Division {
  int64_t blocks = 1;   // of an image's lines
  int64_t columns = 1;  // of a line
  int64_t parts = 1;    // of the groups
};

Division division_of(const ConvolutionGeometry& g, int threads) {
  constexpr int64_t kLeastWork = 1 << 15;      // multiply-adds that are worth a task
  constexpr int64_t kSecondCache = 128 << 10;  // bytes of the lines of the source that a line of the result meets
  constexpr int64_t kLeastColumns = 12, kFewLines = 8, kTasksForEach = 4;
  const ConvolutionAxis &height = g.axes[1], &width = g.axes[2];
  const int64_t line_bytes = std::min(height.kernel, height.source) * kFloatBytes;  // of a column and a channel
  const auto met = [&](int64_t columns) { return columns * width.stride + width.kernel * width.dilation; };
  const int64_t least = std::min(met(kLeastColumns), width.source);
  const int64_t channels = std::max<int64_t>(kSecondCache / (least * line_bytes) / kPanelColumns, 1) * kPanelColumns;
  const int64_t most_parts = parts_of(g.groups, groups_together(g));
  Division division{1, 1, std::min(parts_of(g.channels, channels), most_parts)};
  const int64_t columns = kSecondCache / (std::min(channels, g.channels) * line_bytes);
  division.columns = parts_of(width.result, std::max((columns - met(0)) / width.stride, kLeastColumns));
  if (threads == 1) return division;
  const double work = static_cast<double>(g.images * g.pixels) * static_cast<double>(g.filters * g.depth * g.taps);
  const auto most = static_cast<int64_t>(std::min(work / kLeastWork, 1e6));
  const int64_t wanted = std::min(kTasksForEach * threads, std::max<int64_t>(most, 1));
  // A task had better read and write what lies together; but of few lines it would have little more than their ends.
  const int64_t lines = g.axes[0].result * height.result;
  if (lines < kFewLines) division.parts = std::clamp(parts_of(wanted, g.images), division.parts, most_parts);
  division.blocks = std::min(parts_of(wanted, g.images * division.parts), lines);
  return division;
}

/// Whether the filters of two pixels below one another meet the same lines of the source, but for one. In the padding
/// before or behind a volume they meet none.
bool pairs_lines(const ConvolutionGeometry& g) {
  const auto& [depth, height, width] = g.axes;
  const auto is_dense = [](const ConvolutionAxis& axis) { return axis.stride == 1 && axis.dilation == 1; };
  const bool is_flat = depth.kernel == 1 && depth.pad == 0 && depth.pad_end == 0;
  return g.is_depthwise() && is_flat && is_dense(height) && is_dense(width) && may_pair_lines(width.kernel);
}

/// Whether filters of a group are vectors, and few enough of them that a product of panels is slower, which has no use
/// of the pixels that several taps of a line meet; their weights are to stay in the first cache.
bool has_narrow_groups(const ConvolutionGeometry& g) {
  constexpr int64_t kLeastVector = 4, kPanelsAreFull = 8, kPanelsAreFaster = 32;
  constexpr int64_t kMostWeights = 1024;  // of a filter
  const int64_t filters = g.filters / g.groups;
  const ConvolutionAxis& width = g.axes.back();
  if (filters % kLeastVector != 0 || filters > kPanelsAreFaster) return false;
  const bool has_fast_lines = width.kernel == 3 && width.stride <= 2 && width.dilation == 1;
  return filters < kPanelsAreFull || (has_fast_lines && g.taps * g.depth <= kMostWeights);
}

class GroupedConvolution final : public Kernel, public LineKernel {
 public:
  GroupedConvolution(const KnownConvolution& convolution, Epilogue epilogue)
      : geometry_(convolution.form),
        epilogue_(std::move(epilogue)),
        bias_(convolution),
        division_(division_of(geometry_, threads_here())),
        pairs_lines_(pairs_lines(geometry_)),
        filters_of_group_(geometry_.filters / geometry_.groups),
        tap_step_(spaced(geometry_.filters * geometry_.depth)) {
    const ConvolutionForm& form = convolution.form;
    weight_ = packed(*convolution.weight, to_onednn(form.weight), packed_form(form), convolution.cache);
    filters_ = floats_of(weight_);
  }

  std::string implementation() const override { return geometry_.is_depthwise() ? "depthwise" : "grouped"; }

  void run(const RunArgs& args) const override {
    const ConvolutionGeometry& g = geometry_;
    const int64_t blocks = division_.blocks, parts = division_.parts;
    const int64_t all_lines = g.axes[0].result * g.axes[1].result, line_size = g.axes[2].result * g.result_step;
    parallel_tasks(g.images * blocks * parts, [&](int64_t i) {
      const int64_t image = i / (blocks * parts);
      const Range lines = range_of_part(all_lines, i % blocks, blocks);
      convolve(LineCall{args, image, lines, args.input<float>(0) + image * g.source_pixels * g.source_step, 0,
                        args.output<float>(0) + (image * all_lines + lines.begin) * line_size},
               i / blocks % parts);
    });
  }

  const LineKernel* by_lines() const override { return geometry_.has_lines_only() ? this : nullptr; }

  Sizes sizes() const override {
    const auto& [depth, height, width] = geometry_.axes;
    return {.images = geometry_.images,
            .source_lines = height.source,
            .source_stride = width.source * geometry_.source_step,
            .lines = height.result,
            .stride = width.result * geometry_.result_step,
            .weight_bytes = geometry_.taps * geometry_.filters * geometry_.depth * kFloatBytes,
            .reads_result = epilogue_.adds_result()};
  }

  Range source_lines(Range lines) const override { return geometry_.axes[1].source_of(lines); }
  int64_t most_source_lines(int64_t lines) const override { return geometry_.axes[1].most_met(lines); }

  void run_lines(const LineCall& call) const override {
    for (int64_t part = 0; part < division_.parts; ++part) convolve(call, part);
  }

 private:
  /// The taps row by row, of each those of all groups: channel by channel its filters.
  memory::desc packed_form(const ConvolutionForm& form) const {
    PerAxis strides(form.weight.dims.size());
    strides[0] = geometry_.depth * filters_of_group_;
    strides[1] = 1;
    strides[2] = filters_of_group_;
    int64_t stride = tap_step_;
    for (size_t axis = strides.size(); axis-- > kFirstTapAxis; stride *= form.weight.dims[axis]) strides[axis] = stride;
    return {form.weight.dims, memory::data_type::f32, strides};
  }

  /// Lines and groups of an image; the pointers are those of the first of the groups.
  struct Block {
    const float* source;  // line `source_line`
    int64_t source_line;
    const float* weight;
    float* result;  // line lines.begin
    Finish finish;  // of that line
    Range lines;
    int64_t groups;
  };

  void convolve(const LineCall& call, int64_t part) const {
    const ConvolutionGeometry& g = geometry_;
    const Range groups = range_of_part(g.groups, part, division_.parts, groups_together(g));
    if (call.lines.size() == 0 || groups.size() == 0) return;
    const int64_t width = g.axes[2].result, filter = groups.begin * filters_of_group_;
    const int64_t first = (call.image * g.pixels + call.lines.begin * width) * g.result_step + filter;
    Block block{call.source + groups.begin * g.depth,
                call.source_line,
                filters_ + filter * g.depth,
                call.result + filter,
                epilogue_.finish(call.args),
                call.lines,
                groups.size()};
    if (const float* const bias = bias_.of(call.args)) block.finish.bias = bias + filter;
    if (block.finish.summand) block.finish.summand += first;
    for (int64_t i = 0; i < division_.columns; ++i) convolve(block, range_of_part(width, i, division_.columns));
    epilogue_.apply(call.args, block.result, first, call.lines.size() * width, groups.size() * filters_of_group_,
                    g.result_step);
  }

  /// Columns of the block's lines.
  void convolve(const Block& block, Range columns) const {
    const ConvolutionAxis &height = geometry_.axes[1], &width = geometry_.axes[2];
    const Range lines_inside = height.inside();
    Range inside = width.inside();
    inside = {std::max(inside.begin, columns.begin), std::min(inside.end, columns.end)};
    if (inside.size() <= 0) inside = {columns.end, columns.end};
    for (int64_t line = block.lines.begin; line < block.lines.end;) {
      const int64_t y = line % height.result;
      const bool is_inside = y >= lines_inside.begin && y < lines_inside.end;
      const int64_t run = is_inside ? std::min(lines_inside.end - y, block.lines.end - line) : 1;
      const int64_t lines = pairs_lines_ ? 2 : 1;
      for (int64_t i = 0; i < run && inside.size() > 0; i += lines)
        multiply_run(block, line + i, inside.begin, inside.size(), width.stride, 1, i + lines <= run ? lines : 1);
      const auto multiply_column = [&](int64_t x) {
        multiply_run(block, line, x, run, height.stride * width.source, width.result, 1);
      };
      for (int64_t x = columns.begin; x < inside.begin; ++x) multiply_column(x);
      for (int64_t x = inside.end; x < columns.end; ++x) multiply_column(x);
      line += run;
    }
  }

  /// `count` pixels from column x of a line on, `step` pixels of the source and `stride` of the result apart, all of
  /// which meet the taps that the first meets; and those below, of two lines.
  void multiply_run(const Block& block, int64_t line, int64_t x, int64_t count, int64_t step, int64_t stride,
                    int64_t lines) const {
    const ConvolutionGeometry& g = geometry_;
    const auto& [depth, height, width] = g.axes;
    const int64_t y = line % height.result, z = line / height.result;
    const Range planes = depth.taps_at(z), rows = height.taps_at(y), columns = width.taps_at(x);
    ChannelProduct::Tap taps[kMostTaps];
    int64_t tap_count = 0;
    for (int64_t k = planes.begin; k < planes.end; ++k)
      for (int64_t j = rows.begin; j < rows.end; ++j) {
        const int64_t plane = z * depth.stride - depth.pad + k * depth.dilation;
        const int64_t row = y * height.stride - height.pad + j * height.dilation;
        const int64_t column = x * width.stride - width.pad + columns.begin * width.dilation;
        const int64_t distance = (plane * height.source + row - block.source_line) * width.source + column;
        const float* source = block.source + distance * g.source_step;
        const float* weight = block.weight + ((k * height.kernel + j) * width.kernel + columns.begin) * tap_step_;
        for (int64_t i = columns.begin; i < columns.end; ++i) {
          taps[tap_count++] = {source, weight};
          source += width.dilation * g.source_step;
          weight += tap_step_;
        }
      }
    const int64_t place = ((line - block.lines.begin) * width.result + x) * g.result_step;
    Finish finish = block.finish;
    if (finish.summand) finish.summand += place;
    const bool is_line = step == width.stride && width.dilation == 1 && count > 1;
    ChannelProduct product;
    product.taps = taps;
    product.tap_count = tap_count;
    product.step = step * g.source_step;
    product.line_taps = columns.size();
    product.line_stride = is_line ? width.stride : 0;
    product.count = count;
    product.groups = block.groups;
    product.depth = g.depth;
    product.filters = filters_of_group_;
    product.result = block.result + place;
    product.stride = stride * g.result_step;
    product.finish = finish;
    product.has_pair = lines == 2;
    product.source_line = width.source * g.source_step;
    product.result_line = width.result * g.result_step;
    multiply(product);
  }

  ConvolutionGeometry geometry_;
  Epilogue epilogue_;
  ConvolutionBias bias_;
  Division division_;
  bool pairs_lines_;
  int64_t filters_of_group_;
  int64_t tap_step_;  // numbers from a tap of all groups to the next
  SharedWeights weight_;
  const float* filters_;
};

}  // namespace

std::unique_ptr<Kernel> make_grouped_convolution(const KnownConvolution& convolution) {
  const ConvolutionForm& form = convolution.form;
  const ConvolutionGeometry geometry(form);
  if (geometry.groups == 1 || geometry.taps > kMostTaps) return nullptr;
  if (!geometry.is_depthwise() && !has_narrow_groups(geometry)) return nullptr;
  if (form.result.size() == 0 || form.source.size() == 0 || form.weight.size() == 0) return nullptr;
  auto epilogue = Epilogue::of(form.post_ops);
  if (!epilogue) return nullptr;
  return std::make_unique<GroupedConvolution>(convolution, std::move(*epilogue));
}

}  // namespace pli::compute
