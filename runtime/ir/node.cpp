#include "runtime/ir/graph.h"

#include <algorithm>

namespace pli::ir {

namespace {

template <class T>
std::optional<T> attribute_value(const Node& node, std::string_view name, std::string_view type) {
  const Attribute* attribute = node.attribute(name);
  if (!attribute) return std::nullopt;
  if (const T* value = std::get_if<T>(&attribute->value)) return *value;
  fail(ErrorCode::kInvalidModel, "attribute {} of {} \"{}\" is not {}", name, node.op_type, node.name, type);
}

}  // namespace

const Attribute* Node::attribute(std::string_view wanted) const {
  const auto found = std::ranges::find(attributes, wanted, &Attribute::name);
  return found == attributes.end() ? nullptr : &*found;
}

int64_t Node::int_or(std::string_view attribute, int64_t fallback) const {
  return attribute_value<int64_t>(*this, attribute, "an integer").value_or(fallback);
}

float Node::float_or(std::string_view attribute, float fallback) const {
  return attribute_value<float>(*this, attribute, "a float").value_or(fallback);
}

std::string Node::string_or(std::string_view attribute, std::string_view fallback) const {
  return attribute_value<std::string>(*this, attribute, "a string").value_or(std::string(fallback));
}

std::vector<int64_t> Node::ints_or(std::string_view attribute, std::vector<int64_t> fallback) const {
  return attribute_value<std::vector<int64_t>>(*this, attribute, "a list of integers").value_or(std::move(fallback));
}

std::vector<float> Node::floats_or(std::string_view attribute, std::vector<float> fallback) const {
  return attribute_value<std::vector<float>>(*this, attribute, "a list of floats").value_or(std::move(fallback));
}

NodeSpec spec_like(const Node& node) {
  return {.op_type = node.op_type,
          .domain = node.domain,
          .name = node.name,
          .inputs = node.inputs,
          .outputs = {},
          .attributes = node.attributes,
          .extra = node.extra,
          .function = node.function};
}

std::string describe(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return fmt::format("{} \"{}\"", node.op_type, node.name);
  for (const ValueId output : node.outputs)
    if (output) return fmt::format("{} with output \"{}\"", node.op_type, graph.name(output));
  return node.op_type;
}

}  // namespace pli::ir
