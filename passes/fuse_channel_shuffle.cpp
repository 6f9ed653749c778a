#include "passes/equal_dims.h"
#include "passes/layout/region.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/movement/movement.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

/// Parts that are joined along an axis, to be shuffled.
struct Shuffle {
  ir::NodeId concat;
  int64_t axis = 0;
};

/// The axis that a permutation swaps with the next one, if it does just that.
std::optional<size_t> swapped_axis(const Permutation& p) {
  Permutation swapped = p;
  for (size_t i = 0; i + 1 < p.size(); ++i)
    if (p[i] != static_cast<int64_t>(i)) {
      std::swap(swapped[i], swapped[i + 1]);
      return is_identity(swapped) ? std::optional(i) : std::nullopt;
    }
  return std::nullopt;
}

/// Whether `split` are the dimensions of `joined` with the one at `axis` split into `parts` and what is left.
bool splits_axis(const ir::Dims& joined, const ir::Dims& split, size_t axis, int64_t parts) {
  if (split.size() != joined.size() + 1) return false;
  for (size_t i = 0; i < joined.size(); ++i)
    if (i != axis && !are_equal(joined[i], split[i < axis ? i : i + 1])) return false;
  return split[axis] == ir::Dim{parts} && split[axis + 1].known();
}

/// The Concat of equal parts and the Reshape in front of the Transpose `id`, if it shuffles those.
std::optional<Shuffle> shuffle_of(const Context& context, ir::NodeId id) {
  const ir::Graph& graph = context.graph;
  const Permutation p = permutation_of(context, id);
  const auto axis = swapped_axis(p);
  if (!axis || graph.is_pinned(graph.node(id).outputs[0])) return std::nullopt;
  const ir::NodeId reshape = context.only_maker(graph.node(id).inputs[0]);
  if (!reshape || !graph.node(reshape).is("Reshape")) return std::nullopt;
  const ir::NodeId concat = context.only_maker(graph.node(reshape).inputs[0]);
  if (!concat || !graph.node(concat).is("Concat")) return std::nullopt;
  const ir::Node& join = graph.node(concat);
  const ir::Type &joined = graph.type(join.outputs[0]), &split = graph.type(graph.node(reshape).outputs[0]);
  constexpr size_t kMostParts = 4;  // each takes a node
  if (!joined.dims || !split.dims || join.inputs.size() < 2 || join.inputs.size() > kMostParts) return std::nullopt;
  if (ops::concat_axis(graph, join, joined.rank()) != static_cast<int64_t>(*axis)) return std::nullopt;
  if (!splits_axis(*joined.dims, *split.dims, *axis, static_cast<int64_t>(join.inputs.size()))) return std::nullopt;
  const auto is_part = [&](ir::ValueId input) {
    const auto& dims = graph.type(input).dims;
    return dims && (*dims)[*axis] == (*split.dims)[*axis + 1];
  };
  if (!std::ranges::all_of(join.inputs, is_part)) return std::nullopt;
  return Shuffle{concat, static_cast<int64_t>(*axis)};
}

/// Gives each part a dimension of 1 at `axis`.
void unsqueeze(ir::Graph& graph, std::vector<ir::ValueId>& parts, int64_t axis, ir::NodeId before) {
  constexpr int64_t kAxesAsInput = 13;
  const bool by_input = graph.opset("") >= kAxesAsInput;
  const std::string name = graph.name(graph.node(before).outputs[0]);
  const ir::ValueId axes =
      by_input ? graph.add_constant(int64_tensor(std::array{axis}), name + "_axes") : ir::ValueId{};
  for (ir::ValueId& part : parts) {
    ir::NodeSpec spec{.op_type = "Unsqueeze", .inputs = {part}};
    if (by_input)
      spec.inputs.push_back(axes);
    else
      set_attribute(spec, "axes", std::vector{axis});
    spec.outputs = {{graph.unique_name(graph.name(part) + "_Unsqueeze"), ir::Type::tensor(graph.type(part).dtype), {}}};
    part = graph.node(graph.add_node(std::move(spec), before)).outputs[0];
  }
}

}  // namespace

/// Concat, Reshape, Transpose   =>   Unsqueeze of each part, Concat
///
/// where the Reshape splits what was joined into the parts again and the Transpose swaps the parts with what they hold:
/// a shuffle of channels in which everything is moved once instead of twice.
int64_t fuse_channel_shuffle(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const auto shuffle = shuffle_of(context, id);
    if (!shuffle) continue;
    ir::NodeSpec stack = ir::spec_like(graph.node(shuffle->concat));
    set_attribute(stack, "axis", shuffle->axis + 1);
    unsqueeze(graph, stack.inputs, shuffle->axis + 1, id);
    (void)replace_node(graph, id, std::move(stack));
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
