#include "runtime/onnx/graph_writer.h"

#include "runtime/onnx/proto.h"
#include "runtime/onnx/saved_names.h"
#include "runtime/onnx/tensor_proto.h"
#include "runtime/onnx/type_proto.h"

namespace pli {

namespace {

using ir::ValueId;
using ir::ValueKind;
using ir::ValueRecord;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;
using onnx::TensorProto;

/// Smaller tensors stay in the model: they are what a reader wants to see without the second file.
constexpr size_t kLeastExternalBytes = 1024;

class GraphWriter {
 public:
  GraphWriter(const ir::Graph& graph, ExternalFile* external, bool nested, std::span<const std::string> captured)
      : graph_(graph), external_(external), names_(choose_names(graph, nested, captured)) {}

  Wire write() {
    write_nodes();
    if (!graph_.name_of_graph.empty()) {
      GraphProto named;
      named.set_name(graph_.name_of_graph);
      wire_.append(to_bytes(named));
    }
    for_each_value([&](ValueId id) { write_initializer(id); });
    for (const ValueId id : graph_.inputs())
      write_declaration(GraphProto::kInputFieldNumber, graph_.value(id).extra, name(id), graph_.type(id));
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::Output& output = graph_.outputs()[i];
      write_declaration(GraphProto::kOutputFieldNumber, output.extra, names_.outputs[i].name, output.type);
    }
    write_value_infos();
    for (const std::string& declaration : graph_.value_infos)
      append_bytes(GraphProto::kValueInfoFieldNumber, declaration);
    wire_.append(graph_.extra);
    return std::move(wire_);
  }

  Wire write_tensor(TensorProto proto, const Tensor& tensor, bool initializer) const {
    put_tensor_header(proto, tensor);
    const std::span<const std::byte> payload = tensor.bytes();
    const bool external = external_ && payload.size() >= kLeastExternalBytes && (initializer || external_->attributes);
    if (external) {
      const auto add = [&](const char* key, std::string value) {
        onnx::StringStringEntryProto& entry = *proto.add_external_data();
        entry.set_key(key);
        entry.set_value(std::move(value));
      };
      add("location", external_->location);
      add("offset", std::to_string(external_->add(payload)));
      add("length", std::to_string(payload.size()));
      proto.set_data_location(TensorProto::EXTERNAL);
    }
    Wire wire;
    wire.append(to_bytes(proto));
    if (!external && !payload.empty()) wire.append_payload(TensorProto::kRawDataFieldNumber, payload);
    return wire;
  }

  Wire write_nested(const ir::Subgraph& subgraph) const {
    std::vector<std::string> captured;
    for (const ValueId id : subgraph.captures) captured.push_back(name(id));
    return GraphWriter(*subgraph.graph, external_, true, captured).write();
  }

 private:
  const std::string& name(ValueId id) const { return names_.values[static_cast<size_t>(id.index)]; }

  template <class Visit>
  void for_each_value(Visit&& visit) const {
    for (int32_t i = 0; i < static_cast<int32_t>(graph_.value_limit()); ++i)
      if (graph_.alive(ValueId{i})) visit(ValueId{i});
  }

  void append_bytes(int field, std::string_view message) {
    Wire wire;
    wire.append(message);
    wire_.append_message(field, std::move(wire));
  }

  void write_declaration(int field, const std::string& extra, const std::string& saved_name, const ir::Type& type) {
    auto proto = from_bytes<onnx::ValueInfoProto>(extra);
    proto.set_name(saved_name);
    put_type(proto, type);
    append_bytes(field, to_bytes(proto));
  }

  /// In the order of the nodes, as they will be when the file is read: writing it again gives the same bytes.
  void write_value_infos() {
    const auto write = [&](ValueId id) {
      const ValueRecord& record = graph_.value(id);
      if (!record.extra.empty() && record.kind != ValueKind::kInput)
        write_declaration(GraphProto::kValueInfoFieldNumber, record.extra, name(id), record.type);
    };
    for_each_value([&](ValueId id) {
      if (!graph_.producer(id)) write(id);
    });
    for (const ir::NodeId id : graph_.nodes())
      for (const ValueId output : graph_.node(id).outputs)
        if (output) write(output);
  }

  void write_initializer(ValueId id) {
    const ValueRecord& record = graph_.value(id);
    if (record.sparse) {
      auto proto = from_bytes<onnx::SparseTensorProto>(record.tensor_extra);
      proto.mutable_values()->set_name(name(id));
      append_bytes(GraphProto::kSparseInitializerFieldNumber, to_bytes(proto));
    } else if (record.opaque) {
      auto proto = from_bytes<TensorProto>(record.tensor_extra);
      proto.set_name(name(id));
      append_bytes(GraphProto::kInitializerFieldNumber, to_bytes(proto));
    } else if (record.payload) {
      auto proto = from_bytes<TensorProto>(record.tensor_extra);
      proto.set_name(name(id));
      wire_.append_message(GraphProto::kInitializerFieldNumber, write_tensor(std::move(proto), *record.payload, true));
    }
  }

  void write_nodes() {
    for (const ir::NodeId id : graph_.nodes())
      wire_.append_message(GraphProto::kNodeFieldNumber, write_node(graph_.node(id)));
    for (size_t i = 0; i < graph_.outputs().size(); ++i) {
      if (!names_.outputs[i].identity) continue;
      NodeProto identity;
      identity.set_op_type("Identity");
      identity.add_input(name(graph_.outputs()[i].value));
      identity.add_output(names_.outputs[i].name);
      append_bytes(GraphProto::kNodeFieldNumber, to_bytes(identity));
    }
  }

  Wire write_node(const ir::Node& node) const {
    NodeProto proto;
    for (const ValueId input : node.inputs) proto.add_input(input ? name(input) : std::string());
    for (const ValueId output : node.outputs) proto.add_output(output ? name(output) : std::string());
    if (!node.name.empty()) proto.set_name(node.name);
    proto.set_op_type(node.op_type);
    if (!node.domain.empty()) proto.set_domain(node.domain);
    Wire wire;
    wire.append(to_bytes(proto));
    for (const ir::Attribute& attribute : node.attributes)
      wire.append_message(NodeProto::kAttributeFieldNumber, write_attribute(attribute));
    wire.append(node.extra);
    return wire;
  }

  Wire write_attribute(const ir::Attribute& attribute) const;

  const ir::Graph& graph_;
  ExternalFile* external_;
  SavedNames names_;
  Wire wire_;
};

/// Writes what an attribute's value adds to the rest of it: small values into `proto`, tensors and graphs into `large`.
struct ValueWriter {
  const GraphWriter& writer;
  AttributeProto& proto;
  Wire& large;

  AttributeProto& typed(AttributeProto::AttributeType type) const {
    proto.set_type(type);
    return proto;
  }

  void operator()(const ir::Opaque&) const {}
  void operator()(const ir::Reference&) const {}
  void operator()(int64_t v) const { typed(AttributeProto::INT).set_i(v); }
  void operator()(float v) const { typed(AttributeProto::FLOAT).set_f(v); }
  void operator()(const std::string& v) const { typed(AttributeProto::STRING).set_s(v); }
  void operator()(const std::vector<int64_t>& v) const {
    typed(AttributeProto::INTS).mutable_ints()->Assign(v.begin(), v.end());
  }
  void operator()(const std::vector<float>& v) const {
    typed(AttributeProto::FLOATS).mutable_floats()->Assign(v.begin(), v.end());
  }
  void operator()(const std::vector<std::string>& v) const {
    typed(AttributeProto::STRINGS).mutable_strings()->Assign(v.begin(), v.end());
  }
  void operator()(const Tensor& v) const {
    TensorProto rest = std::move(*typed(AttributeProto::TENSOR).mutable_t());
    proto.clear_t();
    large.append_message(AttributeProto::kTFieldNumber, writer.write_tensor(std::move(rest), v, false));
  }
  void operator()(const std::vector<Tensor>& v) const {
    auto rests = extract(*typed(AttributeProto::TENSORS).mutable_tensors());
    for (size_t i = 0; i < v.size(); ++i) {
      TensorProto rest = i < rests.size() ? std::move(*rests[i]) : TensorProto();
      large.append_message(AttributeProto::kTensorsFieldNumber, writer.write_tensor(std::move(rest), v[i], false));
    }
  }
  void operator()(const ir::Subgraph& v) const {
    typed(AttributeProto::GRAPH);
    large.append_message(AttributeProto::kGFieldNumber, writer.write_nested(v));
  }
  void operator()(const std::vector<ir::Subgraph>& v) const {
    typed(AttributeProto::GRAPHS);
    for (const ir::Subgraph& each : v)
      large.append_message(AttributeProto::kGraphsFieldNumber, writer.write_nested(each));
  }
};

Wire GraphWriter::write_attribute(const ir::Attribute& attribute) const {
  auto proto = from_bytes<AttributeProto>(attribute.extra);
  proto.set_name(attribute.name);
  Wire large;
  std::visit(ValueWriter{*this, proto, large}, attribute.value);
  Wire wire;
  wire.append(to_bytes(proto));
  wire.append(std::move(large));
  return wire;
}

}  // namespace

int64_t ExternalFile::add(std::span<const std::byte> payload) {
  // Readers that map the file like large tensors to start with a page.
  constexpr int64_t kPage = 4096;
  constexpr int64_t kLine = 64;
  const auto [known, first] = offsets.try_emplace({payload.data(), payload.size()}, 0);
  if (!first) return known->second;
  const int64_t alignment = payload.size() >= size_t{64} << 10 ? kPage : kLine;
  const int64_t offset = (size + alignment - 1) / alignment * alignment;
  parts.push_back({offset, payload});
  size = offset + static_cast<int64_t>(payload.size());
  return known->second = offset;
}

Wire write_graph(const ir::Graph& graph, ExternalFile* external) {
  return GraphWriter(graph, external, false, {}).write();
}

}  // namespace pli
