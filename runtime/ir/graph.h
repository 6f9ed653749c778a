#pragma once

#include "runtime/ir/types.h"

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace pli::ir {

class Graph;
struct Function;

/// A graph held by an attribute (the body of If, Loop, Scan). It is immutable and shared; to change it, set a new one.
/// `captures` are the values of the enclosing graph that it uses, parallel to graph->captures().
struct Subgraph {
  std::shared_ptr<const Graph> graph;
  std::vector<ValueId> captures;
};

/// What only its `extra` bytes know: sparse tensors, types, tensors of data types without a width.
struct Opaque {};

/// In a function: what the call gives for the attribute of this name, else the function's default, else nothing.
struct Reference {
  std::string attribute;
};

using AttributeValue =
    std::variant<Opaque, Reference, int64_t, float, std::string, Tensor, Subgraph, std::vector<int64_t>,
                 std::vector<float>, std::vector<std::string>, std::vector<Tensor>, std::vector<Subgraph>>;

struct Attribute {
  std::string name;
  AttributeValue value;
  std::string
      extra;  // serialized AttributeProto of all that is not in `name` and `value`; opaque to everyone but onnx/
};

/// A node as ONNX has it: in its own opset form, whatever operator it is. Typed views (runtime/ops) give it meaning.
struct Node {
  std::string op_type;
  std::string domain;
  std::string name;
  std::vector<ValueId> inputs;   // an id that is none: an omitted optional input
  std::vector<ValueId> outputs;  // likewise
  std::vector<Attribute> attributes;
  std::string extra;  // serialized NodeProto of all that is not above
  /// The local function of the model that it calls: whatever it is named like, it is no operator. Null for operators.
  std::shared_ptr<const Function> function;

  /// An operator of ONNX's own domain ("" or "ai.onnx") and of this type.
  bool is(std::string_view type) const { return op_type == type && is_onnx(); }
  bool is_onnx() const { return !function && (domain.empty() || domain == "ai.onnx"); }

  /// None when the node has fewer.
  ValueId input(size_t index) const { return index < inputs.size() ? inputs[index] : ValueId{}; }
  ValueId output(size_t index) const { return index < outputs.size() ? outputs[index] : ValueId{}; }

  /// Null when there is no such attribute.
  const Attribute* attribute(std::string_view name) const;

  /// The attribute's value, or `fallback` when it is absent. kInvalidModel when it is of another type.
  int64_t int_or(std::string_view name, int64_t fallback) const;
  float float_or(std::string_view name, float fallback) const;
  std::string string_or(std::string_view name, std::string_view fallback) const;
  std::vector<int64_t> ints_or(std::string_view name, std::vector<int64_t> fallback) const;
  std::vector<float> floats_or(std::string_view name, std::vector<float> fallback) const;
};

/// `Conv "layer1.0.conv1"`, or `Conv with output "x"` for a node without a name. For messages.
std::string describe(const Graph& graph, const Node& node);

enum class ValueKind { kInput, kInitializer, kNodeOutput, kCapture, kErased };

/// A place where a value is used: input `index` of `node`, or, below 0, one of the captures of the graphs nested in
/// `node`: -1 for the first of the first graph, and so on through all of them.
struct Use {
  NodeId node;
  int index = 0;
  auto operator<=>(const Use&) const = default;
};

struct ValueRecord {
  std::string name;
  ValueKind kind = ValueKind::kErased;
  Type type;
  NodeId producer;                // of a kNodeOutput
  std::optional<Tensor> payload;  // of an initializer, or the default of an input
  /// The value when it is constant: an initializer that can't be overridden, a Constant node, an Identity of one. Of
  /// another element type than `type` says in a model that is never written: a half that was kept as float32.
  std::optional<Tensor> constant;
  /// Of an integer tensor of at most one dimension: its elements as far as inference tells them, where they are not
  /// constant; a symbol is what a dimension of that name is.
  std::optional<Dims> elements;
  std::set<Use> uses;
  std::vector<size_t> output_uses;  // the indices of the graph outputs bound to it, in no order
  std::string extra;                // serialized ValueInfoProto as declared, or empty
  std::string tensor_extra;  // of an initializer: serialized TensorProto (or SparseTensorProto) without the payload
  bool opaque = false;       // an initializer or default whose payload only tensor_extra knows
  bool sparse = false;       // opaque, and tensor_extra is a SparseTensorProto

  bool has_default() const { return payload.has_value() || opaque; }
};

/// A graph output: the name never changes, whatever value it is bound to.
struct Output {
  std::string name;
  ValueId value;
  Type type;
  std::string extra;  // serialized ValueInfoProto as declared
};

/// What to make of a new node's output. An empty name: omitted.
struct OutputSpec {
  std::string name;
  Type type;
  std::string extra;
};

/// A node to be added; outputs are made by the graph.
struct NodeSpec {
  std::string op_type;
  std::string domain;
  std::string name;
  std::vector<ValueId> inputs;
  std::vector<OutputSpec> outputs;
  std::vector<Attribute> attributes;
  std::string extra;
  std::shared_ptr<const Function> function;
};

/// A node to be added that is like `node` in all but its outputs, which are left to be named.
NodeSpec spec_like(const Node& node);

using NameSet = std::unordered_set<std::string>;
using OpsetImports = std::map<std::string, int64_t, std::less<>>;  // domain ("" for ai.onnx) -> version

/// The IR: nodes in topological order, values, constants. A value type: a copy is independent and shares the payloads.
///
/// Nodes are never edited in place. A rewrite adds the new node before the old one, moves the uses over with
/// `replace_all_uses`, and leaves the rest to `erase_dead`. Ids stay valid until their object is erased, and are not
/// reused.
class Graph {
 public:
  // --- reading ---------------------------------------------------------------------------------------------------
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  /// In a nested graph: the values that stand for values of the enclosing graph.
  const std::vector<ValueId>& captures() const { return captures_; }
  /// Initializers that are not graph inputs, in order.
  std::vector<ValueId> initializers() const;
  /// The nodes in topological order: a snapshot, so the graph may be changed while walking it.
  std::vector<NodeId> nodes() const;
  size_t node_count() const { return node_count_; }

  const Node& node(NodeId id) const;
  bool alive(NodeId id) const;
  bool alive(ValueId id) const;
  const ValueRecord& value(ValueId id) const;
  /// The number of ids ever given out; for side tables indexed by id.
  size_t value_limit() const { return values_.size(); }
  size_t node_limit() const { return nodes_.size(); }

  const std::string& name(ValueId id) const { return value(id).name; }
  const Type& type(ValueId id) const { return value(id).type; }
  /// The node that makes the value; none for inputs, initializers and captures.
  NodeId producer(ValueId id) const { return value(id).producer; }
  const std::set<Use>& uses(ValueId id) const { return value(id).uses; }
  /// Bound to at least one graph output.
  bool is_output(ValueId id) const { return !value(id).output_uses.empty(); }
  /// By a node, an output, or what else refers to its name. False for none.
  bool is_used(ValueId id) const;
  /// Has exactly one use and is no graph output.
  bool has_single_use(ValueId id) const { return uses(id).size() == 1 && !is_output(id); }
  /// Has a name that was pinned.
  bool is_pinned(ValueId id) const { return !pinned_names_.empty() && pinned_names_.contains(name(id)); }
  bool has_pins() const { return !pinned_names_.empty(); }
  /// Null when `id` is none or not constant.
  const Tensor* constant_of(ValueId id) const;
  /// None when there is no value of this name.
  ValueId find(std::string_view name) const;

  /// The version of a domain that the model imports; 0 when it does not.
  int64_t opset(std::string_view domain) const;
  const std::shared_ptr<const OpsetImports>& opsets() const { return opsets_; }

  // --- building and rewriting --------------------------------------------------------------------------------------
  explicit Graph(std::shared_ptr<const OpsetImports> opsets = std::make_shared<OpsetImports>())
      : opsets_(std::move(opsets)) {}

  ValueId add_input(std::string name, Type type, std::string extra = {});
  ValueId add_capture(std::string name, Type type);
  /// An initializer under this very name; kInvalidModel when the name is taken.
  ValueId add_initializer(std::string name, Tensor tensor, std::string tensor_extra = {});
  /// An initializer whose payload only `tensor_extra` knows.
  ValueId add_opaque_initializer(std::string name, Type type, std::string tensor_extra, bool sparse);
  /// Gives an input its default; `constant` when the default can't be overridden.
  void set_default(ValueId input, Tensor tensor, std::string tensor_extra, bool constant);
  /// The same where only `tensor_extra` knows the default.
  void set_opaque_default(ValueId input, std::string tensor_extra, bool sparse);
  /// Notes that something beside nodes and outputs refers to a value by this name (a quantization annotation, a
  /// training graph): the value has to stay, and to stay what it is.
  void pin(std::string name) { pinned_names_.insert(std::move(name)); }
  /// Records how the model declares the value: a serialized ValueInfoProto.
  void set_declaration(ValueId id, std::string extra) { edit(id).extra = std::move(extra); }
  /// A new initializer named after `hint`, made unique.
  ValueId add_constant(Tensor tensor, std::string_view hint);

  /// Adds a node at the end, or before another. An output name that is taken is kInvalidModel: see unique_name.
  NodeId add_node(NodeSpec spec, NodeId before = {});
  void add_output(Output output);
  /// Binds output `index` to another value.
  void bind_output(size_t index, ValueId value);

  /// Every use of `from`, outputs and captures included, becomes one of `to`.
  void replace_all_uses(ValueId from, ValueId to);
  /// Removes a node none of whose outputs is used. kInternal otherwise.
  void erase_node(NodeId id);
  /// Removes an initializer, or the node that makes the value, when nothing uses it. Returns whether it went.
  bool erase_unused(ValueId id);
  /// Removes captures that nothing uses. Returns the indices of those that are left.
  std::vector<size_t> erase_unused_captures();
  /// Removes every node and initializer that neither an output nor a pinned value needs. Returns how many nodes went.
  int64_t erase_dead();

  /// Gives a value another name. kInvalidModel when it is taken.
  void rename(ValueId id, std::string name);
  void set_type(ValueId id, Type type);
  void set_elements(ValueId id, std::optional<Dims> elements) { edit(id).elements = std::move(elements); }
  /// Declares output `index` to be of another type.
  void set_output_type(size_t index, Type type) { outputs_.at(index).type = std::move(type); }
  /// Treats the value as this constant from now on (a bound input, a folded result).
  void set_constant(ValueId id, Tensor tensor);
  /// Takes back every set_constant since the graph was copied from `original`, types included. Other types stay as they
  /// were set. False, and nothing has changed, where nodes or values were added or removed since, or outputs bound.
  bool restore_constants(const Graph& original);
  /// Makes initializers that are also inputs constant and no inputs any more. Returns their names.
  std::vector<std::string> freeze_defaults();

  /// A name starting with `hint` that no value of this graph, of a nested one or of an enclosing one has.
  std::string unique_name(std::string_view hint);
  /// Names that unique_name has to avoid beside the graph's own: those of enclosing and nested graphs and of outputs.
  void reserve_name(std::string name) { reserved_names_.insert(std::move(name)); }
  /// The same for a set that all graphs of a model share.
  void reserve_names(std::shared_ptr<const NameSet> names) { shared_names_ = std::move(names); }

  /// Checks every invariant of the graph and of the graphs nested in it. kInternal when one is broken.
  void verify() const;

  std::string name_of_graph;
  std::string extra;                     // serialized GraphProto of all that is not above
  std::vector<std::string> value_infos;  // serialized ValueInfoProtos of names that no value has; kept

 private:
  /// Where one of a node's captures stands.
  struct CapturePlace {
    uint32_t attribute = 0, graph = 0, capture = 0;
  };
  struct NodeRecord {
    Node node;
    NodeId previous, next;
    bool alive = false;
    std::vector<CapturePlace> captures;
  };

  ValueId add_value(ValueRecord record);
  NodeRecord& record(NodeId id);
  ValueRecord& edit(ValueId id);
  void drop_value(ValueId id);
  void link_before(NodeId id, NodeId before);
  static std::vector<CapturePlace> capture_places(const Node& node);
  static ValueId& captured_at(Node& node, const CapturePlace& place);
  void add_uses(NodeId id);
  void remove_uses(NodeId id);
  void note_constant(NodeId id);

  std::shared_ptr<const OpsetImports> opsets_;
  std::vector<NodeRecord> nodes_;
  std::vector<ValueRecord> values_;
  std::vector<ValueId> set_constants_;  // that set_constant has changed, in order
  NodeId first_, last_;
  size_t node_count_ = 0;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> captures_;
  std::vector<Output> outputs_;
  std::unordered_map<std::string, ValueId> by_name_;
  NameSet reserved_names_;
  NameSet pinned_names_;
  std::shared_ptr<const NameSet> shared_names_;
  std::unordered_map<std::string, int64_t> name_counters_;
};

/// A stable text of a graph, nested graphs indented: for tests and messages, not a format.
std::string dump(const Graph& graph);

/// A local function of the model.
struct Function {
  std::string domain;
  std::string name;
  std::string proto;  // serialized FunctionProto
  /// What it holds, its inputs and outputs in order, of types that are not known. Attributes may be References.
  Graph body;
  std::vector<Attribute> defaults;  // of attributes that a call may leave out
};

/// The first version of ONNX's format whose initializers need not be inputs.
inline constexpr int64_t kFreeInitializers = 4;

struct Model {
  int64_t ir_version = 0;
  std::shared_ptr<const OpsetImports> opsets;
  Graph graph;
  std::vector<std::shared_ptr<const Function>> functions;
  bool has_external_data = false;
  std::string
      extra;  // serialized ModelProto of all that is not above (producer, metadata, opset imports as they came, ...)
};

/// The version that the model has to be saved under: its own, or kFreeInitializers where an older one has an
/// initializer that is no input.
int64_t saved_ir_version(const Model& model);

/// Calls `visit(const Subgraph&)` for each graph that the node holds.
template <class Visit>
void for_each_subgraph(const Node& node, Visit&& visit) {
  for (const Attribute& attribute : node.attributes) {
    if (const auto* one = std::get_if<Subgraph>(&attribute.value))
      visit(*one);
    else if (const auto* many = std::get_if<std::vector<Subgraph>>(&attribute.value))
      for (const Subgraph& subgraph : *many) visit(subgraph);
  }
}

/// Calls `visit(const Graph&)` for the graph and for all that its nodes hold, at any depth.
template <class Visit>
void for_each_graph(const Graph& graph, const Visit& visit) {
  visit(graph);
  for (const NodeId id : graph.nodes())
    for_each_subgraph(graph.node(id), [&](const Subgraph& nested) { for_each_graph(*nested.graph, visit); });
}

}  // namespace pli::ir
