#include "passes/pass.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <map>

namespace pli::passes {

namespace {

/// Appends anything to a key so that what follows can't be taken for a part of it.
void append(std::string& key, std::string_view part) {
  key += std::to_string(part.size());
  key += ':';
  key += part;
}

void append(std::string& key, const void* data, size_t bytes) {
  append(key, std::string_view(static_cast<const char*>(data), bytes));
}

/// For each constant the first one that holds the same.
class Constants {
 public:
  explicit Constants(const ir::Graph& graph) : graph_(graph) {}

  ir::ValueId first_like(ir::ValueId value) {
    const Tensor* tensor = value ? graph_.constant_of(value) : nullptr;
    if (!tensor || tensor->dtype() == DataType::kString || tensor->dtype() != graph_.type(value).dtype) return value;
    std::vector<ir::ValueId>& alike = alike_[key_of(*tensor)];
    for (const ir::ValueId other : alike)
      if (other == value || identical(*graph_.constant_of(other), *tensor)) return other;
    alike.push_back(value);
    return value;
  }

 private:
  /// What differs where most weights do.
  static std::string key_of(const Tensor& tensor) {
    constexpr size_t kSample = 64;
    std::string key = std::to_string(static_cast<int>(tensor.dtype())) + to_string(tensor.shape());
    const auto bytes = tensor.bytes();
    const size_t count = std::min(kSample, bytes.size());
    append(key, bytes.data(), count);
    append(key, bytes.data() + bytes.size() - count, count);
    return key;
  }

  const ir::Graph& graph_;
  std::map<std::string, std::vector<ir::ValueId>> alike_;
};

/// The attribute as text; nothing where graphs or opaque values can't be compared. Descriptions, which are in its
/// `extra`, do not count.
std::optional<std::string> text_of(const ir::Attribute& attribute) {
  std::string text;
  append(text, attribute.name);
  text += std::to_string(attribute.value.index());
  const bool comparable = std::visit(
      [&]<class T>(const T& value) {
        if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float>) {
          append(text, &value, sizeof(value));
        } else if constexpr (std::is_same_v<T, std::string>) {
          append(text, value);
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<float>>) {
          append(text, value.data(), value.size() * sizeof(value[0]));
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          for (const std::string& each : value) append(text, each);
        } else {
          return false;
        }
        return true;
      },
      attribute.value);
  return comparable ? std::optional(std::move(text)) : std::nullopt;
}

/// The same nodes of an operator with the same attributes and inputs give the same.
bool is_function(const ir::Node& node) {
  return node.is_onnx() && !node.op_type.starts_with("Random") && !node.is("Multinomial") && !node.is("Bernoulli") &&
         !node.is("Dropout") && !node.is("Constant") && !node.outputs.empty();
}

/// What exporters note about a node, such as the line of the program that it is from, does not count: it is in `extra`.
std::optional<std::string> key_of(const ir::Node& node, Constants& constants) {
  std::string key;
  append(key, node.op_type);
  for (const ir::ValueId input : node.inputs) key += std::to_string(constants.first_like(input).index) + ",";
  std::vector<std::string> attributes;
  for (const ir::Attribute& attribute : node.attributes) {
    auto text = text_of(attribute);
    if (!text) return std::nullopt;
    attributes.push_back(std::move(*text));
  }
  std::ranges::sort(attributes);
  for (const std::string& attribute : attributes) append(key, attribute);
  for (const ir::ValueId output : node.outputs) key += output ? "o" : "-";
  return key;
}

/// Values that may go: nothing refers to their name, and no output would have to be a copy of another.
bool may_go(const ir::Graph& graph, const ir::Node& node, const ir::Node& other) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i]) continue;
    if (graph.is_pinned(node.outputs[i])) return false;
    if (graph.is_output(node.outputs[i]) && graph.is_output(other.outputs[i])) return false;
  }
  return true;
}

/// An initializer of the file that is nothing else.
bool is_plain(const ir::Graph& graph, ir::ValueId value) {
  return graph.value(value).kind == ir::ValueKind::kInitializer && graph.value(value).constant &&
         !graph.is_output(value) && !graph.is_pinned(value);
}

}  // namespace

/// Two nodes that compute the same of the same, two initializers that hold the same   =>   one
///
/// The later one goes. What holds a graph or makes random numbers stays.
int64_t eliminate_common_subexpression(Context& context) {
  ir::Graph& graph = context.graph;
  Constants constants(graph);
  std::map<std::string, ir::NodeId> first;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node node = graph.node(id);
    if (!is_function(node) || context.stays(id)) continue;
    const auto key = key_of(node, constants);
    if (!key) continue;
    const auto [found, is_new] = first.emplace(*key, id);
    if (is_new) continue;
    const ir::Node& other = graph.node(found->second);
    if (!may_go(graph, node, other)) continue;
    if (node.is("BatchNormalization"))
      context.log.folded(id, other.name.empty() ? graph.name(other.outputs[0]) : other.name, "same_as_another");
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) graph.replace_all_uses(node.outputs[i], other.outputs[i]);
    graph.erase_node(id);
    ++changes;
  }
  if (context.purpose == Purpose::kRunning) return changes;
  for (const ir::ValueId value : graph.initializers()) {
    if (!is_plain(graph, value)) continue;
    const ir::ValueId other = constants.first_like(value);
    if (other == value || !graph.alive(other) || !is_plain(graph, other)) continue;
    graph.replace_all_uses(value, other);
    ++changes;
  }
  return changes;
}

}  // namespace pli::passes
