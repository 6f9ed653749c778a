#include "runtime/onnx/graph_reader.h"

#include "runtime/onnx/attribute_reader.h"
#include "runtime/onnx/order.h"
#include "runtime/onnx/type_proto.h"

#include <algorithm>

namespace pli {

ir::OpsetImports read_opsets(const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
                             int64_t ir_version) {
  ir::OpsetImports opsets;
  for (const onnx::OperatorSetIdProto& import : imports) {
    const std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    if (import.version() < 1)
      fail(ErrorCode::kInvalidModel, "version {} of operator set \"{}\" is not valid", import.version(), domain);
    const auto [imported, added] = opsets.emplace(domain, import.version());
    if (!added && imported->second != import.version())
      fail(ErrorCode::kInvalidModel, "operator set \"{}\" is imported in versions {} and {}", domain, imported->second,
           import.version());
  }
  if (opsets.empty() && ir_version < 3) opsets.emplace("", 1);
  if (opsets.empty()) fail(ErrorCode::kInvalidModel, "the model imports no operator set");
  return opsets;
}

namespace {

using ir::ValueId;

class GraphReader {
 public:
  GraphReader(const ModelContext& context, std::shared_ptr<ir::NameSet> names, GraphReader* outer)
      : context_(context), names_(std::move(names)), outer_(outer), graph_(context.opsets) {}

  /// The values of the enclosing graph that stand behind the graph's captures.
  const std::vector<ValueId>& captured() const { return captured_; }

  ir::Graph read(onnx::GraphProto& proto) {
    graph_.name_of_graph = proto.name();
    proto.clear_name();
    const std::vector<int> order = order_nodes(proto);
    for (const auto& declaration : extract(*proto.mutable_value_info()))
      if (!declarations_.emplace(declaration->name(), *declaration).second)
        graph_.value_infos.push_back(to_bytes(*declaration));
    for (const auto& input : extract(*proto.mutable_input())) add_input(*input);
    for (const auto& initializer : extract(*proto.mutable_initializer())) add_initializer(*initializer);
    for (const auto& initializer : extract(*proto.mutable_sparse_initializer())) add_sparse_initializer(*initializer);
    const auto outputs = extract(*proto.mutable_output());
    for (const auto& output : outputs) declared_outputs_.emplace(output->name(), output.get());
    auto nodes = extract(*proto.mutable_node());
    for (const int index : order) {
      const auto node = std::move(nodes[static_cast<size_t>(index)]);
      in_node(describe(*node), [&] { add_node(*node); });
    }
    for (const auto& output : outputs) add_output(*output);
    // What is left declares nothing that is there, or an input a second time.
    for (const auto& [name, declaration] : declarations_) {
      graph_.reserve_name(name);
      graph_.value_infos.push_back(to_bytes(declaration));
    }
    pin_annotated(proto);
    graph_.extra = to_bytes(proto);
    share_names();
    return std::move(graph_);
  }

 private:
  void add_input(onnx::ValueInfoProto& proto) {
    if (proto.name().empty()) fail(ErrorCode::kInvalidModel, "a graph input has no name");
    with_context(fmt::format("input \"{}\"", proto.name()), [&] {
      ir::Type type = type_of(proto, context_.limits);
      graph_.add_input(proto.name(), std::move(type), to_bytes(proto));
    });
  }

  /// Declarations are used up by the values that they are of.
  std::optional<onnx::ValueInfoProto> take_declaration(const std::string& name) {
    auto found = declarations_.extract(name);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
  }

  void declare(ValueId id) {
    if (const auto declaration = take_declaration(graph_.name(id))) graph_.set_declaration(id, to_bytes(*declaration));
  }

  void add_initializer(onnx::TensorProto& proto) {
    const std::string name = std::move(*proto.mutable_name());
    if (name.empty()) fail(ErrorCode::kInvalidModel, "an initializer has no name");
    proto.clear_name();
    with_context(fmt::format("initializer \"{}\"", name), [&] {
      std::optional<Tensor> tensor = take_tensor(proto, context_.limits, context_.payloads);
      const ValueId input = graph_.find(name);
      if (!tensor) {
        ir::Type type = ir::Type::tensor(static_cast<DataType>(proto.data_type()),
                                         ir::Dims(proto.dims().begin(), proto.dims().end()));
        add_opaque(name, std::move(type), to_bytes(proto), false);
      } else if (input) {
        // Before version 4 every initializer had to be an input as well, so that says nothing there.
        const bool constant = context_.ir_version < 4 && !outer_;
        check_default(graph_.type(input), *tensor);
        graph_.set_default(input, std::move(*tensor), to_bytes(proto), constant);
      } else {
        declare(graph_.add_initializer(name, std::move(*tensor), to_bytes(proto)));
      }
    });
  }

  void add_sparse_initializer(onnx::SparseTensorProto& proto) {
    const std::string name = std::move(*proto.mutable_values()->mutable_name());
    if (name.empty()) fail(ErrorCode::kInvalidModel, "a sparse initializer has no name");
    proto.mutable_values()->clear_name();
    with_context(fmt::format("initializer \"{}\"", name), [&] {
      const Shape shape(proto.dims().begin(), proto.dims().end());
      (void)checked_elements(shape, context_.limits);
      ir::Type type =
          ir::Type::tensor(static_cast<DataType>(proto.values().data_type()), ir::Dims(shape.begin(), shape.end()));
      add_opaque(name, std::move(type), to_bytes(proto), true);
    });
  }

  void add_opaque(const std::string& name, ir::Type type, std::string bytes, bool sparse) {
    if (const ValueId input = graph_.find(name))
      graph_.set_opaque_default(input, std::move(bytes), sparse);
    else
      declare(graph_.add_opaque_initializer(name, std::move(type), std::move(bytes), sparse));
  }

  static void check_default(const ir::Type& declared, const Tensor& tensor) {
    const ir::Type given = ir::Type::of(tensor);
    const auto fits = [&] {
      if (declared.kind != ir::Type::Kind::kTensor) return false;
      if (declared.dtype != DataType::kUndefined && declared.dtype != given.dtype) return false;
      if (!declared.dims) return true;
      return std::ranges::equal(*declared.dims, *given.dims,
                                [](const ir::Dim& want, const ir::Dim& have) { return !want.known() || want == have; });
    };
    if (!fits()) fail(ErrorCode::kInvalidModel, "it is {}, declared as {}", to_string(given), to_string(declared));
  }

  /// The value of this name: the graph's own, or one of an enclosing graph, which is captured. None when there is
  /// neither.
  ValueId resolve(const std::string& name) {
    if (const ValueId own = graph_.find(name)) return own;
    if (!outer_) return {};
    const ValueId outside = outer_->resolve(name);
    if (!outside) return {};
    captured_.push_back(outside);
    const ValueId capture = graph_.add_capture(name, outer_->graph_.type(outside));
    declare(capture);
    return capture;
  }

  static void check_names(const google::protobuf::RepeatedPtrField<onnx::AttributeProto>& attributes) {
    std::unordered_set<std::string_view> names;
    for (const onnx::AttributeProto& attribute : attributes) {
      if (attribute.name().empty()) fail(ErrorCode::kInvalidModel, "an attribute has no name");
      if (!names.insert(attribute.name()).second)
        fail(ErrorCode::kInvalidModel, "attribute {} is given twice", attribute.name());
    }
  }

  void add_node(onnx::NodeProto& proto) {
    ir::NodeSpec spec;
    spec.op_type = proto.op_type();
    spec.domain = proto.domain();
    spec.name = proto.name();
    if (!context_.functions.empty())
      if (const auto called = context_.functions.find(function_key(proto)); called != context_.functions.end())
        spec.function = called->second;
    if (spec.op_type.empty()) fail(ErrorCode::kInvalidModel, "it names no operator");
    if (!spec.function && (spec.domain.empty() || spec.domain == "ai.onnx") && !context_.opsets->contains(""))
      fail(ErrorCode::kInvalidModel, "the model does not import the operator set that the node is of");
    for (int i = 0; i < proto.input_size(); ++i) {
      const std::string& name = proto.input(i);
      spec.inputs.push_back(name.empty() ? ValueId{} : resolve(name));
      if (!name.empty() && !spec.inputs.back())
        fail(ErrorCode::kInvalidModel, "nothing makes input {}, \"{}\"", i, name);
    }
    check_names(proto.attribute());
    for (const auto& attribute : extract(*proto.mutable_attribute()))
      spec.attributes.push_back(read_attribute(*attribute, context_.limits, context_.payloads, context_.in_function,
                                               [&](onnx::GraphProto& nested) { return read_nested(nested); }));
    for (const std::string& name : proto.output()) spec.outputs.push_back(output_spec(name));
    proto.clear_input();
    proto.clear_output();
    proto.clear_op_type();
    if (!spec.name.empty()) proto.clear_name();
    if (!spec.domain.empty()) proto.clear_domain();
    spec.extra = to_bytes(proto);
    graph_.add_node(std::move(spec));
  }

  ir::OutputSpec output_spec(const std::string& name) {
    if (name.empty()) return {};
    ir::OutputSpec spec{.name = name};
    if (const auto declaration = take_declaration(name)) {
      spec.type = type_of(*declaration, context_.limits);
      spec.extra = to_bytes(*declaration);
    } else if (const auto output = declared_outputs_.find(name); output != declared_outputs_.end()) {
      spec.type = type_of(*output->second, context_.limits);
    }
    return spec;
  }

  ir::Subgraph read_nested(onnx::GraphProto& proto) {
    GraphReader reader(context_, names_ ? names_ : names_ = std::make_shared<ir::NameSet>(), this);
    auto graph = std::make_shared<const ir::Graph>(reader.read(proto));
    return {std::move(graph), reader.captured()};
  }

  void add_output(const onnx::ValueInfoProto& proto) {
    const std::string& name = proto.name();
    if (name.empty()) fail(ErrorCode::kInvalidModel, "a graph output has no name");
    if (!output_names_.insert(name).second && !outer_)
      fail(ErrorCode::kInvalidModel, "the name \"{}\" is given to two outputs", name);
    with_context(fmt::format("output \"{}\"", name), [&] {
      const ValueId value = resolve(name);
      if (!value) fail(ErrorCode::kInvalidModel, "nothing makes it");
      graph_.add_output({name, value, type_of(proto, context_.limits), to_bytes(proto)});
      graph_.reserve_name(name);
    });
  }

  /// What annotations name must stay as it is; in a nested graph that may be a value of an enclosing one.
  void pin_annotated(const onnx::GraphProto& proto) {
    const auto pin = [&](const std::string& name) {
      for (GraphReader* reader = this; reader; reader = reader->outer_) reader->graph_.pin(name);
    };
    for (const onnx::TensorAnnotation& annotation : proto.quantization_annotation()) {
      pin(annotation.tensor_name());
      for (const onnx::StringStringEntryProto& parameter : annotation.quant_parameter_tensor_names())
        pin(parameter.value());
    }
  }

  /// New names must be new in all graphs of a model that has nested ones.
  void share_names() {
    if (!names_) return;
    for (size_t i = 0; i < graph_.value_limit(); ++i) names_->insert(graph_.name(ValueId{static_cast<int32_t>(i)}));
    graph_.reserve_names(names_);
  }

  const ModelContext& context_;
  std::shared_ptr<ir::NameSet> names_;  // of all graphs; null while there is only one
  GraphReader* outer_;
  ir::Graph graph_;
  std::vector<ValueId> captured_;
  std::map<std::string, onnx::ValueInfoProto> declarations_;  // value_info that no value has taken yet
  std::unordered_map<std::string, const onnx::ValueInfoProto*> declared_outputs_;
  ir::NameSet output_names_;
};

}  // namespace

ir::Graph read_graph(onnx::GraphProto& proto, const ModelContext& context) {
  return GraphReader(context, nullptr, nullptr).read(proto);
}

ir::Graph read_body(onnx::FunctionProto& proto, const ModelContext& context) {
  ModelContext inside = context;
  inside.in_function = true;
  if (proto.opset_import_size() > 0)
    inside.opsets = std::make_shared<const ir::OpsetImports>(read_opsets(proto.opset_import(), context.ir_version));
  onnx::GraphProto graph;
  for (const std::string& input : proto.input()) graph.add_input()->set_name(input);
  for (const std::string& output : proto.output()) graph.add_output()->set_name(output);
  graph.mutable_node()->Swap(proto.mutable_node());
  return read_graph(graph, inside);
}

}  // namespace pli
