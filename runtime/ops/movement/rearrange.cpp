#include "runtime/ops/movement/rearrange.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/dims.h"

#include <algorithm>
#include <cstring>

namespace pli::ops {

namespace {

using compute::parallel_for;
using compute::RunArgs;

// --- DepthToSpace, SpaceToDepth --------------------------------------------------------------------------------------

int64_t block_size(const ir::Node& node) {
  const int64_t size = node.int_or("blocksize", 0);
  if (size < 1 || size > INT32_MAX) fail(ErrorCode::kInvalidModel, "blocksize is {}", size);
  return size;
}

ir::Dim divide(const ir::Dim& dim, int64_t divisor, std::string_view name) {
  if (!dim.known()) return divisor == 1 ? dim : ir::Dim();
  if (dim.value() % divisor != 0)
    fail(ErrorCode::kInvalidModel, "{} {} can't be divided by {}", dim.value(), name, divisor);
  return dim.value() / divisor;
}

/// Mode CRD: the channels of the deep tensor count its blocks' pixels first. Since opset 11 of DepthToSpace, 28 of
/// SpaceToDepth.
bool channels_first(const ir::Node& node, int64_t opset) {
  const bool has_mode = opset >= (node.is("DepthToSpace") ? 11 : 28);
  const std::string mode = has_mode ? node.string_or("mode", "DCR") : "DCR";
  if (mode != "DCR" && mode != "CRD") fail(ErrorCode::kInvalidModel, "there is no mode \"{}\"", mode);
  return mode == "CRD";
}

std::vector<ir::Type> infer_depth_to_space(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  check_rank(context, 0, 4);
  const ir::Type& input = context.type(0);
  const int64_t size = block_size(context.node);
  (void)channels_first(context.node, context.opset);
  if (!input.dims) return {ir::Type::tensor(input.dtype, ir::Dims(4))};
  const ir::Dims& dims = *input.dims;
  return {ir::Type::tensor(input.dtype, ir::Dims{dims[0], divide(dims[1], size * size, "channels"),
                                                 multiply(dims[2], size), multiply(dims[3], size)})};
}

std::vector<ir::Type> infer_space_to_depth(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  check_rank(context, 0, 4);
  const ir::Type& input = context.type(0);
  const int64_t size = block_size(context.node);
  (void)channels_first(context.node, context.opset);
  if (!input.dims) return {ir::Type::tensor(input.dtype, ir::Dims(4))};
  const ir::Dims& dims = *input.dims;
  return {ir::Type::tensor(input.dtype, ir::Dims{dims[0], multiply(dims[1], size * size), divide(dims[2], size, "rows"),
                                                 divide(dims[3], size, "columns")})};
}

/// One copy between the deep tensor (b x b pixels of a block in its channels) and the wide one. The channels of the
/// deep one count blocks first, unless `channels_outermost`.
std::unique_ptr<Kernel> copy_blocks(const TensorDesc& deep, const TensorDesc& wide, bool to_wide, int64_t size,
                                    bool channels_outermost) {
  const Shape dims{deep.dims[0], wide.dims[1], size,
                   size,         deep.dims[2], deep.dims[3]};  // N, C, block row and column, H, W
  const int64_t channel = channels_outermost ? size * size : 1;
  const int64_t column = channels_outermost ? 1 : wide.dims[1];
  const auto& d = deep.strides;
  const auto& w = wide.strides;
  const std::vector<int64_t> deep_strides{d[0], d[1] * channel, d[1] * column * size, d[1] * column, d[2], d[3]};
  const std::vector<int64_t> wide_strides{w[0], w[1], w[2], w[3], w[2] * size, w[3] * size};
  return compute::make_kernel([copy = compute::StridedCopy(deep.dtype, dims, to_wide ? deep_strides : wide_strides,
                                                           to_wide ? wide_strides : deep_strides)](
                                  const RunArgs& args) { copy.run(args.inputs[0], args.outputs[0]); });
}

std::unique_ptr<Kernel> prepare_depth_to_space(const PrepareContext& context) {
  return copy_blocks(context.inputs[0], context.outputs[0], true, block_size(context.node),
                     channels_first(context.node, context.opset));
}

std::unique_ptr<Kernel> prepare_space_to_depth(const PrepareContext& context) {
  return copy_blocks(context.outputs[0], context.inputs[0], false, block_size(context.node),
                     channels_first(context.node, context.opset));
}

// --- Trilu -----------------------------------------------------------------------------------------------------------

std::vector<ir::Type> infer_trilu(const InferContext& context) {
  context.check_inputs(1, 2);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  if (input.has_rank() && input.rank() < 2)
    fail(ErrorCode::kInvalidModel, "the input has rank {}, no matrix", input.rank());
  if (context.has(1)) {
    const auto shape = index_type(context, 1).shape();
    if (shape && checked_size(*shape) != 1) fail(ErrorCode::kInvalidModel, "k has shape {}", to_string(*shape));
  }
  return {input};
}

std::unique_ptr<Kernel> prepare_trilu(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const int64_t columns = input.dims.back(), rows = input.dims[input.dims.size() - 2], size = input.size();
  const bool upper = context.node.int_or("upper", 1) != 0;
  const bool wide_k = context.has(1) && context.inputs[1].dtype == DataType::kInt64;
  return with_bits_type(input.dtype, [&]<class T>(T) {
    return compute::make_kernel([=](const RunArgs& args) {
      if (size == 0) return;
      const bool has_k = args.inputs.size() > 1 && args.inputs[1];
      const int64_t k = !has_k ? 0 : wide_k ? *args.input<int64_t>(1) : *args.input<int32_t>(1);
      // Row i keeps the columns [diagonal, end) or [0, diagonal).
      const int64_t shift = std::clamp<int64_t>(k, -rows, columns) + (upper ? 0 : 1);
      parallel_for(size / columns, 16384 / columns, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const T* from = args.input<T>(0) + row * columns;
          T* to = args.output<T>(0) + row * columns;
          const int64_t diagonal = std::clamp<int64_t>(row % rows + shift, 0, columns);
          const int64_t first = upper ? diagonal : 0, last = upper ? columns : diagonal;
          std::fill(to, to + first, T{0});
          std::copy(from + first, from + last, to + first);
          std::fill(to + last, to + columns, T{0});
        }
      });
    });
  });
}

// --- ReverseSequence -------------------------------------------------------------------------------------------------

struct SequenceAxes {
  int64_t batch, time;
};

SequenceAxes sequence_axes(const ir::Node& node) {
  const SequenceAxes axes{node.int_or("batch_axis", 1), node.int_or("time_axis", 0)};
  if (!((axes.batch == 0 && axes.time == 1) || (axes.batch == 1 && axes.time == 0)))
    fail(ErrorCode::kInvalidModel, "batch_axis {} and time_axis {}: one is 0 and the other 1", axes.batch, axes.time);
  return axes;
}

std::vector<ir::Type> infer_reverse_sequence(const InferContext& context) {
  context.check_inputs(2, 2);
  context.check_outputs(1, 1);
  check_rank(context, 1, 1);
  const ir::Type& input = context.type(0);
  const ir::Type& lengths = index_type(context, 1);
  const SequenceAxes axes = sequence_axes(context.node);
  if (input.has_rank() && input.rank() < 2) fail(ErrorCode::kInvalidModel, "the input has rank {}", input.rank());
  if (input.dims && lengths.dims) {
    const ir::Dim &batch = (*input.dims)[static_cast<size_t>(axes.batch)], &count = lengths.dims->front();
    if (batch.known() && count.known() && batch.value() != count.value())
      fail(ErrorCode::kInvalidModel, "{} lengths for a batch of {}", count.value(), batch.value());
    const ir::Dim& time = (*input.dims)[static_cast<size_t>(axes.time)];
    if (const Tensor* constant = context.constant(1))
      for (const int64_t length : to_int64s(*constant))
        if (length < 0 || (time.known() && length > time.value()))
          fail(ErrorCode::kInvalidModel, "a length of {} in sequences of {}", length, ir::to_string(time));
  }
  return {input};
}

std::unique_ptr<Kernel> prepare_reverse_sequence(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const SequenceAxes axes = sequence_axes(context.node);
  const int64_t first = input.dims[0], second = input.dims[1];
  const int64_t batch = axes.batch == 0 ? first : second, time = axes.batch == 0 ? second : first;
  const int64_t row = input.size() == 0 ? 0 : input.size() / (first * second) * (bit_width(input.dtype) / 8);
  return with_index_type(context.inputs[1].dtype, [&]<class Index>(Index) {
    return compute::make_kernel([=](const RunArgs& args) {
      const auto* lengths = args.input<Index>(1);
      for (int64_t b = 0; b < batch; ++b)
        if (lengths[b] < 0 || lengths[b] > time)
          fail(ErrorCode::kInvalidArgument, "a length of {} in sequences of {}", lengths[b], time);
      if (row == 0) return;
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t t = 0; t < time; ++t) {
          const int64_t source = t < lengths[b] ? lengths[b] - 1 - t : t;
          const auto place = [&](int64_t at) { return (axes.batch == 0 ? b * time + at : at * batch + b) * row; };
          std::memcpy(args.output<std::byte>(0) + place(t), args.input<std::byte>(0) + place(source),
                      static_cast<size_t>(row));
        }
    });
  });
}

constexpr Operator kOperators[] = {
    {"DepthToSpace", 1, kNewestOpset, kMovable, infer_depth_to_space, prepare_depth_to_space, follow_layouts},
    {"SpaceToDepth", 1, kNewestOpset, kMovable, infer_space_to_depth, prepare_space_to_depth, follow_layouts},
    {"Trilu", 14, kNewestOpset, kNoStrings, infer_trilu, prepare_trilu},
    {"ReverseSequence", 10, kNewestOpset, kMovable, infer_reverse_sequence, prepare_reverse_sequence},
};

}  // namespace

Family rearrange_family() { return kOperators; }

}  // namespace pli::ops
