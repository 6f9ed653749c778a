#include "passes/pass.h"

#include "runtime/core/tensor.h"
#include "runtime/ops/operator.h"
#include "runtime/ops/shape/reshape.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::passes {

namespace {

const ir::Dims* dims_of(const ir::Graph& graph, ir::ValueId value) {
  const ir::Type& type = graph.type(value);
  return type.dims ? &*type.dims : nullptr;
}

/// A list of integers that older opsets have in attribute `name` and newer ones in input `index`. Nothing when it is
/// absent or not constant.
std::optional<std::vector<int64_t>> integers(const ir::Graph& graph, const ir::Node& node, size_t index,
                                             std::string_view name) {
  if (const ir::Attribute* attribute = node.attribute(name)) {
    const auto* values = std::get_if<std::vector<int64_t>>(&attribute->value);
    return values ? std::optional(*values) : std::nullopt;
  }
  const Tensor* tensor = graph.constant_of(node.input(index));
  if (!tensor || !is_integer(tensor->dtype())) return std::nullopt;
  return to_int64s(*tensor);
}

bool is_identity(const ir::Graph&, const ir::Node&) { return true; }

bool has_one_input(const ir::Graph&, const ir::Node& node) { return node.inputs.size() == 1; }

/// Nobody looks at the mask, and before opset 7 it is told to test: others that read the file may train.
bool is_nop_dropout(const ir::Graph& graph, const ir::Node& node) {
  if (graph.is_used(node.output(1))) return false;
  return ops::is_passing_dropout(graph, node) && (graph.opset("") >= 7 || node.int_or("is_test", 0) != 0);
}

bool is_nop_cast(const ir::Graph& graph, const ir::Node& node) {
  const ir::Attribute* to = node.attribute("to");
  const auto* dtype = to ? std::get_if<int64_t>(&to->value) : nullptr;
  const ir::Type& type = graph.type(node.inputs[0]);
  return dtype && type.dtype != DataType::kUndefined && *dtype == static_cast<int64_t>(type.dtype);
}

bool is_nop_cast_like(const ir::Graph& graph, const ir::Node& node) {
  const DataType dtype = graph.type(node.inputs[0]).dtype;
  return node.input(1) && dtype != DataType::kUndefined && dtype == graph.type(node.inputs[1]).dtype;
}

/// All dimensions are shown to stay what they are.
bool keeps_dims(const ir::Graph& graph, const ir::Node& node) {
  const ir::Dims *before = dims_of(graph, node.inputs[0]), *after = dims_of(graph, node.outputs[0]);
  return before && after && *before == *after;
}

/// Every dimension is copied or given as it is; the one that is left over (-1) then is as well, unless there are no
/// elements.
bool is_nop_reshape(const ir::Graph& graph, const ir::Node& node) {
  if (keeps_dims(graph, node)) return true;
  const ir::Dims* dims = dims_of(graph, node.inputs[0]);
  const auto shape = integers(graph, node, 1, "shape");
  if (!dims || !shape || shape->size() != dims->size()) return false;
  const bool copies_zero = node.int_or("allowzero", 0) == 0;
  size_t left_over = 0;
  for (size_t i = 0; i < shape->size(); ++i) {
    const int64_t wanted = (*shape)[i];
    if (wanted == 0 && copies_zero) continue;
    if (wanted == -1)
      ++left_over;
    else if (!((*dims)[i] == ir::Dim(wanted)) || wanted == 0)
      return false;
  }
  return left_over <= 1;
}

bool is_nop_flatten(const ir::Graph& graph, const ir::Node& node) {
  const int64_t axis = node.int_or("axis", 1);
  const ir::Dims* dims = dims_of(graph, node.inputs[0]);
  return dims && dims->size() == 2 && (axis == 1 || axis == -1);
}

bool is_nop_transpose(const ir::Graph& graph, const ir::Node& node) {
  const std::vector<int64_t> perm = node.ints_or("perm", {});
  if (perm.empty()) {
    const ir::Dims* dims = dims_of(graph, node.inputs[0]);
    return dims && dims->size() <= 1;
  }
  for (size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  return true;
}

bool is_nop_pad(const ir::Graph& graph, const ir::Node& node) {
  const auto pads = integers(graph, node, 1, node.attribute("paddings") ? "paddings" : "pads");
  return pads && std::ranges::all_of(*pads, [](int64_t pad) { return pad == 0; });
}

/// Starts at 0 and ends at or behind the end. Axes and steps that are not known could be anything.
bool is_nop_slice(const ir::Graph& graph, const ir::Node& node) {
  constexpr int64_t kEnd = INT32_MAX;  // what exporters write for "to the end", or more
  const ir::Dims* dims = dims_of(graph, node.inputs[0]);
  const auto starts = integers(graph, node, 1, "starts");
  const auto ends = integers(graph, node, 2, "ends");
  if (!dims || !starts || !ends || starts->size() != ends->size()) return false;
  std::vector<int64_t> axes(starts->size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (node.input(3) || node.attribute("axes")) {
    const auto given = integers(graph, node, 3, "axes");
    if (!given || given->size() != axes.size()) return false;
    axes = *given;
  }
  if (node.input(4)) {
    const auto steps = integers(graph, node, 4, "");
    if (!steps || std::ranges::any_of(*steps, [](int64_t step) { return step != 1; })) return false;
  }
  const auto rank = static_cast<int64_t>(dims->size());
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank || (*starts)[i] != 0) return false;
    const ir::Dim& dim = (*dims)[static_cast<size_t>(axis)];
    if (!((*ends)[i] >= kEnd || (dim.known() && (*ends)[i] >= dim.value()))) return false;
  }
  return true;
}

/// `shape` is broadcast to `dims` without making any of them larger.
bool stretches_nothing(std::span<const int64_t> shape, const ir::Dims* dims) {
  if (!dims || shape.size() > dims->size()) return false;
  const size_t start = dims->size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1 && !((*dims)[start + i] == ir::Dim(shape[i]))) return false;
  return true;
}

bool is_nop_expand(const ir::Graph& graph, const ir::Node& node) {
  if (keeps_dims(graph, node)) return true;
  const auto shape = integers(graph, node, 1, "");
  return shape && stretches_nothing(*shape, dims_of(graph, node.inputs[0]));
}

/// From opset 11 on a bound that is not there does not bind; before, the largest float does.
bool is_nop_clip(const ir::Graph& graph, const ir::Node& node) {
  return graph.opset("") >= 11 && !node.input(1) && !node.input(2);
}

/// All elements are `number` and, of a float type, of the sign that is asked for.
bool holds_only(const Tensor& tensor, int number, bool negative) {
  if (is_integer(tensor.dtype())) {
    if (tensor.dtype() == DataType::kUint64) return false;
    return std::ranges::all_of(to_int64s(tensor), [&](int64_t value) { return value == number; });
  }
  if (!is_float(tensor.dtype())) return false;
  return std::ranges::all_of(to_doubles(tensor), [&](double value) {
    return value == static_cast<double>(number) && std::signbit(value) == negative;
  });
}

/// Input `index` is a constant that leaves the other operand as it is, bit for bit: x * 1, x / 1, x - 0, and x + (-0),
/// which is x also for x = -0; x + 0 is not.
bool is_neutral(const ir::Graph& graph, const ir::Node& node, size_t index) {
  const Tensor* constant = graph.constant_of(node.input(index));
  const ir::ValueId other = node.input(1 - index);
  if (!constant || !other || graph.opset("") < ops::kNumpyBroadcasting) return false;
  if (!stretches_nothing(constant->shape(), dims_of(graph, other))) return false;
  if (node.is("Mul") || node.is("Div")) return holds_only(*constant, 1, false);
  return holds_only(*constant, 0, node.is("Add"));
}

bool is_right_neutral(const ir::Graph& graph, const ir::Node& node) { return is_neutral(graph, node, 1); }

struct Rule {
  std::string_view op_type;
  bool (*is_nop)(const ir::Graph& graph, const ir::Node& node);  // output 0 is input 0
};

constexpr std::array kRules = std::to_array<Rule>({
    {"Identity", is_identity},   {"Dropout", is_nop_dropout},    {"Cast", is_nop_cast},
    {"Reshape", is_nop_reshape}, {"Flatten", is_nop_flatten},    {"Transpose", is_nop_transpose},
    {"Pad", is_nop_pad},         {"Slice", is_nop_slice},        {"Expand", is_nop_expand},
    {"Clip", is_nop_clip},       {"Concat", has_one_input},      {"Sum", has_one_input},
    {"Max", has_one_input},      {"Min", has_one_input},         {"Mean", has_one_input},
    {"Mul", is_right_neutral},   {"Div", is_right_neutral},      {"Add", is_right_neutral},
    {"Sub", is_right_neutral},   {"CastLike", is_nop_cast_like},
});

/// The input that the node gives as it is; none when it does something.
ir::ValueId passed_through(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is_onnx() || !node.input(0) || !node.output(0)) return {};
  for (const Rule& rule : kRules)
    if (node.op_type == rule.op_type && rule.is_nop(graph, node)) return node.inputs[0];
  if ((node.is("Mul") || node.is("Add")) && node.inputs.size() == 2 && is_neutral(graph, node, 0))
    return node.inputs[1];
  return {};
}

/// An output of the model needs a node of its own: what it is bound to must not be an input, a constant or another
/// output. No name that is pinned may go.
bool may_take_over(const ir::Graph& graph, ir::ValueId output, ir::ValueId input) {
  if (!graph.is_output(output)) return !graph.is_pinned(output);
  return !graph.is_pinned(input) && graph.producer(input) && !graph.constant_of(input) && !graph.is_output(input);
}

}  // namespace

/// A node whose result is one of its inputs, bit for bit   =>   that input
///
/// Each rule proves it from attributes, constants and known dimensions; a dimension that is not known proves nothing.
int64_t eliminate_nop(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (context.broken.contains(id)) continue;
    const ir::ValueId input = passed_through(graph, graph.node(id));
    if (!input) continue;
    const ir::ValueId output = graph.node(id).outputs[0];
    if (!may_take_over(graph, output, input)) continue;
    const bool is_output = graph.is_output(output);
    const std::string name = graph.name(output);
    graph.replace_all_uses(output, input);
    graph.erase_node(id);
    if (is_output) graph.rename(input, name);
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
