#include "passes/layout/axis_groups.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "passes/reshape_target.h"
#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

constexpr int64_t kSliceByInputs = 10;  // before, what it takes is attributes

/// What takes the place of a node: a value that is there already, or another node.
struct Merged {
  ir::ValueId value;
  std::optional<ir::NodeSpec> spec;
};

bool keeps_order(const ir::Node& node) {
  constexpr std::array kReshaping{"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
  return std::ranges::any_of(kReshaping, [&](const char* type) { return node.is(type); });
}

const ir::Dims* dims_of(const ir::Graph& graph, ir::ValueId value) {
  const ir::Type& type = graph.type(value);
  return type.dims ? &*type.dims : nullptr;
}

/// Transpose, Transpose => Transpose, or nothing.
std::optional<Merged> merge_transposes(Context& context, const ir::Node& node, const ir::Node& before) {
  if (!before.is("Transpose")) return std::nullopt;
  const int64_t rank = context.graph.type(before.inputs[0]).rank();
  if (rank < 0) return std::nullopt;
  const Permutation both = permuted(ops::transpose_permutation(before, rank), ops::transpose_permutation(node, rank));
  if (is_identity(both)) return Merged{before.inputs[0], {}};
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {before.inputs[0]};
  set_attribute(spec, "perm", both);
  return Merged{{}, std::move(spec)};
}

/// A Reshape by a constant; before opset 5 the shape is an attribute.
std::optional<ir::NodeSpec> reshape(Context& context, const ir::Node& like, ir::ValueId x, ir::ValueId result) {
  ir::Graph& graph = context.graph;
  const ir::Dims *from = dims_of(graph, x), *to = dims_of(graph, result);
  if (!from || !to || graph.opset("") < kShapeAsInput) return std::nullopt;
  const auto target = reshape_target(*from, *to, infers_dimension(graph, like));
  if (!target) return std::nullopt;
  ir::NodeSpec spec{.op_type = "Reshape", .name = like.name, .inputs = {x}, .extra = like.extra};
  spec.inputs.push_back(graph.add_constant(int64_tensor(*target), graph.name(result) + "_shape"));
  return spec;
}

/// Of Reshape, Flatten, Squeeze and Unsqueeze only the last dimensions count.
std::optional<Merged> merge_reshapes(Context& context, const ir::Node& node, const ir::Node& before) {
  if (!keeps_order(before)) return std::nullopt;
  const ir::ValueId x = before.inputs[0];
  auto spec = reshape(context, node, x, node.outputs[0]);
  return spec ? std::optional(Merged{{}, std::move(spec)}) : std::nullopt;
}

/// Reshape, Transpose, Reshape => Transpose, where axes that the first joins or divides stay together and the last
/// takes that back. So where the heads of an attention become part of the batch while its keys are transposed.
std::optional<Merged> merge_around_transpose(Context& context, const ir::Node& node, const ir::Node& before) {
  const ir::Graph& graph = context.graph;
  const ir::NodeId maker = before.is("Transpose") ? context.only_maker(before.inputs[0]) : ir::NodeId{};
  if (!maker || !keeps_order(graph.node(maker))) return std::nullopt;
  const ir::ValueId x = graph.node(maker).inputs[0];
  const ir::Dims *from = dims_of(graph, x), *between = dims_of(graph, before.inputs[0]),
                 *to = dims_of(graph, node.outputs[0]);
  const auto groups = from && between && to ? reshaping(*from, *between) : std::nullopt;
  if (!groups) return std::nullopt;
  const auto rank = static_cast<int64_t>(between->size());
  const auto own = permuted_output(reversed(*groups), ops::transpose_permutation(before, rank));
  if (!own || own->size() != from->size() || permuted(*from, *own) != *to) return std::nullopt;
  if (is_identity(*own)) return Merged{x, {}};
  ir::NodeSpec spec = ir::spec_like(before);
  spec.inputs = {x};
  set_attribute(spec, "perm", *own);
  return Merged{{}, std::move(spec)};
}

/// Every number of one type is one of the other.
bool holds_all(DataType narrow, DataType wide) {
  if (is_float(narrow)) {
    if (narrow == wide || wide == DataType::kFloat64) return is_float(wide);
    return is_half(narrow) && wide == DataType::kFloat32;
  }
  const auto is_signed = [](DataType dtype) {
    return dtype == DataType::kInt8 || dtype == DataType::kInt16 || dtype == DataType::kInt32 ||
           dtype == DataType::kInt64;
  };
  if (!is_integer(narrow) || !is_integer(wide)) return false;
  if (is_signed(narrow) == is_signed(wide)) return bit_width(narrow) <= bit_width(wide);
  return is_signed(wide) && bit_width(narrow) < bit_width(wide);
}

/// Cast to a type that holds all numbers, Cast => Cast, or nothing.
std::optional<Merged> merge_casts(Context& context, const ir::Node& node, const ir::Node& before) {
  if (!before.is("Cast")) return std::nullopt;
  const ir::ValueId x = before.inputs[0];
  const DataType first = context.graph.type(x).dtype, middle = context.graph.type(node.inputs[0]).dtype;
  if (!holds_all(first, middle) || context.graph.type(node.outputs[0]).dtype == DataType::kString) return std::nullopt;
  if (first == context.graph.type(node.outputs[0]).dtype) return Merged{x, {}};
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {x};
  return Merged{{}, std::move(spec)};
}

/// What a Slice takes along one axis: from `start` on and before `end`, counted from the front, every element that is
/// `step` behind the last.
struct Range {
  int64_t start, end, step;
};

/// Nothing where it walks backwards, or counts from an end that is not known.
std::optional<Range> forward_range(const ops::SliceView& view, size_t i, const ir::Dim& dim) {
  Range range{view.starts[i], view.ends[i], view.steps[i]};
  if (range.step < 0) return std::nullopt;
  for (int64_t* at : {&range.start, &range.end}) {
    if (*at >= 0) continue;
    if (!dim.known()) return std::nullopt;
    *at = std::max<int64_t>(*at + dim.value(), 0);
  }
  return range;
}

/// What the second takes of what the first has taken.
std::optional<Range> range_of_range(const Range& first, const Range& second) {
  const auto place = [&](int64_t index) {
    const auto distance = checked_mul(index, first.step);
    return distance ? checked_add(first.start, *distance) : std::nullopt;
  };
  const auto start = place(second.start), step = checked_mul(first.step, second.step);
  if (!start || !step) return std::nullopt;
  return Range{*start, std::min(first.end, place(second.end).value_or(INT64_MAX)), *step};
}

/// Both views as one; the dimensions are those that each Slice is given.
std::optional<ops::SliceView> slice_of_slice(const ops::SliceView& first, const ops::SliceView& second,
                                             const ir::Dims& from, const ir::Dims& between) {
  const auto rank = static_cast<int64_t>(from.size());
  ops::SliceView both = first;
  both.axes = ops::normalize_axes(first.axes, rank);
  const std::vector<int64_t> axes = ops::normalize_axes(second.axes, rank);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const auto at = static_cast<size_t>(std::ranges::find(both.axes, axes[i]) - both.axes.begin());
    if (at == both.axes.size()) {
      both.axes.push_back(axes[i]);
      both.starts.push_back(second.starts[i]);
      both.ends.push_back(second.ends[i]);
      both.steps.push_back(second.steps[i]);
      continue;
    }
    const auto outer = forward_range(first, at, from[axis]), inner = forward_range(second, i, between[axis]);
    const auto range = outer && inner ? range_of_range(*outer, *inner) : std::nullopt;
    if (!range) return std::nullopt;
    both.starts[at] = range->start;
    both.ends[at] = range->end;
    both.steps[at] = range->step;
  }
  return both;
}

/// Slice, Slice => Slice.
std::optional<Merged> merge_slices(Context& context, const ir::Node& node, const ir::Node& before) {
  ir::Graph& graph = context.graph;
  if (!before.is("Slice")) return std::nullopt;
  const ir::Dims *from = dims_of(graph, before.inputs[0]), *between = dims_of(graph, node.inputs[0]);
  const auto first = ops::SliceView::of(graph, before), second = ops::SliceView::of(graph, node);
  if (!from || !between || !first || !second) return std::nullopt;
  const auto both = slice_of_slice(*first, *second, *from, *between);
  if (!both) return std::nullopt;
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {before.inputs[0]};
  const std::pair<const char*, const std::vector<int64_t>*> lists[] = {
      {"starts", &both->starts}, {"ends", &both->ends}, {"axes", &both->axes}, {"steps", &both->steps}};
  for (const auto& [name, list] : lists) {
    if (list == &both->steps && std::ranges::all_of(*list, [](int64_t step) { return step == 1; })) continue;
    if (graph.opset("") < kSliceByInputs)
      set_attribute(spec, name, *list);
    else
      spec.inputs.push_back(graph.add_constant(int64_tensor(*list), graph.name(node.outputs[0]) + "_" + name));
  }
  return Merged{{}, std::move(spec)};
}

/// Concat, Concat along the same axis => Concat.
std::optional<Merged> merge_concats(Context& context, const ir::Node& node) {
  const ir::Graph& graph = context.graph;
  const int64_t rank = graph.type(node.outputs[0]).rank();
  if (rank < 0) return std::nullopt;
  const int64_t axis = ops::concat_axis(graph, node, rank);
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs.clear();
  for (const ir::ValueId input : node.inputs) {
    const ir::NodeId maker = context.only_maker(input);
    const bool joins = maker && graph.node(maker).is("Concat") && graph.type(input).rank() == rank &&
                       ops::concat_axis(graph, graph.node(maker), rank) == axis;
    if (joins)
      spec.inputs.insert(spec.inputs.end(), graph.node(maker).inputs.begin(), graph.node(maker).inputs.end());
    else
      spec.inputs.push_back(input);
  }
  return spec.inputs == node.inputs ? std::nullopt : std::optional(Merged{{}, std::move(spec)});
}

struct Rule {
  bool (*takes)(const ir::Node& node);
  std::optional<Merged> (*merge)(Context& context, const ir::Node& node, const ir::Node& before);
};

constexpr std::array kRules = std::to_array<Rule>({
    {[](const ir::Node& node) { return node.is("Transpose"); }, merge_transposes},
    {keeps_order, merge_reshapes},
    {keeps_order, merge_around_transpose},
    {[](const ir::Node& node) { return node.is("Cast"); }, merge_casts},
    {[](const ir::Node& node) { return node.is("Slice"); }, merge_slices},
});

/// A Reshape whose shape is computed, though all but one of its dimensions are known.
std::optional<Merged> with_constant_shape(Context& context, const ir::Node& node) {
  if (!node.is("Reshape") || !node.input(0) || !node.input(1) || context.graph.constant_of(node.inputs[1]))
    return std::nullopt;
  const ir::Dims *from = dims_of(context.graph, node.inputs[0]), *to = dims_of(context.graph, node.outputs[0]);
  if (from && to && *from == *to) return Merged{node.inputs[0], {}};
  auto spec = reshape(context, node, node.inputs[0], node.outputs[0]);
  return spec ? std::optional(Merged{{}, std::move(spec)}) : std::nullopt;
}

/// What the node gives is there already: it takes back what a Reshape, Squeeze, ... before it does, whoever else reads
/// what is between.
std::optional<Merged> inverse(Context& context, const ir::Node& node) {
  const ir::Graph& graph = context.graph;
  const ir::NodeId producer = node.input(0) ? graph.producer(node.inputs[0]) : ir::NodeId{};
  if (!producer || context.broken.contains(producer) || !graph.node(producer).input(0)) return std::nullopt;
  const ir::Node& before = graph.node(producer);
  if (!keeps_order(node) || !keeps_order(before)) return std::nullopt;
  const ir::Dims *from = dims_of(graph, before.inputs[0]), *to = dims_of(graph, node.outputs[0]);
  return from && to && *from == *to ? std::optional(Merged{before.inputs[0], {}}) : std::nullopt;
}

std::optional<Merged> merged(Context& context, const ir::Node& node) {
  if (auto simpler = with_constant_shape(context, node)) return simpler;
  if (auto taken_back = inverse(context, node)) return taken_back;
  if (node.is("Concat")) return merge_concats(context, node);
  const ir::NodeId maker = context.only_maker(node.input(0));
  if (!maker || !context.graph.node(maker).input(0)) return std::nullopt;
  for (const Rule& rule : kRules)
    if (rule.takes(node))
      if (auto result = rule.merge(context, node, context.graph.node(maker))) return result;
  return std::nullopt;
}

}  // namespace

/// Transpose, Transpose   =>   one or none; so Cast, Cast, and Reshape, Flatten, Squeeze, Unsqueeze among each other
/// Reshape, Transpose, Reshape   =>   Transpose, where the last takes back what the first does
/// Slice, Slice   =>   Slice; Concat, Concat along the same axis   =>   Concat
/// Reshape by a computed shape   =>   Reshape by a constant
///
/// where nothing else reads what is between. A shape may leave one dimension open and copy others.
int64_t merge_consecutive(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id) || context.broken.contains(id)) continue;
    const ir::Node node = graph.node(id);
    if (node.outputs.empty() || !node.outputs[0] || graph.is_pinned(node.outputs[0])) continue;
    auto result = merged(context, node);
    if (!result) continue;
    if (result->value) {
      if (graph.is_output(node.outputs[0])) continue;  // it would be an Identity
      graph.replace_all_uses(node.outputs[0], result->value);
      graph.erase_node(id);
    } else {
      (void)replace_node(graph, id, std::move(*result->spec));
    }
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
