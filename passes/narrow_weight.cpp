#include "passes/narrow_weight.h"

#include <algorithm>
#include <array>

namespace pli::passes {

namespace {

bool casts(const ir::Node& node) { return node.is("Cast") || node.is("CastLike"); }

/// Makes floats of constant integers.
bool dequantizes(const ir::Graph& graph, const ir::Node& node) {
  return node.is("DequantizeLinear") &&
         std::ranges::all_of(node.inputs, [&](ir::ValueId input) { return !input || graph.constant_of(input); });
}

/// Gives the elements of input 0 as they are, or some of them.
bool moves(const ir::Node& node) {
  constexpr std::array kMoving{"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice"};
  return std::ranges::any_of(kMoving, [&](const char* type) { return node.is(type); });
}

}  // namespace

std::optional<NarrowWeight> narrow_weight(const ir::Graph& graph, ir::ValueId constant) {
  bool shared = false;
  for (ir::ValueId at = constant; at && graph.constant_of(at) && graph.producer(at);) {
    const ir::Node& node = graph.node(graph.producer(at));
    shared = shared || !graph.has_single_use(at);
    if (dequantizes(graph, node))
      return NarrowWeight{graph.producer(at), node.input(0), shared || !graph.has_single_use(node.input(0))};
    if (casts(node)) {
      const ir::ValueId stored = node.input(0);
      const DataType narrow = graph.type(stored).dtype, wide = graph.type(at).dtype;
      if (!graph.constant_of(stored) || !is_float(narrow) || bit_width(narrow) >= bit_width(wide)) return std::nullopt;
      return NarrowWeight{graph.producer(at), stored, shared || !graph.has_single_use(stored)};
    }
    if (!moves(node)) return std::nullopt;
    at = node.input(0);
  }
  return std::nullopt;
}

bool weight_stays(const ir::Graph& graph, ir::ValueId weight) {
  if (const auto narrow = narrow_weight(graph, weight)) return narrow->shared;
  const ir::NodeId producer = graph.producer(weight);
  return !graph.has_single_use(weight) || graph.value(weight).kind == ir::ValueKind::kCapture ||
         (producer && !graph.node(producer).is("Constant"));
}

bool widens_weight(const ir::Graph& graph, const ir::Node& node) {
  constexpr size_t kSmall = 1024;
  const ir::ValueId result = node.output(0);
  if (!result) return false;
  if (moves(node)) return narrow_weight(graph, node.input(0)).has_value();
  if (dequantizes(graph, node)) return true;
  const Tensor* stored = graph.constant_of(node.input(0));
  if (!casts(node) || !stored || stored->bytes().size() < kSmall) return false;
  const DataType wide = graph.type(result).dtype;
  return is_float(stored->dtype()) && is_float(wide) && bit_width(wide) > bit_width(stored->dtype());
}

}  // namespace pli::passes
