#include "runtime/ops/quantization/quantization.h"

#include "runtime/core/tensor.h"
#include "runtime/ops/elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::ops {

namespace {

using compute::plain;

using ScaleTypes = TypeList<float, Float16, Bfloat16>;
using StoredTypes = TypeList<int8_t, uint8_t, int16_t, uint16_t>;
using AccumulatedTypes = TypeList<int8_t, uint8_t, int16_t, uint16_t, int32_t>;

/// The type that the node gives: what output_dtype says, else the one that the operands tell.
DataType given_type(const ir::Node& node, DataType told) {
  const auto asked = static_cast<DataType>(node.int_or("output_dtype", 0));
  if (asked == DataType::kUndefined) return told;
  if (told != DataType::kUndefined && node.is("QuantizeLinear") && node.input(2) && asked != told)
    fail(ErrorCode::kInvalidModel, "output_dtype is {}, the zero point {}", to_string(asked), to_string(told));
  return asked;
}

void check_scale(const InferContext& context, const QuantizationView& view) {
  const ir::Type& x = context.type(0);
  const ir::Type& scale = context.type(1);
  const auto scale_dims = scale.shape();
  if (x.has_rank() && scale_dims && x.shape()) {
    (void)view.stretched(*x.shape(), *scale_dims);
  } else if (scale.rank() > 1 && view.block_size == 0) {
    fail(ErrorCode::kInvalidModel, "the scale has rank {} where a number or a list is expected", scale.rank());
  }
  if (!context.has(2)) return;
  const auto zero_dims = context.type(2).shape();
  if (scale_dims && zero_dims && *scale_dims != *zero_dims)
    fail(ErrorCode::kInvalidModel, "the scale has shape {}, the zero point {}", to_string(*scale_dims),
         to_string(*zero_dims));
}

std::vector<ir::Type> infer_quantize(const InferContext& context) {
  context.check_inputs(2, 3);
  context.check_outputs(1, 1);
  check_scale(context, QuantizationView::of(context.graph, context.node));
  const DataType zero = context.has(2) ? context.type(2).dtype : DataType::kUint8;
  const DataType told = !context.has(2) && context.node.int_or("output_dtype", 0) != 0 ? DataType::kUndefined : zero;
  return {ir::Type::tensor(given_type(context.node, told), context.type(0).dims)};
}

std::vector<ir::Type> infer_dequantize(const InferContext& context) {
  context.check_inputs(2, 3);
  context.check_outputs(1, 1);
  check_scale(context, QuantizationView::of(context.graph, context.node));
  const DataType x = context.type(0).dtype;
  if (context.has(2) && x != DataType::kUndefined && context.type(2).dtype != DataType::kUndefined &&
      context.type(2).dtype != x)
    fail(ErrorCode::kInvalidModel, "the zero point is {} where {} is expected", to_string(context.type(2).dtype),
         to_string(x));
  return {ir::Type::tensor(given_type(context.node, context.type(1).dtype), context.type(0).dims)};
}

/// x, scale and zero point, and the output, under dimensions that broadcasting makes fit.
struct Operands {
  TensorDesc output;
  std::vector<TensorDesc> inputs;
};

Operands stretch(const PrepareContext& context) {
  const QuantizationView view = QuantizationView::of(context.graph, context.node);
  const TensorDesc &x = context.inputs[0], &scale = context.inputs[1];
  Shape x_dims = x.dims;
  auto scale_dims = view.stretched(x.dims, scale.dims);
  if (!scale_dims) {  // by blocks: an axis of its own for the positions in a block
    const auto axis = static_cast<size_t>(normalize_axis(view.axis, x.rank()));
    if (x.dims[axis] % view.block_size != 0)
      fail(ErrorCode::kUnsupported, "blocks of {} that do not divide {} positions", view.block_size, x.dims[axis]);
    x_dims[axis] = scale.dims[axis];
    x_dims.insert(x_dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, view.block_size);
    scale_dims = scale.dims;
    scale_dims->insert(scale_dims->begin() + static_cast<std::ptrdiff_t>(axis) + 1, 1);
  }
  Operands operands{plain(context.outputs[0].dtype, x_dims), {plain(x.dtype, x_dims), plain(scale.dtype, *scale_dims)}};
  if (context.has(2)) operands.inputs.push_back(plain(context.inputs[2].dtype, *scale_dims));
  return operands;
}

/// (x - zero point) scale
template <class X, class Scale>
struct Dequantize {
  Scale operator()(X x, Scale scale) const { return product(static_cast<float>(x), scale); }
  Scale operator()(X x, Scale scale, X zero) const {
    return product(static_cast<float>(int64_t{x} - int64_t{zero}), scale);
  }

 private:
  static Scale product(float x, Scale scale) {
    if constexpr (std::is_same_v<Scale, float>)
      return x * scale;
    else
      return from_double<Scale>(static_cast<double>(x * to_float(scale)));
  }
};

/// x / scale, rounded to the nearest, to even where two are, plus the zero point, to the ends of the range at most.
template <class Y, class X>
struct Quantize {
  Y operator()(X x, float scale) const { return (*this)(x, scale, Y{0}); }
  Y operator()(X x, float scale, Y zero) const {
    return saturate<Y>(std::nearbyint(static_cast<float>(x) / scale) + static_cast<float>(zero));
  }
};

template <class Out, class X, class Scale, class Zero, class F>
std::unique_ptr<Kernel> make_loop(const Operands& operands, const F& f) {
  if (operands.inputs.size() == 2)
    return loop_kernel<Out, X, Scale>(operands.output, operands.inputs, f, compute::kLightGrain);
  return loop_kernel<Out, X, Scale, Zero>(operands.output, operands.inputs, f, compute::kLightGrain);
}

std::unique_ptr<Kernel> prepare_dequantize(const PrepareContext& context) {
  const Operands operands = stretch(context);
  if (operands.output.dtype != operands.inputs[1].dtype)
    fail(ErrorCode::kUnsupported, "a scale of {} that gives {}", to_string(operands.inputs[1].dtype),
         to_string(operands.output.dtype));
  return dispatch(operands.inputs[0].dtype, AccumulatedTypes{}, [&]<class X>(std::type_identity<X>) {
    return dispatch(operands.output.dtype, ScaleTypes{}, [&]<class Scale>(std::type_identity<Scale>) {
      return make_loop<Scale, X, Scale, X>(operands, Dequantize<X, Scale>{});
    });
  });
}

std::unique_ptr<Kernel> prepare_quantize(const PrepareContext& context) {
  const Operands operands = stretch(context);
  if (const int64_t precision = context.node.int_or("precision", 0); precision > 1)
    fail(ErrorCode::kUnsupported, "a division in {}", to_string(static_cast<DataType>(precision)));
  if (operands.inputs[1].dtype != DataType::kFloat32)
    fail(ErrorCode::kUnsupported, "a scale of {}", to_string(operands.inputs[1].dtype));
  return dispatch(operands.output.dtype, StoredTypes{}, [&]<class Y>(std::type_identity<Y>) {
    return dispatch(operands.inputs[0].dtype, TypeList<float, int32_t>{}, [&]<class X>(std::type_identity<X>) {
      return make_loop<Y, X, float, Y>(operands, Quantize<Y, X>{});
    });
  });
}

constexpr Operator kOperators[] = {
    {.type = "QuantizeLinear",
     .since = 10,
     .until = kNewestOpset,
     .types = kF32 | types({DataType::kInt32}),
     .infer = infer_quantize,
     .prepare = prepare_quantize},
    {.type = "DequantizeLinear",
     .since = 10,
     .until = kNewestOpset,
     .types = mask_of(AccumulatedTypes{}),
     .infer = infer_dequantize,
     .prepare = prepare_dequantize},
};

}  // namespace

Family quantization_family() { return kOperators; }

QuantizationView QuantizationView::of(const ir::Graph& graph, const ir::Node& node) {
  QuantizationView view{node.input(0), node.input(1), node.input(2)};
  if (graph.opset("") >= kQuantizedByAxis) {
    view.axis = node.int_or("axis", 1);
    view.block_size = node.int_or("block_size", 0);
  }
  if (view.block_size < 0) fail(ErrorCode::kInvalidModel, "attribute block_size is {}", view.block_size);
  return view;
}

std::optional<Shape> QuantizationView::stretched(std::span<const int64_t> x_dims,
                                                 std::span<const int64_t> scale_dims) const {
  const auto rank = static_cast<int64_t>(x_dims.size());
  Shape dims(x_dims.size(), 1);
  if (scale_dims.size() <= 1 && checked_size(scale_dims) == 1) return dims;
  const auto along = static_cast<size_t>(normalize_axis(axis, rank));
  const auto misfit = [&] {
    fail(ErrorCode::kInvalidModel, "the scale has shape {}, axis {} of the input {} positions", to_string(scale_dims),
         along, x_dims[along]);
  };
  if (block_size == 0) {
    if (scale_dims.size() != 1 || scale_dims[0] != x_dims[along]) misfit();
    dims[along] = scale_dims[0];
    return dims;
  }
  if (scale_dims.size() != x_dims.size()) misfit();
  for (size_t i = 0; i < x_dims.size(); ++i) {
    const int64_t wanted = i == along ? x_dims[i] / block_size + (x_dims[i] % block_size != 0) : x_dims[i];
    if (scale_dims[i] != wanted) misfit();
  }
  return std::nullopt;
}

}  // namespace pli::ops
