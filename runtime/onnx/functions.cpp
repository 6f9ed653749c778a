#include "runtime/onnx/functions.h"

#include "runtime/onnx/attribute_reader.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <map>

namespace pli {

namespace {

// Fields that are newer than ONNX 1.12's schema, and no unknown ones where a newer one is installed.

/// What tells functions of one name apart.
constexpr int kNodeOverload = 8;
constexpr int kFunctionOverload = 13;
/// What holds defaults of a function's attributes.
constexpr int kAttributeProto = 11;

/// What stands under `field` among fields that are not known, in order.
[[maybe_unused]] std::vector<std::string> unknown_fields(const std::string& fields, int field) {
  using google::protobuf::internal::WireFormatLite;
  const uint32_t wanted = WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(fields.data()),
                                               static_cast<int>(fields.size()));
  std::vector<std::string> found;
  while (const uint32_t tag = input.ReadTag()) {
    std::string content;
    const bool whole =
        tag == wanted ? WireFormatLite::ReadBytes(&input, &content) : WireFormatLite::SkipField(&input, tag);
    if (!whole) break;
    if (tag == wanted) found.push_back(std::move(content));
  }
  return found;
}

/// Of several, the last counts.
template <class Message>
std::string overload_of(const Message& message, int field) {
  if constexpr (requires { message.overload(); }) {
    return message.overload();
  } else {
    const std::vector<std::string> found = unknown_fields(message.unknown_fields(), field);
    return found.empty() ? std::string() : found.back();
  }
}

template <class Function>
std::vector<onnx::AttributeProto> attribute_protos(const Function& function) {
  if constexpr (requires { function.attribute_proto(); }) {
    return {function.attribute_proto().begin(), function.attribute_proto().end()};
  } else {
    std::vector<onnx::AttributeProto> protos;
    for (const std::string& bytes : unknown_fields(function.unknown_fields(), kAttributeProto))
      if (!protos.emplace_back().ParsePartialFromString(bytes))
        fail(ErrorCode::kInvalidModel, "the default of an attribute can't be read");
    return protos;
  }
}

std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

class Expansion {
 public:
  Expansion(const onnx::ModelProto& model, const Limits& limits) : limits_(limits) {
    for (int i = 0; i < model.functions_size(); ++i) {
      const onnx::FunctionProto& function = model.functions(i);
      if (function.name().empty()) fail(ErrorCode::kInvalidModel, "a function has no name");
      if (!functions_.emplace(function_key(function), Entry{&function, i}).second)
        fail(ErrorCode::kInvalidModel, "function \"{}\" is defined twice", function.name());
    }
  }

  std::vector<int> callees_first(const onnx::ModelProto& model) {
    if (functions_.empty()) return {};
    for (auto& [key, entry] : functions_) (void)size(entry, 0);
    (void)size(model.graph().node(), 0);
    return std::move(order_);
  }

 private:
  struct Entry {
    const onnx::FunctionProto* function;
    int index;
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
    order_.push_back(entry.index);
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
  std::vector<int> order_;
};

}  // namespace

FunctionKey function_key(const onnx::NodeProto& node) {
  return {domain_of(node.domain()), node.op_type(), overload_of(node, kNodeOverload)};
}

FunctionKey function_key(const onnx::FunctionProto& function) {
  return {domain_of(function.domain()), function.name(), overload_of(function, kFunctionOverload)};
}

std::vector<int> order_functions(const onnx::ModelProto& model, const Limits& limits) {
  return Expansion(model, limits).callees_first(model);
}

std::vector<ir::Attribute> read_defaults(const onnx::FunctionProto& function, const Limits& limits) {
  std::vector<ir::Attribute> defaults;
  std::vector<onnx::AttributeProto> protos = attribute_protos(function);
  for (onnx::AttributeProto& proto : protos) {
    const bool plain = proto.t().data_location() != onnx::TensorProto::EXTERNAL && !proto.has_g() &&
                       proto.tensors_size() + proto.graphs_size() == 0;
    if (plain)
      defaults.push_back(read_attribute(proto, limits, {}, false, {}));
    else
      defaults.push_back({proto.name(), ir::Opaque{}, {}});
  }
  return defaults;
}

}  // namespace pli
