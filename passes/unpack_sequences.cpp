#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/tensor.h"

#include <algorithm>

namespace pli::passes {

namespace {

constexpr int64_t kSequences = 11;      // the version that they came with
constexpr int64_t kListsAsInputs = 13;  // of Split and Unsqueeze; before, attributes
constexpr size_t kMostParts = 1024;     // that a Split is made with

/// The one integer of a constant.
std::optional<int64_t> integer(const ir::Graph& graph, ir::ValueId value) {
  const Tensor* tensor = graph.constant_of(value);
  if (!tensor || !is_integer(tensor->dtype()) || tensor->size() != 1) return std::nullopt;
  return to_int64s(*tensor)[0];
}

/// Gives a list of integers to a node, as input or as attribute.
void set_list(ir::Graph& graph, ir::NodeSpec& spec, const char* name, const std::vector<int64_t>& list) {
  if (graph.opset("") < kListsAsInputs)
    set_attribute(spec, name, list);
  else
    spec.inputs.push_back(graph.add_constant(int64_tensor(list), graph.name(spec.inputs[0]) + "_" + name));
}

/// The tensors of a sequence in order, where nobody else reads it. Nothing where they are not known.
std::optional<std::vector<ir::ValueId>> members(const Context& context, ir::ValueId sequence) {
  const ir::Graph& graph = context.graph;
  std::vector<ir::ValueId> result;  // backwards
  for (;;) {
    const ir::NodeId maker = context.only_maker(sequence);
    if (!maker) return std::nullopt;
    const ir::Node& node = graph.node(maker);
    if (node.is("SequenceConstruct") || node.is("SequenceEmpty")) {
      result.insert(result.end(), node.inputs.rbegin(), node.inputs.rend());
      break;
    }
    if (!node.is("SequenceInsert") || node.inputs.size() != 2) return std::nullopt;  // at the end
    result.push_back(node.inputs[1]);
    sequence = node.inputs[0];
  }
  if (result.empty() || !std::ranges::all_of(result, [](ir::ValueId id) { return static_cast<bool>(id); }))
    return std::nullopt;
  std::ranges::reverse(result);
  return result;
}

/// SequenceConstruct -> ConcatFromSequence   =>   Concat, of an Unsqueeze of each for a new axis
bool concat_members(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node node = graph.node(id);
  const auto all = node.attribute("axis") ? members(context, node.input(0)) : std::nullopt;
  if (!all) return false;
  const int64_t axis = node.int_or("axis", 0);
  ir::NodeSpec spec{.op_type = "Concat", .name = node.name, .inputs = *all};
  set_attribute(spec, "axis", axis);
  if (node.int_or("new_axis", 0) != 0)
    for (ir::ValueId& member : spec.inputs) {
      ir::NodeSpec unsqueeze{.op_type = "Unsqueeze", .inputs = {member}};
      set_list(graph, unsqueeze, "axes", {axis});
      unsqueeze.outputs = {
          {graph.unique_name(graph.name(member) + "_unsqueezed"), ir::Type::tensor(graph.type(member).dtype), {}}};
      member = graph.node(graph.add_node(std::move(unsqueeze), id)).outputs[0];
    }
  (void)replace_node(graph, id, std::move(spec));
  return true;
}

/// The sizes of the parts that a SplitToSequence gives, of which the last may be smaller. Nothing where they are not
/// known.
std::optional<std::vector<int64_t>> part_sizes(const ir::Graph& graph, const ir::Node& node) {
  const Tensor* split = graph.constant_of(node.input(1));
  if (!split || !is_integer(split->dtype()) || split->shape().size() > 1) return std::nullopt;
  std::vector<int64_t> sizes = to_int64s(*split);
  if (split->shape().empty()) {
    const ir::Type& type = graph.type(node.inputs[0]);
    const int64_t axis = node.int_or("axis", 0), rank = type.rank();
    if (axis < -rank || axis >= rank || sizes[0] < 1) return std::nullopt;
    const ir::Dim& dim = (*type.dims)[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
    if (!dim.known() || (dim.value() - 1) / sizes[0] >= static_cast<int64_t>(kMostParts)) return std::nullopt;
    const int64_t size = sizes[0];
    sizes.assign(static_cast<size_t>(dim.value() / size), size);
    if (dim.value() % size != 0) sizes.push_back(dim.value() % size);
  }
  const bool fits = !sizes.empty() && sizes.size() <= kMostParts &&
                    std::ranges::all_of(sizes, [](int64_t size) { return size >= 0; });
  return fits ? std::optional(std::move(sizes)) : std::nullopt;
}

/// Where a SequenceAt reads a sequence of `count` tensors.
std::optional<size_t> position(const ir::Graph& graph, ir::NodeId id, size_t count) {
  const auto at = integer(graph, graph.node(id).input(1));
  const auto limit = static_cast<int64_t>(count);
  if (!at || *at < -limit || *at >= limit) return std::nullopt;
  return static_cast<size_t>(*at < 0 ? *at + limit : *at);
}

/// SplitToSequence -> SequenceAt by constants   =>   Split
bool split_directly(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node node = graph.node(id);
  const ir::ValueId sequence = node.output(0);
  const auto sizes = part_sizes(graph, node);
  if (!sizes || !sequence || graph.is_output(sequence) || graph.is_pinned(sequence)) return false;
  std::vector<std::pair<ir::NodeId, size_t>> readers;
  for (const ir::Use& use : graph.uses(sequence)) {
    const bool reads = use.index == 0 && graph.node(use.node).is("SequenceAt");
    const auto at = reads ? position(graph, use.node, sizes->size()) : std::nullopt;
    if (!at || graph.is_pinned(graph.node(use.node).outputs[0])) return false;
    readers.emplace_back(use.node, *at);
  }
  ir::NodeSpec spec{.op_type = "Split", .name = node.name, .inputs = {node.inputs[0]}, .extra = node.extra};
  set_attribute(spec, "axis", node.int_or("axis", 0));
  set_list(graph, spec, "split", *sizes);
  const ir::Type part = ir::Type::tensor(graph.type(node.inputs[0]).dtype);
  for (size_t i = 0; i < sizes->size(); ++i)
    spec.outputs.push_back({graph.unique_name(graph.name(sequence)), part, {}});
  for (const auto& [reader, at] : readers) spec.outputs[at].extra = graph.value(graph.node(reader).outputs[0]).extra;
  const std::vector<ir::ValueId> parts = graph.node(graph.add_node(std::move(spec), id)).outputs;
  std::vector<bool> named(parts.size());
  for (const auto& [reader, at] : readers) {
    const ir::ValueId result = graph.node(reader).outputs[0];
    const std::string name = graph.name(result);
    graph.replace_all_uses(result, parts[at]);
    graph.erase_node(reader);
    if (!named[at]) graph.rename(parts[at], name);
    named[at] = true;
  }
  graph.erase_node(id);
  return true;
}

/// SplitToSequence into parts of one -> SequenceAt by a constant   =>   Gather
bool gather_directly(Context& context, ir::NodeId id) {
  ir::Graph& graph = context.graph;
  const ir::Node node = graph.node(id);
  const ir::NodeId maker = node.input(0) ? graph.producer(node.inputs[0]) : ir::NodeId{};
  const auto at = integer(graph, node.input(1));
  if (!maker || !at || !graph.node(maker).is("SplitToSequence")) return false;
  const ir::Node split = graph.node(maker);
  if (split.input(1) || !split.input(0)) return false;
  ir::NodeSpec spec{.op_type = "Gather", .name = node.name, .inputs = {split.inputs[0]}, .extra = node.extra};
  set_attribute(spec, "axis", split.int_or("axis", 0));
  const bool keeps = split.int_or("keepdims", 1) != 0;
  const Tensor index = int64_tensor(std::vector{*at}).reshaped(keeps ? Shape{1} : Shape{});
  spec.inputs.push_back(graph.add_constant(index, graph.name(node.outputs[0]) + "_index"));
  (void)replace_node(graph, id, std::move(spec));
  return true;
}

}  // namespace

/// SplitToSequence -> SequenceAt            =>   Split, or a Gather each where the parts are single elements
/// SequenceConstruct -> ConcatFromSequence  =>   Concat, of an Unsqueeze of each where the axis is new
///
/// where positions and sizes are constant and nobody else reads the sequence. Tensors that are inserted one by one into
/// an empty sequence are known as well.
int64_t unpack_sequences(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  if (graph.opset("") < kSequences) return 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id) || !graph.node(id).output(0) || graph.is_pinned(graph.node(id).outputs[0])) continue;
    const ir::Node& node = graph.node(id);
    if ((node.is("ConcatFromSequence") && concat_members(context, id)) ||
        (node.is("SplitToSequence") && node.input(0) && split_directly(context, id)) ||
        (node.is("SequenceAt") && gather_directly(context, id)))
      ++changes;
  }
  return changes;
}

}  // namespace pli::passes
