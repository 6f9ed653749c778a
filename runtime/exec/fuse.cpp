#include "runtime/exec/fuse.h"

#include "runtime/ops/activation/activation.h"
#include "runtime/ops/elementwise.h"

#include <algorithm>

namespace pli::exec {

namespace {

using ops::Epilogue;

/// By value, the node that alone reads it; none when there are several, or when the value is an output of the graph.
/// Only `nodes` count: others have become constant, such as the Shape of a value whose dimensions are known by now.
std::vector<ir::NodeId> find_only_readers(const ir::Graph& graph, std::span<const ir::NodeId> nodes) {
  std::vector<ir::NodeId> readers(graph.value_limit());
  std::vector<int> uses(graph.value_limit(), 0);
  for (const ir::NodeId id : nodes)
    for (const ir::ValueId input : graph.node(id).inputs) {
      if (!input) continue;
      const auto index = static_cast<size_t>(input.index);
      readers[index] = ++uses[index] == 1 ? id : ir::NodeId{};
    }
  for (const ir::Output& output : graph.outputs()) readers[static_cast<size_t>(output.value.index)] = {};
  return readers;
}

/// The other operand of an Add whose operands have the same type, so that no broadcasting is needed; none when it is
/// not so.
ir::ValueId residual(const ir::Graph& graph, const ir::Node& node, ir::ValueId value) {
  if (!node.is("Add") || node.inputs.size() != 2) return {};
  const ir::ValueId other = node.inputs[0] == value ? node.inputs[1] : node.inputs[0];
  if (!other || other == value || graph.constant_of(other) || !(graph.type(other) == graph.type(value))) return {};
  return other;
}

/// The constant operand of an Add to what a MatMul makes that holds one element for each place of the result's last
/// dimension; none otherwise.
ir::ValueId row(const ir::Graph& graph, const ir::Node& node, ir::ValueId value) {
  if (!node.is("Add") || node.inputs.size() != 2) return {};
  const auto factor = graph.type(graph.node(graph.producer(value)).input(1)).shape();
  if (!factor || factor->size() < 2) return {};  // the last dimension is one of the other factor
  const size_t index = node.inputs[0] == value ? 1 : 0;
  const Tensor* constant = graph.constant_of(node.inputs[index]);
  const auto shape = graph.type(value).shape();
  if (!constant || !shape || shape->empty() || constant->shape().empty()) return {};
  const auto aligned =
      ops::aligned_shape(graph.opset(""), node, index, constant->shape(), static_cast<int64_t>(shape->size()));
  const bool one_row =
      aligned && aligned->back() == shape->back() && static_cast<int64_t>(constant->size()) == shape->back();
  return one_row ? node.inputs[index] : ir::ValueId{};
}

bool carries(uint32_t carried, const ops::Activation& activation) {
  using Kind = ops::Activation::Kind;
  const bool linear = activation.kind == Kind::kLinear || activation.kind == Kind::kHardSigmoid;
  return (carried & (linear ? ops::kTakesLinear : ops::kTakesActivation)) != 0;
}

/// The algorithms of oneDNN that an activation is made of, a bit each.
uint32_t algorithms_of(const ops::Activation& activation) {
  using Kind = ops::Activation::Kind;
  const auto bit = [](Kind kind) { return uint32_t{1} << static_cast<uint32_t>(kind); };
  if (activation.kind == Kind::kLeakyRelu) return bit(Kind::kRelu);
  return activation.kind == Kind::kHardSigmoid ? bit(Kind::kLinear) | bit(Kind::kClip) : bit(activation.kind);
}

/// Of several by one algorithm oneDNN 2.6 computes all with the alpha and beta of the first.
bool repeats(const Group& group, const ops::Activation& activation) {
  return std::ranges::any_of(group.epilogues, [&](const Epilogue& epilogue) {
    return epilogue.kind == Epilogue::Kind::kActivation &&
           (algorithms_of(epilogue.activation) & algorithms_of(activation)) != 0;
  });
}

/// Takes `reader`, which alone reads the group's result, into the group when the root's kernel can carry it.
bool extend(const ir::Graph& graph, uint32_t carried, Fusion fusion, ir::NodeId reader, Group& group) {
  const ir::Node& node = graph.node(reader);
  const bool first = group.epilogues.empty();
  Epilogue epilogue;
  if (const auto activation = fusion == Fusion::kAll ? ops::as_activation(graph, node) : std::nullopt;
      activation && carries(carried, *activation) && !repeats(group, *activation)) {
    epilogue = {Epilogue::Kind::kActivation, *activation, 0};
  } else if (const ir::ValueId other = residual(graph, node, group.result);
             other && (carried & ops::kTakesAdd) && first) {
    epilogue = {Epilogue::Kind::kAdd, {}, group.operands.size()};
    group.operands.push_back(other);
  } else if (const ir::ValueId bias =
                 first && (carried & ops::kTakesRow) ? row(graph, node, group.result) : ir::ValueId{}) {
    epilogue = {Epilogue::Kind::kAddRow, {}, group.operands.size()};
    group.operands.push_back(bias);
  } else {
    return false;
  }
  group.epilogues.push_back(epilogue);
  group.nodes.push_back(reader);
  group.result = node.outputs[0];
  return true;
}

}  // namespace

std::vector<Group> fuse(const ir::Graph& graph, std::span<const ir::NodeId> nodes, Fusion fusion) {
  constexpr size_t kMostEpilogues = 4;
  // In a group already, as an Add of two fusible results is in the first one's.
  std::vector<bool> taken(graph.node_limit(), false);
  const std::vector<ir::NodeId> readers = find_only_readers(graph, nodes);
  std::vector<size_t> position(graph.node_limit());
  for (size_t i = 0; i < nodes.size(); ++i) position[static_cast<size_t>(nodes[i].index)] = i;
  std::vector<Group> groups;
  groups.reserve(nodes.size());
  for (const ir::NodeId id : nodes) {
    if (taken[static_cast<size_t>(id.index)]) continue;
    const ir::Node& node = graph.node(id);
    Group group{id, {id}, {}, {}, node.output(0)};
    const ops::Operator* op = ops::find_operator(graph, node);
    const bool extensible = fusion != Fusion::kNone && op && op->epilogues && group.result &&
                            graph.type(group.result).dtype != DataType::kFloat64;  // its kernels carry nothing
    while (extensible && group.epilogues.size() < kMostEpilogues) {
      const ir::NodeId reader = readers[static_cast<size_t>(group.result.index)];
      if (!reader || taken[static_cast<size_t>(reader.index)] || !extend(graph, op->epilogues, fusion, reader, group))
        break;
      taken[static_cast<size_t>(reader.index)] = true;
    }
    groups.push_back(std::move(group));
  }
  std::ranges::stable_sort(groups, {},
                           [&](const Group& group) { return position[static_cast<size_t>(group.nodes.back().index)]; });
  return groups;
}

bool drops_nan_when_fused(const ir::Graph& graph, const ir::Node& node) {
  using Kind = ops::Activation::Kind;
  const auto activation = ops::as_activation(graph, node);
  return activation &&
         (activation->kind == Kind::kRelu || activation->kind == Kind::kClip || activation->kind == Kind::kHardSigmoid);
}

std::string describe(const ir::Graph& graph, const Group& group) {
  std::string text;
  for (const ir::NodeId id : group.nodes) text += (text.empty() ? "" : " + ") + graph.node(id).op_type;
  return text;
}

}  // namespace pli::exec
