#include "passes/layout/site.h"

#include "runtime/core/tensor.h"

namespace pli::passes {

namespace {

bool holds_one(const ir::Dims& dims) {
  return std::ranges::all_of(dims, [](const ir::Dim& dim) { return dim.known() && dim.value() == 1; });
}

}  // namespace

ir::Attribute with(const char* name, ir::AttributeValue value) { return {name, std::move(value), {}}; }

Tensor list_like(const Site& s, size_t input, const std::vector<int64_t>& values) {
  if (s.graph.type(s.node.input(input)).dtype != DataType::kInt32) return int64_tensor(values);
  const std::vector<int32_t> narrow(values.begin(), values.end());
  return Tensor::copy<int32_t>({static_cast<int64_t>(narrow.size())}, narrow);
}

Answer alike(const Site& s, size_t data) {
  if (!s.port.is_output && s.port.index >= data) return std::nullopt;
  Turn turn{std::vector<Permutation>(s.node.inputs.size()), {}};
  const auto rank = static_cast<int64_t>(s.p.size());
  for (size_t i = 0; i < std::min(data, s.node.inputs.size()); ++i) {
    if (s.rank(s.node.inputs[i]) != rank) return std::nullopt;
    turn.inputs[i] = s.p;
  }
  for (const ir::ValueId output : s.node.outputs) turn.outputs.push_back(output ? s.p : Permutation());
  return turn;
}

std::optional<BothSides> both_sides(const Site& s, const AxisGroups& groups) {
  if (!s.at_data() || (s.port.is_output && s.port.index != 0)) return std::nullopt;
  if (!s.port.is_output) {
    auto out = permuted_output(groups, s.p);
    return out ? std::optional(BothSides{s.p, std::move(*out)}) : std::nullopt;
  }
  auto in = permuted_output(reversed(groups), s.p);
  return in ? std::optional(BothSides{std::move(*in), s.p}) : std::nullopt;
}

Turn turn_of(const Site& s, BothSides sides) {
  Turn turn{std::vector<Permutation>(s.node.inputs.size()), std::vector<Permutation>(s.node.outputs.size())};
  turn.inputs[0] = std::move(sides.in);
  turn.outputs[0] = std::move(sides.out);
  return turn;
}

void set_axes(const Site& s, Turn& turn, const std::vector<int64_t>& axes) {
  if (s.node.input(1))
    turn.operands.emplace_back(1, list_like(s, 1, axes));
  else if (s.node.attribute("axes"))
    turn.attributes.push_back(with("axes", axes));
}

std::optional<Permutation> permuted_operand(const ir::Dims& dims, const Permutation& p, bool is_constant) {
  if (holds_one(dims)) return Permutation();
  if (is_constant || dims.size() == p.size()) return p;
  const auto missing = static_cast<int64_t>(p.size() - dims.size());
  Permutation own;
  for (size_t i = static_cast<size_t>(missing); i < p.size(); ++i) {
    if (p[i] < missing) return std::nullopt;
    own.push_back(p[i] - missing);
  }
  return is_identity(own) ? Permutation() : own;
}

}  // namespace pli::passes
