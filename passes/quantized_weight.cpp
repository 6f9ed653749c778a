#include "passes/quantized_weight.h"

#include "passes/narrow_weight.h"
#include "runtime/core/dispatch.h"
#include "runtime/ops/evaluate.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/quantization/quantization.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pli::passes {

namespace {

using ops::QuantizationView;

/// From the DequantizeLinear to the weight.
struct Chain {
  ir::NodeId dequantize;
  std::vector<ir::NodeId> transposes;  // in the order in which they run
};

/// Nothing where other nodes than Transposes stand between.
std::optional<Chain> chain_of(const ir::Graph& graph, ir::ValueId weight) {
  Chain chain;
  for (ir::NodeId at = graph.producer(weight); at; at = graph.producer(graph.node(at).inputs[0])) {
    if (graph.node(at).is("DequantizeLinear")) {
      chain.dequantize = at;
      std::ranges::reverse(chain.transposes);
      return chain;
    }
    if (!graph.node(at).is("Transpose")) return std::nullopt;
    chain.transposes.push_back(at);
  }
  return std::nullopt;
}

/// The axis, before the Transposes, that becomes this one.
int64_t axis_before(const ir::Graph& graph, const Chain& chain, int64_t axis) {
  for (auto id = chain.transposes.rbegin(); id != chain.transposes.rend(); ++id) {
    const ir::Node& node = graph.node(*id);
    axis = ops::transpose_permutation(node, graph.type(node.inputs[0]).rank())[static_cast<size_t>(axis)];
  }
  return axis;
}

/// Integers of the stored type and shape.
Tensor integers_like(const Tensor& like, Shape shape, const std::vector<int64_t>& values) {
  Tensor made(like.dtype(), std::move(shape));
  with_integer_type(like.dtype(), [&]<class T>(T) {
    std::ranges::transform(values, made.mutable_data<T>().begin(), [](int64_t v) { return static_cast<T>(v); });
  });
  return made;
}

bool holds(DataType dtype, int64_t value) {
  return with_integer_type(dtype, [&]<class T>(T) { return std::in_range<T>(value); });
}

/// The integers, with their mirror images at the positions of the axis where the factor is negative, and what stands
/// for 0 where it is 0. Nothing where one has no mirror image.
std::optional<std::vector<int64_t>> mirrored(const Tensor& integers, const std::vector<int64_t>& zeros, int64_t axis,
                                             const std::vector<double>& factor) {
  std::vector<int64_t> values = to_int64s(integers);
  int64_t inner = 1;
  const std::span<const int64_t> dims = integers.shape();
  for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) inner *= dims[i];
  const auto along = static_cast<size_t>(dims[static_cast<size_t>(axis)]);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t at = i / static_cast<size_t>(inner) % along;
    const double number = factor[factor.size() == 1 ? 0 : at];
    const int64_t zero = zeros.empty() ? 0 : zeros[zeros.size() == 1 ? 0 : at];
    if (number > 0) continue;
    values[i] = number == 0 ? zero : 2 * zero - values[i];
    if (!holds(integers.dtype(), values[i])) return std::nullopt;
  }
  return values;
}

}  // namespace

bool is_quantized(const ir::Graph& graph, ir::ValueId weight) {
  const auto narrow = narrow_weight(graph, weight);
  return narrow && graph.node(narrow->cast).is("DequantizeLinear");
}

std::optional<Requantized> requantized(const Context& context, ir::ValueId weight, const Spread& factor, Refusal& why) {
  const ir::Graph& graph = context.graph;
  const auto refuse = [&](std::string_view reason) {
    return why.because(code::kQuantized, "the weight \"{}\" is stored as integers, and {}", graph.name(weight), reason);
  };
  const auto chain = chain_of(graph, weight);
  if (!chain) return refuse("moved between DequantizeLinear and its reader");
  const auto view = QuantizationView::of(graph, graph.node(chain->dequantize));
  const Tensor& integers = *graph.constant_of(view.x);
  const Tensor& scale = *graph.constant_of(view.scale);
  const Tensor* zero = graph.constant_of(view.zero_point);
  if (view.block_size != 0) return refuse("scaled by blocks");

  const bool by_axis = scale.size() > 1;
  const auto rank = static_cast<int64_t>(integers.shape().size());
  int64_t axis = by_axis ? ops::normalize_axis(view.axis, rank) : -1;
  for (size_t i = 0; i < factor.shape.size(); ++i) {
    if (factor.shape[i] == 1) continue;
    const int64_t before = axis_before(graph, *chain, static_cast<int64_t>(i));
    if (axis >= 0 && axis != before) return refuse("the axis of its scales is another");
    if (!by_axis && graph.opset("") < ops::kQuantizedByAxis) return refuse("has one scale in this operator set");
    axis = before;
  }
  Requantized made{.numbers = {}, .scale = scale, .zero_point = {}, .integers = {}, .axis = axis};
  const std::vector<double> old = context.exact_numbers(view.scale);
  const size_t count = std::max(old.size(), factor.numbers.size());
  for (size_t i = 0; i < count; ++i) {
    const double number = factor.numbers[factor.numbers.size() == 1 ? 0 : i];
    made.numbers.push_back(old[old.size() == 1 ? 0 : i] * (number == 0 ? 1 : std::abs(number)));
  }
  Folded folded =
      rounded(scale.dtype(),
              count == 1 ? Shape(scale.shape().begin(), scale.shape().end()) : Shape{static_cast<int64_t>(count)},
              made.numbers);
  if (!folded.tensor || std::ranges::any_of(to_doubles(*folded.tensor), [](double v) { return !(v > 0); }))
    return why.because(code::kNonFinite, "the scales of the weight \"{}\" would not be finite and above zero",
                       graph.name(weight));
  made.scale = std::move(*folded.tensor);
  const std::vector<int64_t> zeros = zero ? to_int64s(*zero) : std::vector<int64_t>{};
  if (zero && count > zeros.size())
    made.zero_point = integers_like(*zero, {static_cast<int64_t>(count)}, std::vector<int64_t>(count, zeros.at(0)));
  if (std::ranges::any_of(factor.numbers, [](double number) { return !(number > 0); })) {
    const auto values = mirrored(integers, zeros, std::max<int64_t>(axis, 0), factor.numbers);
    if (!values) return refuse("one of them has no mirror image for the negative scale");
    made.integers = integers_like(integers, Shape(integers.shape().begin(), integers.shape().end()), *values);
    if (!graph.has_single_use(view.x)) made.growth = static_cast<int64_t>(integers.bytes().size());
  }
  return made;
}

ir::ValueId write_requantized(Context& context, ir::ValueId weight, Requantized made) {
  ir::Graph& graph = context.graph;
  const Chain chain = *chain_of(graph, weight);
  const auto view = QuantizationView::of(graph, graph.node(chain.dequantize));
  ir::NodeSpec spec = ir::spec_like(graph.node(chain.dequantize));
  if (made.integers) spec.inputs[0] = context.names.replace(view.x, std::move(*made.integers));
  spec.inputs[1] = context.names.replace(view.scale, std::move(made.scale));
  context.exact.insert_or_assign(spec.inputs[1], std::move(made.numbers));
  if (made.zero_point) spec.inputs[2] = context.names.replace(view.zero_point, std::move(*made.zero_point));
  std::erase_if(spec.attributes, [](const ir::Attribute& attribute) { return attribute.name == "axis"; });
  if (made.axis >= 0 && graph.opset("") >= ops::kQuantizedByAxis) spec.attributes.push_back({"axis", made.axis, {}});

  const ir::NodeId before = graph.producer(weight);
  const auto add = [&](ir::NodeSpec node, ir::NodeId old) {
    const ir::ValueId result = graph.node(old).outputs[0];
    node.outputs = {{graph.unique_name(graph.name(result)), graph.type(result), {}}};
    const ir::NodeId id = graph.add_node(std::move(node), before);
    const ir::Node& added = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (const ir::ValueId input : added.inputs) inputs.push_back(graph.constant_of(input));
    const ir::ValueId value = added.outputs[0];
    graph.set_constant(value, ops::evaluate(graph, added, inputs, context.options.limits).at(0));
    context.names.take_over(value, result);
    return value;
  };
  ir::ValueId value = add(std::move(spec), chain.dequantize);
  for (const ir::NodeId id : chain.transposes) {
    ir::NodeSpec transpose = ir::spec_like(graph.node(id));
    transpose.inputs[0] = value;
    value = add(std::move(transpose), id);
  }
  return value;
}

}  // namespace pli::passes
