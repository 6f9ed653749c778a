#include "runtime/onnx/functions.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>

namespace pli {

namespace {

/// The fields, newer than the installed ONNX, that tell functions of one name apart.
constexpr int kNodeOverload = 8;
constexpr int kFunctionOverload = 13;

/// The last string under `field` among fields that are not known; empty when there is none.
std::string unknown_string(const std::string& fields, int field) {
  using google::protobuf::internal::WireFormatLite;
  const uint32_t wanted = WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(fields.data()),
                                               static_cast<int>(fields.size()));
  std::string found;
  while (const uint32_t tag = input.ReadTag()) {
    const bool whole =
        tag == wanted ? WireFormatLite::ReadBytes(&input, &found) : WireFormatLite::SkipField(&input, tag);
    if (!whole) break;
  }
  return found;
}

std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

FunctionKey key_of(const onnx::FunctionProto& function) {
  return {domain_of(function.domain()), function.name(), unknown_string(function.unknown_fields(), kFunctionOverload)};
}

class Expansion {
 public:
  Expansion(const onnx::ModelProto& model, const Limits& limits) : limits_(limits) {
    for (const onnx::FunctionProto& function : model.functions()) {
      if (function.name().empty()) fail(ErrorCode::kInvalidModel, "a function has no name");
      if (!functions_.emplace(key_of(function), Entry{&function}).second)
        fail(ErrorCode::kInvalidModel, "function \"{}\" is defined twice", function.name());
    }
  }

  std::set<FunctionKey> check(const onnx::ModelProto& model) {
    std::set<FunctionKey> keys;
    if (functions_.empty()) return keys;
    for (auto& [key, entry] : functions_) {
      (void)size(entry, 0);
      keys.insert(key);
    }
    (void)size(model.graph().node(), 0);
    return keys;
  }

 private:
  struct Entry {
    const onnx::FunctionProto* function;
    int64_t size = 0;  // 0: not known yet
    bool open = false;
  };
  using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

  /// Nodes that a call expands to.
  int64_t size(Entry& entry, int depth) {
    constexpr int kDeepestCalls = 100;
    if (entry.size > 0) return entry.size;
    if (entry.open) fail(ErrorCode::kInvalidModel, "function \"{}\" calls itself", entry.function->name());
    if (depth > kDeepestCalls)
      fail(ErrorCode::kResourceLimit, "functions call each other more than {} levels deep", kDeepestCalls);
    entry.open = true;
    entry.size = 1 + size(entry.function->node(), depth + 1);
    entry.open = false;
    return entry.size;
  }

  int64_t size(const Nodes& nodes, int depth) {
    int64_t total = 0;
    for (const onnx::NodeProto& node : nodes) {
      const auto called = functions_.find(function_key(node));
      total += called == functions_.end() ? 1 : size(called->second, depth);
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) total += size(attribute.g().node(), depth);
        for (const onnx::GraphProto& graph : attribute.graphs()) total += size(graph.node(), depth);
        if (total > limits_.nodes) break;
      }
      if (total > limits_.nodes)
        fail(ErrorCode::kResourceLimit, "calls of functions expand to more nodes than the limit of {}", limits_.nodes);
    }
    return total;
  }

  const Limits& limits_;
  std::map<FunctionKey, Entry> functions_;
};

}  // namespace

FunctionKey function_key(const onnx::NodeProto& node) {
  return {domain_of(node.domain()), node.op_type(), unknown_string(node.unknown_fields(), kNodeOverload)};
}

std::set<FunctionKey> check_functions(const onnx::ModelProto& model, const Limits& limits) {
  return Expansion(model, limits).check(model);
}

namespace {

void find_nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes, std::string_view op_type,
                std::vector<FunctionNode>& found) {
  for (const onnx::NodeProto& node : nodes) {
    if (node.op_type() == op_type && domain_of(node.domain()).empty())
      found.push_back({node.name(), node.output_size() > 0 ? node.output(0) : std::string()});
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) find_nodes(attribute.g().node(), op_type, found);
      for (const onnx::GraphProto& graph : attribute.graphs()) find_nodes(graph.node(), op_type, found);
    }
  }
}

}  // namespace

std::vector<FunctionNode> find_in_function(const ir::Function& function, std::string_view op_type) {
  std::vector<FunctionNode> found;
  find_nodes(from_bytes<onnx::FunctionProto>(function.proto).node(), op_type, found);
  return found;
}

}  // namespace pli
