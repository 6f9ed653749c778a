#include "runtime/ops/pooling/unpooling.h"

#include "runtime/compute/tensor_desc.h"
#include "runtime/ops/window.h"

#include <algorithm>

namespace pli::ops {

namespace {

Window window_of(const ir::Node& node) {
  if (!node.attribute("kernel_shape")) fail(ErrorCode::kInvalidModel, "attribute kernel_shape is missing");
  return Window::of(node, node.ints_or("kernel_shape", {}));
}

/// The size that a MaxPool with this window had for input when it gave `size`, as far as that can be told.
int64_t size_before(const Window& window, size_t axis, int64_t size) {
  const auto span = checked_mul(size - 1, window.strides[axis]);
  const int64_t added = window.kernel[axis] - window.pads_begin[axis] - window.pads_end[axis];
  if (size < 1 || !span || *span > INT64_MAX / 2 || *span + added < 1)
    fail(ErrorCode::kInvalidModel, "spatial dimension {} of size {} can't come from a pool with this window", axis,
         size);
  return *span + added;
}

ir::Dims dims_before(const Window& window, const ir::Dims& input) {
  if (input.size() != window.rank() + 2)
    fail(ErrorCode::kInvalidModel, "a kernel of {} dimensions on an input of rank {}", window.rank(), input.size());
  ir::Dims dims{input[0], input[1]};
  for (size_t i = 0; i < window.rank(); ++i)
    dims.push_back(input[i + 2].known() ? ir::Dim(size_before(window, i, input[i + 2].value())) : ir::Dim{});
  return dims;
}

/// The dimensions that the third input asks for.
ir::Dims dims_asked_for(const InferContext& context, const ir::Dims& input) {
  const ir::Type& type = context.type(2);
  if (type.dtype != DataType::kUndefined && type.dtype != DataType::kInt64)
    fail(ErrorCode::kInvalidModel, "output_shape is {} where int64 is expected", to_string(type.dtype));
  if (!context.constant(2)) {
    ir::Dims dims(input.size());
    dims[0] = input[0];
    dims[1] = input[1];
    return dims;
  }
  const Shape shape = to_int64s(*context.constant(2));
  if (shape.size() != input.size())
    fail(ErrorCode::kInvalidModel, "output_shape has {} elements for an input of rank {}", shape.size(), input.size());
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool differs = i < 2 && input[i].known() && input[i] != ir::Dim(shape[i]);
    if (shape[i] < 0 || differs)
      fail(ErrorCode::kInvalidModel, "output_shape {} does not fit the input", to_string(std::span(shape)));
  }
  return {shape.begin(), shape.end()};
}

std::vector<ir::Type> infer_unpool(const InferContext& context) {
  context.check_inputs(2, 3);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  const ir::Type& indices = context.type(1);
  if (indices.dtype != DataType::kUndefined && indices.dtype != DataType::kInt64)
    fail(ErrorCode::kInvalidModel, "indices are {} where int64 is expected", to_string(indices.dtype));
  const auto shape = input.shape();
  const auto index_shape = indices.shape();
  if (shape && index_shape && *shape != *index_shape)
    fail(ErrorCode::kInvalidModel, "indices of shape {} for an input of shape {}", to_string(*index_shape),
         to_string(*shape));
  const Window window = window_of(context.node);
  if (!input.dims) return {ir::Type::tensor(input.dtype)};
  const ir::Dims before = dims_before(window, *input.dims);
  return {ir::Type::tensor(input.dtype, context.has(2) ? dims_asked_for(context, *input.dims) : before)};
}

/// Where the element of index `index` of an array of shape `from` lies in one of shape `to`, both row-major; -1 for
/// nowhere.
int64_t moved(int64_t index, std::span<const int64_t> from, std::span<const int64_t> to) {
  int64_t result = 0;
  int64_t stride = 1;
  for (size_t i = from.size(); i-- > 0;) {
    const int64_t at = index % from[i];
    index /= from[i];
    if (at >= to[i]) return -1;
    result += at * stride;
    stride *= to[i];
  }
  return index == 0 ? result : -1;
}

/// Indices count in the shape that the pool is taken to have had, even where the output is given another one.
template <class T>
void unpool(const RunArgs& args, int64_t count, std::span<const int64_t> before, std::span<const int64_t> output) {
  const T* in = args.input<T>(0);
  const auto* indices = args.input<int64_t>(1);
  T* out = args.output<T>(0);
  std::fill_n(out, *checked_size(output), T{0});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t to = indices[i] < 0 ? -1 : moved(indices[i], before, output);
    if (to < 0)
      fail(ErrorCode::kInvalidArgument, "index {} lies outside of the output {}", indices[i], to_string(output));
    out[to] = in[i];
  }
}

std::unique_ptr<Kernel> prepare_unpool(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const Window window = window_of(context.node);
  Shape before{input.dims[0], input.dims[1]};
  for (size_t i = 0; i < window.rank(); ++i) before.push_back(size_before(window, i, input.dims[i + 2]));
  if (!checked_size(before))
    fail(ErrorCode::kInvalidModel, "a pool can't have had the shape {}", to_string(std::span(before)));
  return compute::make_kernel(
      [before, count = input.size(), dtype = input.dtype, output = context.outputs[0].dims](const RunArgs& args) {
        if (dtype == DataType::kFloat32)
          unpool<float>(args, count, before, output);
        else
          unpool<double>(args, count, before, output);
      });
}

constexpr Operator kOperators[] = {
    {"MaxUnpool", 9, kNewestOpset, kF32 | kF64, infer_unpool, prepare_unpool, nullptr, nullptr, 1u << 2},
};

}  // namespace

Family unpooling_family() { return kOperators; }

}  // namespace pli::ops
