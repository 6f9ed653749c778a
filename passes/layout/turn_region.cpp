#include "passes/layout/turn_region.h"

#include "passes/replace_node.h"
#include "runtime/core/tensor.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// The elements of a constant, seen in this shape, with its dimensions in another order.
Tensor permuted_constant(const Context& context, ir::ValueId value, Shape shape, const Permutation& p) {
  const Tensor seen = context.graph.constant_of(value)->reshaped(std::move(shape));
  ir::Node node{.op_type = "Transpose",
                .domain = {},
                .name = {},
                .inputs = {value},
                .outputs = {value},  // stands for the result
                .attributes = {{"perm", p, {}}},
                .extra = {}};
  const Tensor* operand = &seen;
  return ops::evaluate(context.graph, node, std::span(&operand, 1), context.options.limits)[0];
}

/// Turns the chosen nodes of one region, one after the other.
class Turning {
 public:
  Turning(Context& context, const Region& region, const Position& position)
      : context_(context), graph_(context.graph), region_(region), position_(position) {}

  void add(const Region::Member& member);
  void remove(const Region::Member& member);

 private:
  ir::ValueId turned(ir::ValueId value, const Permutation& p, ir::NodeId before);
  ir::ValueId turned_constant(ir::ValueId value, const Permutation& p);
  ir::ValueId add_constant(ir::ValueId old, Tensor tensor);
  void order_rows(ir::ValueId result, const RowOrder& rows);
  void pass_on(ir::ValueId old, ir::NodeId before);
  void replace_turned(ir::ValueId old, ir::ValueId now);

  Context& context_;
  ir::Graph& graph_;
  const Region& region_;
  const Position& position_;
  std::map<ir::ValueId, ir::ValueId> made_;  // by what a chosen node gave: what the turned one gives in its place
  using Permuted = std::map<std::pair<ir::ValueId, Permutation>, ir::ValueId>;
  Permuted turned_, constants_;
  std::vector<std::pair<ir::ValueId, std::string>> names_;  // of values, as soon as a node has left them
};

/// A constant in the place of another.
ir::ValueId Turning::add_constant(ir::ValueId old, Tensor tensor) {
  const std::string name = context_.names.of(old);  // a copy: adding moves what there is
  return context_.typed(context_.names.add(name, std::move(tensor), old), graph_.type(old).dtype);
}

/// Where it has fewer dimensions than are permuted, it is given ones in front.
ir::ValueId Turning::turned_constant(ir::ValueId value, const Permutation& p) {
  ir::ValueId& made = constants_[{value, p}];
  if (made) return made;
  const auto own = graph_.constant_of(value)->shape();
  Shape shape(p.size() - own.size(), 1);
  shape.insert(shape.end(), own.begin(), own.end());
  const Tensor tensor = permuted_constant(context_, value, shape, p);
  Shape dims(tensor.shape().begin(), tensor.shape().end());
  while (dims.size() > own.size() && dims.front() == 1) dims.erase(dims.begin());
  made = add_constant(value, tensor.reshaped(std::move(dims)));
  return made;
}

/// The weights of those who read the result.
void Turning::order_rows(ir::ValueId result, const RowOrder& rows) {
  const std::set<ir::Use> uses = graph_.uses(result);
  for (const ir::Use& use : uses) {
    const ir::ValueId weight = weight_of_rows(graph_, use);
    const bool columns = graph_.node(use.node).int_or("transB", 0) != 0;
    const auto own = graph_.constant_of(weight)->shape();
    Shape shape = rows.sizes;
    shape.insert(columns ? shape.begin() : shape.end(), own[columns ? 0 : 1]);
    Permutation p = rows.p;
    if (columns)
      for (int64_t& axis : p) ++axis;
    p.insert(columns ? p.begin() : p.end(), columns ? 0 : static_cast<int64_t>(p.size()));
    ir::NodeSpec spec = ir::spec_like(graph_.node(use.node));
    spec.inputs[1] =
        add_constant(weight, permuted_constant(context_, weight, shape, p).reshaped(Shape(own.begin(), own.end())));
    (void)replace_node(graph_, use.node, std::move(spec));
  }
}

/// The permuted value: made already, there already behind a Transpose, or made by one.
ir::ValueId Turning::turned(ir::ValueId value, const Permutation& p, ir::NodeId before) {
  if (is_free_constant(context_, value)) return turned_constant(value, p);
  if (const auto known = turned_.find({value, p}); known != turned_.end()) return known->second;
  if (const ir::ValueId source = region_.source(value)) return turned_[{value, p}] = source;
  // It stands for those that are there, from where the first of them is.
  std::vector<ir::NodeId> there;
  for (const ir::Use& use : graph_.uses(value))
    if (region_.takes_permuted(use, value) && permutation_of(context_, use.node) == p) there.push_back(use.node);
  for (const ir::NodeId id : there)
    if (position_(id) < position_(before)) before = id;
  const ir::ValueId made = turned_[{value, p}] = add_transpose(graph_, value, p, graph_.name(value), before);
  for (const ir::NodeId id : there) {
    const ir::ValueId same = graph_.node(id).outputs[0];
    const std::string name = graph_.name(same);
    graph_.replace_all_uses(same, made);
    graph_.erase_node(id);
    graph_.rename(made, name);
    replace_turned(same, made);
  }
  return made;
}

/// A value that was permuted, or is what permuting gave, is another now.
void Turning::replace_turned(ir::ValueId old, ir::ValueId now) {
  for (auto& [value, permuted] : turned_)
    if (permuted == old) permuted = now;
  for (auto entry = turned_.lower_bound({old, {}}); entry != turned_.end() && entry->first.first == old;
       entry = turned_.lower_bound({old, {}})) {
    auto moved = turned_.extract(entry);
    moved.key().first = now;
    turned_.insert(std::move(moved));
  }
}

void Turning::add(const Region::Member& member) {
  const ir::Node old = graph_.node(member.node);
  const Turn& turn = member.turn;
  ir::NodeSpec spec = ir::spec_like(old);
  // What one operand takes the place of may be another, so all are there before they are read.
  for (int times = 0; times < 2; ++times)
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      const ir::ValueId input = graph_.node(member.node).inputs[i];
      spec.inputs[i] = input && !turn.inputs[i].empty() ? turned(input, turn.inputs[i], member.node) : input;
    }
  if (turn.becomes_reshape) {
    spec.op_type = "Reshape";
    spec.attributes.clear();
  }
  for (const ir::Attribute& attribute : turn.attributes) set_attribute(spec, attribute.name, attribute.value);
  for (const auto& [index, tensor] : turn.operands) {
    if (index >= spec.inputs.size()) spec.inputs.resize(index + 1);
    const ir::ValueId given = spec.inputs[index];
    const std::string name = given ? context_.names.of(given) : graph_.name(old.outputs[0]) + "_operand";
    spec.inputs[index] = tensor ? context_.names.add(name, *tensor, given) : ir::ValueId{};
  }
  while (!spec.inputs.empty() && !spec.inputs.back()) spec.inputs.pop_back();
  for (size_t i = 0; i < old.outputs.size(); ++i) {
    const ir::ValueId output = old.outputs[i];
    if (!output) {
      spec.outputs.emplace_back();
      continue;
    }
    const bool stays = turn.outputs[i].empty();
    spec.outputs.push_back({graph_.unique_name(graph_.name(output)),
                            permuted_type(graph_.type(output), turn.outputs[i]),
                            stays ? graph_.value(output).extra : std::string()});
  }
  const ir::NodeId made = graph_.add_node(std::move(spec), member.node);
  context_.log.became(member.node, made);
  const std::vector<ir::ValueId> results = graph_.node(made).outputs;
  for (size_t i = 0; i < old.outputs.size(); ++i) {
    if (!old.outputs[i]) continue;
    made_[old.outputs[i]] = results[i];
    if (!turn.outputs[i].empty()) turned_[{old.outputs[i], turn.outputs[i]}] = results[i];
  }
  if (turn.listed.empty()) return;
  const ir::ValueId order = context_.names.add(graph_.name(old.outputs[0]) + "_order", int64_tensor(turn.listed), {});
  ir::NodeSpec gather{.op_type = "Gather", .name = old.name, .inputs = {results[0], order}};
  gather.outputs.push_back({graph_.unique_name(graph_.name(old.outputs[0])), graph_.type(old.outputs[0]), {}});
  made_[old.outputs[0]] = graph_.node(graph_.add_node(std::move(gather), member.node)).outputs[0];
}

/// Whoever reads the old value and was not turned: some Transposes take the new one, the others what a Transpose makes
/// of it. What keeps the old name is noted.
void Turning::pass_on(ir::ValueId old, ir::NodeId before) {
  const ir::ValueId made = made_.at(old);
  const Permutation back = inverse(region_.layout(old));
  const std::string name = graph_.name(old);
  std::string own_name = name;
  const std::set<ir::Use> uses = graph_.uses(old);
  for (const ir::Use& use : uses) {
    const bool meets = region_.takes_permuted(use, old);
    if (!meets && !region_.is_joined(use.node)) continue;
    const ir::ValueId result = graph_.node(use.node).outputs[0];
    const ir::ValueId other =
        meets ? made : add_transpose(graph_, made, permuted(back, permutation_of(context_, use.node)), name, use.node);
    const std::string result_name = graph_.name(result);
    if (meets && graph_.is_output(result)) own_name = result_name;
    graph_.replace_all_uses(result, other);
    graph_.erase_node(use.node);
    if (!meets) graph_.rename(other, result_name);
  }
  if (graph_.is_used(old)) {
    const ir::ValueId as_before = add_transpose(graph_, made, back, name, before);
    graph_.replace_all_uses(old, as_before);
    names_.emplace_back(as_before, name);
    if (own_name == name) return;
  }
  names_.emplace_back(made, own_name);
}

void Turning::remove(const Region::Member& member) {
  const std::vector<ir::ValueId> outputs = graph_.node(member.node).outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ir::ValueId old = outputs[i];
    if (!old) continue;
    if (!member.turn.outputs[i].empty()) {
      pass_on(old, member.node);
      continue;
    }
    if (member.turn.rows) order_rows(old, *member.turn.rows);
    graph_.replace_all_uses(old, made_.at(old));
    names_.emplace_back(made_.at(old), graph_.name(old));
  }
  graph_.erase_node(member.node);
  for (const auto& [value, name] : names_) graph_.rename(value, name);
  names_.clear();
}

}  // namespace

ir::ValueId add_transpose(ir::Graph& graph, ir::ValueId value, const Permutation& p, const std::string& name,
                          ir::NodeId before) {
  ir::NodeSpec spec{.op_type = "Transpose", .inputs = {value}, .attributes = {{"perm", p, {}}}};
  spec.outputs.push_back({graph.unique_name(name), permuted_type(graph.type(value), p), {}});
  return graph.node(graph.add_node(std::move(spec), before)).outputs[0];
}

int64_t bytes_of_constants(const Context& context, const Region& region) {
  const ir::Graph& graph = context.graph;
  int64_t bytes = 0;
  const auto count = [&](ir::ValueId constant) {
    if (const Tensor* tensor = graph.constant_of(constant)) bytes += static_cast<int64_t>(tensor->bytes().size());
  };
  for (const Region::Member& member : region.members()) {
    if (!member.chosen) continue;
    const ir::Node& node = graph.node(member.node);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!member.turn.inputs[i].empty()) count(node.inputs[i]);
    if (member.turn.rows)
      for (const ir::Use& use : graph.uses(node.outputs[0])) count(weight_of_rows(graph, use));
  }
  return bytes;
}

void turn_region(Context& context, const Region& region, const Position& position) {
  std::vector<const Region::Member*> chosen;
  for (const Region::Member& member : region.members())
    if (member.chosen) chosen.push_back(&member);
  std::ranges::sort(chosen, {}, [&](const Region::Member* member) { return position(member->node); });
  Turning turning(context, region, position);
  for (const Region::Member* member : chosen) turning.add(*member);
  for (auto member = chosen.rbegin(); member != chosen.rend(); ++member) turning.remove(**member);
}

}  // namespace pli::passes
