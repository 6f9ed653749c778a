#include "passes/affine/absorbers.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// Scale is input 1, bias input 2 where there is one; both stand for the dimensions from `axis` on, or for the one at
/// `axis` alone.
std::optional<Absorption> normalization_behind(const Context& context, ir::NodeId id, const Affine& affine, size_t axis,
                                               bool to_the_end, bool has_bias, Refusal& why) {
  const ir::Node& node = context.graph.node(id);
  Absorption absorption{.node = id, .weight = node.input(1), .bias = has_bias ? node.input(2) : ir::ValueId{}};
  const auto shape = constant_shape(context, id, absorption.weight, "scale", why);
  if (!shape || (absorption.bias && !constant_shape(context, id, absorption.bias, "bias", why))) return std::nullopt;
  // The affine's dimensions that the scale has.
  const size_t first = to_the_end ? affine.rank() - std::min(affine.rank(), shape->size()) : axis;
  const size_t last = to_the_end ? affine.rank() : axis + 1;
  bool fits = shape->size() == last - first;
  for (size_t i = 0; i < affine.rank() && fits; ++i)
    fits = affine.constant_along(i) || (i >= first && i < last && affine.shape()[i] == (*shape)[i - first]);
  if (!fits)
    return why.because(code::kAxisUnproven, "it works along other axes of the result of {} than its scale",
                       name_of(context, id));
  const Shape own(affine.shape().begin() + static_cast<std::ptrdiff_t>(first),
                  affine.shape().begin() + static_cast<std::ptrdiff_t>(last));
  if (affine.scales()) absorption.factor = Spread{own, affine.scale()};
  if (!has_bias) {
    if (affine.shifts()) absorption.rest = affine.shift_alone();
    return absorption;
  }
  if (!absorption.bias && !affine.shifts()) return absorption;
  Spread old{*shape, std::vector<double>(static_cast<size_t>(*checked_size(*shape)), 0.0)};
  if (absorption.bias) old = bias_of(context, absorption.bias);
  if (old.shape != *shape)
    return why.because(code::kAxisUnproven, "scale and bias of {} have different shapes", name_of(context, id));
  Spread made{*shape, {}};
  for_each_position(*shape, [&](std::span<const int64_t> position, int64_t flat) {
    const auto at = static_cast<size_t>(broadcast_index(own, position));
    made.numbers.push_back(affine.scale()[at] * old.numbers[static_cast<size_t>(flat)] + affine.shift()[at]);
  });
  absorption.new_bias = std::move(made);
  return absorption;
}

}  // namespace

// Their own scale and bias stand at their end.

std::optional<Absorption> instance_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  return normalization_behind(context, id, affine, 1, false, true, why);
}

/// Before opset 21 the scale is one number a group.
std::optional<Absorption> group_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  constexpr int64_t kByChannel = 21;
  if (context.graph.opset("") < kByChannel && !affine.constant_along(1))
    return why.because(code::kAxisUnproven, "{} has one scale a group", name_of(context, id));
  return normalization_behind(context, id, affine, 1, false, true, why);
}

std::optional<Absorption> layer_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  return normalization_behind(context, id, affine, 0, true, true, why);
}

std::optional<Absorption> rms_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  return normalization_behind(context, id, affine, 0, true, false, why);
}

ir::NodeSpec rebuilt_normalization(const ir::Graph&, const ir::Node& node, ir::ValueId weight, ir::ValueId bias) {
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {node.inputs[0], weight};
  if (bias) spec.inputs.push_back(bias);
  return spec;
}

}  // namespace pli::passes
