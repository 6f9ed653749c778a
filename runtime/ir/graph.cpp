#include "runtime/ir/graph.h"

#include <algorithm>

namespace pli::ir {

namespace {

/// The tensor of a Constant node; nothing for forms whose payload only `extra` knows.
std::optional<Tensor> constant_payload(const Node& node) {
  for (const Attribute& attribute : node.attributes) {
    const auto& [name, value, extra] = attribute;
    if (const auto* t = std::get_if<Tensor>(&value); t && name == "value") return *t;
    if (const auto* f = std::get_if<float>(&value); f && name == "value_float")
      return Tensor::copy<float>({}, std::span(f, 1));
    if (const auto* i = std::get_if<int64_t>(&value); i && name == "value_int")
      return Tensor::copy<int64_t>({}, std::span(i, 1));
    if (const auto* s = std::get_if<std::string>(&value); s && name == "value_string")
      return Tensor::copy<std::string>({}, std::span(s, 1));
    if (const auto* fs = std::get_if<std::vector<float>>(&value); fs && name == "value_floats")
      return Tensor::copy<float>({static_cast<int64_t>(fs->size())}, *fs);
    if (const auto* is = std::get_if<std::vector<int64_t>>(&value); is && name == "value_ints")
      return int64_tensor(*is);
    if (const auto* ss = std::get_if<std::vector<std::string>>(&value); ss && name == "value_strings")
      return Tensor::copy<std::string>({static_cast<int64_t>(ss->size())}, *ss);
  }
  return std::nullopt;
}

}  // namespace

// --- reading ---------------------------------------------------------------------------------------------------------

std::vector<ValueId> Graph::initializers() const {
  std::vector<ValueId> ids;
  for (int32_t i = 0; i < static_cast<int32_t>(values_.size()); ++i)
    if (values_[static_cast<size_t>(i)].kind == ValueKind::kInitializer) ids.push_back(ValueId{i});
  return ids;
}

std::vector<NodeId> Graph::nodes() const {
  std::vector<NodeId> ids;
  ids.reserve(node_count_);
  for (NodeId id = first_; id; id = nodes_[static_cast<size_t>(id.index)].next) ids.push_back(id);
  return ids;
}

bool Graph::alive(NodeId id) const {
  return id && static_cast<size_t>(id.index) < nodes_.size() && nodes_[static_cast<size_t>(id.index)].alive;
}

bool Graph::alive(ValueId id) const {
  return id && static_cast<size_t>(id.index) < values_.size() &&
         values_[static_cast<size_t>(id.index)].kind != ValueKind::kErased;
}

const Node& Graph::node(NodeId id) const {
  if (!alive(id)) fail(ErrorCode::kInternal, "node {} does not exist", id.index);
  return nodes_[static_cast<size_t>(id.index)].node;
}

Graph::NodeRecord& Graph::record(NodeId id) {
  if (!alive(id)) fail(ErrorCode::kInternal, "node {} does not exist", id.index);
  return nodes_[static_cast<size_t>(id.index)];
}

const ValueRecord& Graph::value(ValueId id) const {
  if (!alive(id)) fail(ErrorCode::kInternal, "value {} does not exist", id.index);
  return values_[static_cast<size_t>(id.index)];
}

ValueRecord& Graph::edit(ValueId id) { return const_cast<ValueRecord&>(value(id)); }

const Tensor* Graph::constant_of(ValueId id) const {
  if (!id) return nullptr;
  const auto& constant = value(id).constant;
  return constant ? &*constant : nullptr;
}

ValueId Graph::find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? ValueId{} : found->second;
}

int64_t Graph::opset(std::string_view domain) const {
  const auto found = opsets_->find(domain == "ai.onnx" ? std::string_view() : domain);
  return found == opsets_->end() ? 0 : found->second;
}

// --- values ----------------------------------------------------------------------------------------------------------

ValueId Graph::add_value(ValueRecord record) {
  if (record.name.empty()) fail(ErrorCode::kInvalidModel, "a value has an empty name");
  const ValueId id{static_cast<int32_t>(values_.size())};
  if (!by_name_.emplace(record.name, id).second)
    fail(ErrorCode::kInvalidModel, "the name \"{}\" is given to two values", record.name);
  values_.push_back(std::move(record));
  return id;
}

ValueId Graph::add_input(std::string name, Type type, std::string extra) {
  const ValueId id = add_value(
      {.name = std::move(name), .kind = ValueKind::kInput, .type = std::move(type), .extra = std::move(extra)});
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_capture(std::string name, Type type) {
  const ValueId id = add_value({.name = std::move(name), .kind = ValueKind::kCapture, .type = std::move(type)});
  captures_.push_back(id);
  return id;
}

ValueId Graph::add_initializer(std::string name, Tensor tensor, std::string tensor_extra) {
  Type type = Type::of(tensor);
  return add_value({.name = std::move(name),
                    .kind = ValueKind::kInitializer,
                    .type = std::move(type),
                    .payload = tensor,
                    .constant = tensor,
                    .tensor_extra = std::move(tensor_extra)});
}

ValueId Graph::add_opaque_initializer(std::string name, Type type, std::string tensor_extra, bool sparse) {
  return add_value({.name = std::move(name),
                    .kind = ValueKind::kInitializer,
                    .type = std::move(type),
                    .tensor_extra = std::move(tensor_extra),
                    .opaque = true,
                    .sparse = sparse});
}

void Graph::set_default(ValueId input, Tensor tensor, std::string tensor_extra, bool constant) {
  ValueRecord& record = edit(input);
  if (record.kind != ValueKind::kInput || record.has_default())
    fail(ErrorCode::kInvalidModel, "\"{}\" is initialized twice", record.name);
  record.payload = tensor;
  record.tensor_extra = std::move(tensor_extra);
  if (constant) record.constant = std::move(tensor);
}

void Graph::set_opaque_default(ValueId input, std::string tensor_extra, bool sparse) {
  ValueRecord& record = edit(input);
  if (record.kind != ValueKind::kInput || record.has_default())
    fail(ErrorCode::kInvalidModel, "\"{}\" is initialized twice", record.name);
  record.tensor_extra = std::move(tensor_extra);
  record.opaque = true;
  record.sparse = sparse;
}

ValueId Graph::add_constant(Tensor tensor, std::string_view hint) {
  return add_initializer(unique_name(hint), std::move(tensor));
}

void Graph::drop_value(ValueId id) {
  ValueRecord& record = edit(id);
  by_name_.erase(record.name);
  record = ValueRecord{};
}

void Graph::rename(ValueId id, std::string name) {
  ValueRecord& record = edit(id);
  if (record.name == name) return;
  if (name.empty()) fail(ErrorCode::kInvalidModel, "a value has an empty name");
  if (!by_name_.emplace(name, id).second)
    fail(ErrorCode::kInvalidModel, "the name \"{}\" is given to two values", name);
  by_name_.erase(record.name);
  record.name = std::move(name);
}

void Graph::set_type(ValueId id, Type type) { edit(id).type = std::move(type); }

void Graph::set_constant(ValueId id, Tensor tensor) {
  ValueRecord& record = edit(id);
  record.type = Type::of(tensor);
  record.constant = std::move(tensor);
  set_constants_.push_back(id);
}

bool Graph::restore_constants(const Graph& original) {
  const size_t before = original.set_constants_.size();
  const bool same = nodes_.size() == original.nodes_.size() && node_count_ == original.node_count_ &&
                    values_.size() == original.values_.size() && set_constants_.size() >= before &&
                    std::ranges::equal(outputs_, original.outputs_, {}, &Output::value, &Output::value);
  if (!same) return false;
  for (const ValueId id : std::span(set_constants_).subspan(before)) {
    ValueRecord& record = edit(id);
    record.type = original.type(id);
    record.constant = original.value(id).constant;
  }
  set_constants_.resize(before);
  return true;
}

std::vector<std::string> Graph::freeze_defaults() {
  std::vector<std::string> frozen;
  std::erase_if(inputs_, [&](ValueId id) {
    ValueRecord& record = edit(id);
    if (!record.has_default()) return false;
    record.kind = ValueKind::kInitializer;
    record.constant = record.payload;
    if (record.payload) record.type = Type::of(*record.payload);
    frozen.push_back(record.name);
    return true;
  });
  // An Identity of what has become constant is constant as well.
  for (const NodeId id : nodes()) note_constant(id);
  return frozen;
}

std::string Graph::unique_name(std::string_view hint) {
  std::string base = hint.empty() ? "value" : std::string(hint);
  const auto taken = [&](const std::string& name) {
    return by_name_.contains(name) || reserved_names_.contains(name) ||
           (shared_names_ && shared_names_->contains(name));
  };
  if (!taken(base)) return base;
  int64_t& counter = name_counters_[base];
  std::string name;
  do name = fmt::format("{}_{}", base, ++counter);
  while (taken(name));
  return name;
}

// --- nodes -----------------------------------------------------------------------------------------------------------

void Graph::link_before(NodeId id, NodeId before) {
  NodeRecord& inserted = nodes_[static_cast<size_t>(id.index)];
  inserted.next = before;
  inserted.previous = before ? record(before).previous : last_;
  if (inserted.previous)
    record(inserted.previous).next = id;
  else
    first_ = id;
  if (before)
    record(before).previous = id;
  else
    last_ = id;
}

std::vector<Graph::CapturePlace> Graph::capture_places(const Node& node) {
  std::vector<CapturePlace> places;
  for (size_t i = 0; i < node.attributes.size(); ++i) {
    const auto add = [&](const Subgraph& subgraph, size_t graph) {
      for (size_t c = 0; c < subgraph.captures.size(); ++c)
        places.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(graph), static_cast<uint32_t>(c)});
    };
    const AttributeValue& value = node.attributes[i].value;
    if (const auto* one = std::get_if<Subgraph>(&value)) add(*one, 0);
    if (const auto* many = std::get_if<std::vector<Subgraph>>(&value))
      for (size_t g = 0; g < many->size(); ++g) add((*many)[g], g);
  }
  return places;
}

ValueId& Graph::captured_at(Node& node, const CapturePlace& place) {
  AttributeValue& value = node.attributes[place.attribute].value;
  auto* one = std::get_if<Subgraph>(&value);
  Subgraph& subgraph = one ? *one : std::get<std::vector<Subgraph>>(value)[place.graph];
  return subgraph.captures[place.capture];
}

void Graph::add_uses(NodeId id) {
  NodeRecord& user = record(id);
  for (size_t i = 0; i < user.node.inputs.size(); ++i)
    if (user.node.inputs[i]) edit(user.node.inputs[i]).uses.insert({id, static_cast<int>(i)});
  user.captures = capture_places(user.node);
  for (size_t i = 0; i < user.captures.size(); ++i)
    edit(captured_at(user.node, user.captures[i])).uses.insert({id, -1 - static_cast<int>(i)});
}

void Graph::remove_uses(NodeId id) {
  NodeRecord& user = record(id);
  for (size_t i = 0; i < user.node.inputs.size(); ++i)
    if (user.node.inputs[i]) edit(user.node.inputs[i]).uses.erase({id, static_cast<int>(i)});
  for (size_t i = 0; i < user.captures.size(); ++i)
    edit(captured_at(user.node, user.captures[i])).uses.erase({id, -1 - static_cast<int>(i)});
}

void Graph::note_constant(NodeId id) {
  const Node& node = record(id).node;
  if (node.outputs.size() != 1 || !node.outputs[0]) return;
  std::optional<Tensor> constant;
  if (node.is("Constant") && node.inputs.empty())
    constant = constant_payload(node);
  else if (node.is("Identity") && node.inputs.size() == 1 && node.inputs[0])
    constant = value(node.inputs[0]).constant;
  if (!constant) return;
  ValueRecord& output = edit(node.outputs[0]);
  output.type = Type::of(*constant);
  output.constant = std::move(constant);
}

NodeId Graph::add_node(NodeSpec spec, NodeId before) {
  for (const ValueId input : spec.inputs)
    if (input) (void)value(input);
  const NodeId id{static_cast<int32_t>(nodes_.size())};
  nodes_.push_back({.node = {.op_type = std::move(spec.op_type),
                             .domain = std::move(spec.domain),
                             .name = std::move(spec.name),
                             .inputs = std::move(spec.inputs),
                             .outputs = {},
                             .attributes = std::move(spec.attributes),
                             .extra = std::move(spec.extra),
                             .function = std::move(spec.function)},
                    .previous = {},
                    .next = {},
                    .alive = true,
                    .captures = {}});
  link_before(id, before);
  ++node_count_;
  for (OutputSpec& output : spec.outputs) {
    ValueId made;
    if (!output.name.empty())
      made = add_value({.name = std::move(output.name),
                        .kind = ValueKind::kNodeOutput,
                        .type = std::move(output.type),
                        .producer = id,
                        .extra = std::move(output.extra)});
    nodes_.back().node.outputs.push_back(made);
  }
  add_uses(id);
  note_constant(id);
  return id;
}

void Graph::add_output(Output output) {
  edit(output.value).output_uses.push_back(outputs_.size());
  outputs_.push_back(std::move(output));
}

void Graph::bind_output(size_t index, ValueId id) {
  edit(id).output_uses.push_back(index);
  std::vector<size_t>& old = edit(outputs_.at(index).value).output_uses;
  old.erase(std::ranges::find(old, index));
  outputs_[index].value = id;
}

void Graph::replace_all_uses(ValueId from, ValueId to) {
  if (from == to) return;
  const std::set<Use> moved = std::exchange(edit(from).uses, {});
  for (const Use& use : moved) {
    NodeRecord& user = record(use.node);
    if (use.index >= 0)
      user.node.inputs[static_cast<size_t>(use.index)] = to;
    else
      captured_at(user.node, user.captures[static_cast<size_t>(-1 - use.index)]) = to;
  }
  edit(to).uses.insert(moved.begin(), moved.end());
  const std::vector<size_t> outputs = std::exchange(edit(from).output_uses, {});
  for (const size_t index : outputs) outputs_[index].value = to;
  std::vector<size_t>& bound = edit(to).output_uses;
  bound.insert(bound.end(), outputs.begin(), outputs.end());
}

void Graph::erase_node(NodeId id) {
  NodeRecord& erased = record(id);
  for (const ValueId output : erased.node.outputs)
    if (output && (!value(output).uses.empty() || is_output(output)))
      fail(ErrorCode::kInternal, "{} is erased while \"{}\" is used", describe(*this, erased.node), value(output).name);
  remove_uses(id);
  for (const ValueId output : erased.node.outputs)
    if (output) drop_value(output);
  if (erased.previous)
    record(erased.previous).next = erased.next;
  else
    first_ = erased.next;
  if (erased.next)
    record(erased.next).previous = erased.previous;
  else
    last_ = erased.previous;
  erased = NodeRecord{};
  --node_count_;
}

bool Graph::is_used(ValueId id) const { return id && (!uses(id).empty() || is_output(id) || is_pinned(id)); }

bool Graph::erase_unused(ValueId id) {
  const auto used = [&](ValueId value) { return is_used(value); };
  if (is_used(id)) return false;
  if (const NodeId maker = producer(id)) {
    if (std::ranges::any_of(node(maker).outputs, used)) return false;
    erase_node(maker);
    return true;
  }
  if (value(id).kind != ValueKind::kInitializer) return false;
  drop_value(id);
  return true;
}

std::vector<size_t> Graph::erase_unused_captures() {
  std::vector<size_t> left;
  std::vector<ValueId> captures;
  for (size_t i = 0; i < captures_.size(); ++i) {
    if (!is_used(captures_[i])) {
      drop_value(captures_[i]);
      continue;
    }
    left.push_back(i);
    captures.push_back(captures_[i]);
  }
  captures_ = std::move(captures);
  return left;
}

int64_t Graph::erase_dead() {
  int64_t erased = 0;
  const auto used = [&](ValueId id) { return is_used(id); };
  const std::vector<NodeId> order = nodes();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    if (std::ranges::any_of(node(*id).outputs, used)) continue;
    erase_node(*id);
    ++erased;
  }
  for (const ValueId id : initializers())
    if (!used(id)) drop_value(id);
  return erased;
}

int64_t saved_ir_version(const Model& model) {
  return model.graph.initializers().empty() ? model.ir_version : std::max(model.ir_version, kFreeInitializers);
}

}  // namespace pli::ir
