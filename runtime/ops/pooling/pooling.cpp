#include "runtime/ops/pooling/pooling.h"

#include "runtime/compute/pooling.h"
#include "runtime/compute/reduction.h"

#include <algorithm>

namespace pli::ops {

namespace {

using compute::Pool;
using compute::Reduction;

constexpr int64_t kMostSpatial = 3;

/// An exponent: a float in opset 1, an integer later. At least 1, so that it makes a norm.
double exponent(const ir::Node& node) {
  const ir::Attribute* attribute = node.attribute("p");
  const bool is_float = attribute && std::holds_alternative<float>(attribute->value);
  const double p = is_float ? node.float_or("p", 2) : static_cast<double>(node.int_or("p", 2));
  if (!(p >= 1 && p <= 1e6)) fail(ErrorCode::kInvalidModel, "exponent p {} where 1 or more is expected", p);
  return p;
}

void check_spatial(const ir::Type& input) {
  if (input.dims && input.rank() < 3)
    fail(ErrorCode::kInvalidModel, "an input of rank {} where a batch, channels and spatial dimensions are expected",
         input.rank());
}

/// Batch and channels of the input, and these spatial dimensions.
ir::Dims with_spatial(const ir::Dims& input, const ir::Dims& spatial) {
  ir::Dims dims{input[0], input[1]};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  return dims;
}

std::vector<ir::Type> infer_pool(const InferContext& context) {
  const bool is_max = context.node.is("MaxPool");
  context.check_inputs(1, 1);
  context.check_outputs(1, is_max ? 2 : 1);
  const ir::Type& input = context.type(0);
  const PoolView view = PoolView::of(context.node);
  check_spatial(input);
  ir::Type output = ir::Type::tensor(input.dtype);
  if (input.dims)
    output.dims = with_spatial(*input.dims, view.window.output_dims({input.dims->begin() + 2, input.dims->end()}));
  std::vector<ir::Type> types{output};
  if (is_max) types.push_back(ir::Type::tensor(DataType::kInt64, output.dims));
  return types;
}

Pool::Kind kind_of(const ir::Node& node) {
  if (node.is("MaxPool")) return Pool::Kind::kMax;
  return node.is("AveragePool") ? Pool::Kind::kAverage : Pool::Kind::kLp;
}

std::unique_ptr<Kernel> prepare_pool(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  const TensorDesc& output = context.outputs[0];
  const PoolView view = PoolView::of(context.node);
  const int64_t spatial = input.rank() - 2;
  if (spatial > kMostSpatial) fail(ErrorCode::kUnsupported, "a pool over {} spatial dimensions", spatial);
  const Window window = view.window.resolved(std::span(input.dims).subspan(2));
  Pool pool{kind_of(context.node), {}, view.count_include_pad, view.p, view.column_major_indices};
  for (size_t i = 0; i < window.rank(); ++i)
    pool.axes[i + static_cast<size_t>(kMostSpatial - spatial)] = {
        input.dims[i + 2],   output.dims[i + 2],   window.kernel[i],  window.strides[i],
        window.dilations[i], window.pads_begin[i], window.pads_end[i]};
  return compute::make_pool(pool, input, output, context.outputs.size() > 1 ? context.outputs[1] : TensorDesc{});
}

// Over all spatial dimensions.

std::vector<ir::Type> infer_global(const InferContext& context) {
  context.check_inputs(1, 1);
  context.check_outputs(1, 1);
  const ir::Type& input = context.type(0);
  check_spatial(input);
  if (context.node.is("GlobalLpPool")) exponent(context.node);
  ir::Type output = ir::Type::tensor(input.dtype);
  if (input.dims) output.dims = with_spatial(*input.dims, ir::Dims(input.dims->size() - 2, 1));
  return {output};
}

/// The input as it comes; the output is channels-last as well as row-major.
Layouts global_layouts(const PrepareContext& context) { return {context.inputs, context.outputs}; }

std::unique_ptr<Kernel> prepare_global(const PrepareContext& context) {
  const TensorDesc& input = context.inputs[0];
  // A batch or channels of 1 are reduced as well, which changes nothing.
  const auto reduction = [&](Reduction kind) { return compute::make_reduction(kind, input, context.outputs[0]); };
  if (context.node.is("GlobalAveragePool")) return reduction(Reduction::kMean);
  if (context.node.is("GlobalMaxPool")) return reduction(Reduction::kMax);
  const double p = exponent(context.node);
  if (p == 1 || p == 2) return reduction(p == 1 ? Reduction::kL1 : Reduction::kL2);
  if (input.rank() - 2 > kMostSpatial)
    fail(ErrorCode::kUnsupported, "a pool over {} spatial dimensions", input.rank() - 2);
  Pool pool{Pool::Kind::kLp, {}, false, p, false};
  for (size_t from = input.dims.size(), to = 3; from-- > 2;)
    pool.axes[--to] = {.input = input.dims[from], .kernel = std::max<int64_t>(input.dims[from], 1)};
  return compute::make_pool(pool, input, context.outputs[0], {});
}

constexpr DataTypes kFloats = kF32 | kF64;
constexpr DataTypes kBytes = types({DataType::kInt8, DataType::kUint8});

constexpr Operator kOperators[] = {
    {"MaxPool", 1, kNewestOpset, kFloats | kBytes, infer_pool, prepare_pool, channels_last_layouts},
    {"AveragePool", 1, kNewestOpset, kFloats, infer_pool, prepare_pool, channels_last_layouts},
    {"LpPool", 1, kNewestOpset, kFloats, infer_pool, prepare_pool, channels_last_layouts},
    {"GlobalAveragePool", 1, kNewestOpset, kFloats, infer_global, prepare_global, global_layouts},
    {"GlobalMaxPool", 1, kNewestOpset, kFloats, infer_global, prepare_global, global_layouts},
    {"GlobalLpPool", 1, kNewestOpset, kFloats, infer_global, prepare_global, global_layouts},
};

}  // namespace

PoolView PoolView::of(const ir::Node& node) {
  if (!node.attribute("kernel_shape")) fail(ErrorCode::kInvalidModel, "attribute kernel_shape is missing");
  PoolView view;
  view.window = Window::of(node, node.ints_or("kernel_shape", {}));
  view.window.ceil_mode = node.int_or("ceil_mode", 0) != 0;
  const Window& window = view.window;
  for (size_t i = 0; i < window.rank(); ++i)
    if (std::max(window.pads_begin[i], window.pads_end[i]) >= window.extent(i))
      fail(ErrorCode::kInvalidModel,
           "pads {} and {} in spatial dimension {} where less than the kernel's extent {} is expected",
           window.pads_begin[i], window.pads_end[i], i, window.extent(i));
  view.count_include_pad = node.int_or("count_include_pad", 0) != 0;
  view.column_major_indices = node.int_or("storage_order", 0) != 0;
  if (node.is("LpPool")) view.p = exponent(node);
  return view;
}

Family pooling_family() { return kOperators; }

}  // namespace pli::ops
