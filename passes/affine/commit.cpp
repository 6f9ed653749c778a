#include "passes/affine/commit.h"

#include "passes/affine/settle.h"
#include "passes/narrow_weight.h"
#include "passes/replace_node.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <map>
#include <set>

namespace pli::passes {

namespace {

/// It is more numbers than the limits allow, and more than any of the affines has that it is made of.
bool grows(const Context& context, const Affine& affine, const Plan& plan) {
  size_t most = static_cast<size_t>(context.options.limits.folded_bytes) / sizeof(double);
  for (const Removal& removal : plan.removals) most = std::max(most, removal.affine.affine.scale().size());
  for (const auto& [node, joined] : plan.merges) most = std::max(most, node.affine.scale().size());
  return affine.scale().size() > most;
}

bool widens(const Context& context) { return context.options.widen_weights || context.purpose == Purpose::kRunning; }

/// A new weight in the place of the old one, stored in the type in which that was stored where the rounding allows it.
ir::ValueId replace_weight(Context& context, const Absorption& absorption, Tensor weight) {
  ir::Graph& graph = context.graph;
  const auto old = narrow_weight(graph, absorption.weight);
  if (!old) return context.names.replace(absorption.weight, std::move(weight));
  const DataType narrow = graph.type(old->stored).dtype;
  auto rounded = widens(context) || graph.node(old->cast).is("DequantizeLinear")
                     ? std::nullopt
                     : narrowed(weight, absorption.factor->shape, narrow);
  if (!rounded) {
    const size_t stored = graph.constant_of(old->stored)->bytes().size();
    if (weight.bytes().size() > stored) context.widened_bytes += static_cast<int64_t>(weight.bytes().size() - stored);
    return context.names.replace(absorption.weight, std::move(weight));
  }
  ++context.rounded_weights[narrow];
  Tensor widened =
      from_doubles(weight.dtype(), Shape(weight.shape().begin(), weight.shape().end()), to_doubles(*rounded));
  ir::NodeSpec spec = ir::spec_like(graph.node(old->cast));
  spec.inputs[0] = context.names.replace(old->stored, std::move(*rounded));
  spec.outputs = {{graph.unique_name(graph.name(absorption.weight)), graph.type(absorption.weight), {}}};
  const ir::ValueId made = graph.node(graph.add_node(std::move(spec), old->cast)).outputs[0];
  graph.set_constant(made, std::move(widened));
  context.names.take_over(made, absorption.weight);
  return made;
}

class Commit {
 public:
  Commit(Context& context, const Plan& plan, const AffineNode& seed)
      : context_(context), graph_(context.graph), plan_(plan), seed_(seed) {}

  void run(NewConstants made) {
    context_.subnormals_cleared += made.cleared;
    context_.budget.bytes -= made.growth;
    context_.across_casts += plan_.casts > 0;
    for (const Removal& removal : plan_.removals)
      if (!becomes_rest(removal)) context_.log.consider(removal.affine.node);
    std::vector<ir::NodeId> into;
    for (size_t i = 0; i < plan_.absorptions.size(); ++i) into.push_back(absorb(i, made));
    for (const auto& [affine, joined] : plan_.merges) into.push_back(merge(affine, joined));
    std::map<ir::NodeId, std::vector<size_t>> by_node;
    for (size_t i = 0; i < plan_.operands.size(); ++i) by_node[plan_.operands[i].use.node].push_back(i);
    for (const auto& [id, operands] : by_node) into.push_back(set_operands(id, operands, made));
    const std::string how = rule();
    std::vector<ir::NodeId> removed;
    for (auto removal = plan_.removals.rbegin(); removal != plan_.removals.rend(); ++removal) {
      if (!becomes_rest(*removal)) removed.push_back(removal->affine.node);
      remove(*removal);
    }
    const std::string names = names_of(into);
    for (const ir::NodeId id : removed) context_.log.folded(id, names, how);
    for (const PlannedAbsorption& planned : plan_.absorptions) forget(planned.absorption.weight);
    release_originals(context_, std::span(into).first(plan_.absorptions.size()));
  }

 private:
  /// A weight in whose place there is another: at once, for it is large.
  void forget(ir::ValueId weight) {
    if (!graph_.alive(weight) || graph_.value(weight).kind != ir::ValueKind::kInitializer) return;
    if (graph_.erase_unused(weight)) context_.scaled.erase(weight);
  }

  std::string rule() const {
    if (plan_.absorptions.empty()) return !plan_.merges.empty() ? "joins_another" : "constant_absorbs";
    const PlannedAbsorption& first = plan_.absorptions[0];
    const bool keeps_bias = rest_node(first) && first.absorption.how == "matmul_absorbs_following";
    return keeps_bias ? "matmul_add_absorbs_following" : first.absorption.how;
  }

  std::string names_of(const std::vector<ir::NodeId>& nodes) const {
    std::string names;
    for (const ir::NodeId id : nodes) {
      if (!id || !graph_.alive(id)) continue;
      const ir::Node& node = graph_.node(id);
      names += (names.empty() ? "" : ", ") + (node.name.empty() ? graph_.name(node.outputs[0]) : node.name);
    }
    return names;
  }

  /// Its constant and name go on in the rest of an absorption.
  bool becomes_rest(const Removal& removal) const {
    return removal.affine.node != seed_.node && std::ranges::any_of(plan_.absorptions, [&](const auto& planned) {
             return planned.user == removal.affine.node && rest_node(planned);
           });
  }

  /// The name of a node that goes, for one that comes.
  std::string take_name(ir::NodeId id) { return named_.insert(id).second ? graph_.node(id).name : std::string(); }

  /// The removed Add or Sub whose place the rest of an absorption takes; none: there is no such node.
  ir::NodeId rest_node(const PlannedAbsorption& planned) const {
    const bool moved = std::ranges::any_of(plan_.removals,
                                           [&](const Removal& removal) { return removal.affine.node == planned.user; });
    if (!planned.absorption.rest || !moved) return {};
    const ir::Node& node = graph_.node(planned.user);
    return node.is("Add") || node.is("Sub") ? planned.user : ir::NodeId{};
  }

  ir::NodeId absorb(size_t index, NewConstants& made) {
    const PlannedAbsorption& planned = plan_.absorptions[index];
    const Absorption& absorption = planned.absorption;
    const DataType dtype = graph_.type(absorption.weight).dtype;
    ir::ValueId weight = absorption.weight, bias = absorption.bias;
    if (made.scaled[index]) {
      weight = made.quantized[index]
                   ? write_requantized(context_, weight, std::move(*made.quantized[index]))
                   : context_.typed(replace_weight(context_, absorption, std::move(*made.weights[index])), dtype);
      context_.scaled.insert_or_assign(weight, std::move(*made.scaled[index]));
    }
    if (made.biases[index]) {
      const ir::ValueId origin = seed_.origin ? seed_.origin : weight;
      bias = bias ? context_.names.replace(bias, std::move(*made.biases[index]))
                  : context_.names.add(bias_name(context_.names.of(weight)), std::move(*made.biases[index]), origin);
      context_.exact.insert_or_assign(context_.typed(bias, dtype), absorption.new_bias->numbers);
    }
    const ir::Node node = graph_.node(absorption.node);
    ir::NodeSpec spec = absorber_of(node)->rebuilt(graph_, node, weight, bias);
    return replace_node(graph_, absorption.node, std::move(spec), [&](ir::ValueId result) {
      if (!absorption.rest) return result;
      const ir::NodeId like = rest_node(planned);
      Refusal ignored;
      const auto old = like ? read_arithmetic(context_, like, ignored) : std::nullopt;
      const ir::NodeId named = like ? like : seed_.node;
      const Written as{named, take_name(named), old ? old->origin : ir::ValueId{}, bias_name(context_.names.of(weight)),
                       seed_.origin ? seed_.origin : weight};
      return write_affine(context_, *absorption.rest, result, absorption.node, as);
    });
  }

  ir::NodeId set_operands(ir::NodeId id, const std::vector<size_t>& operands, NewConstants& made) {
    ir::NodeSpec spec = ir::spec_like(graph_.node(id));
    for (const size_t i : operands) {
      ir::ValueId& input = spec.inputs[static_cast<size_t>(plan_.operands[i].use.index)];
      const DataType dtype = graph_.type(input).dtype;
      input = context_.typed(context_.names.replace(input, std::move(made.operands[i])), dtype);
      context_.exact.insert_or_assign(input, plan_.operands[i].numbers);
    }
    return replace_node(graph_, id, std::move(spec));
  }

  ir::NodeId merge(const AffineNode& affine, const Affine& joined) {
    const ir::ValueId x = graph_.node(affine.node).inputs[affine.operand];
    const bool is_norm = graph_.node(affine.node).is("BatchNormalization");
    if (is_norm && fits_batch_norm(graph_, affine, joined)) {
      const ir::NodeId made = write_batch_norm(context_, affine.node, joined);
      context_.log.became(affine.node, made);
      return made;
    }
    const Written as{affine.node, take_name(affine.node), is_norm ? ir::ValueId{} : affine.origin,
                     graph_.name(affine.y) + "_bias", affine.origin ? affine.origin : seed_.origin};
    const std::string name = graph_.name(affine.y);
    const ir::ValueId value = write_affine(context_, joined, x, affine.node, as);
    graph_.replace_all_uses(affine.y, value);
    if (value == x) return {};
    const ir::NodeId made = graph_.producer(value);
    context_.log.became(affine.node, made);
    graph_.erase_node(affine.node);
    graph_.rename(value, name);
    return made;
  }

  /// Where what makes the operand gives the result now, it has its name.
  void remove(const Removal& removal) {
    const ir::NodeId id = removal.affine.node;
    const ir::ValueId y = removal.affine.y, x = graph_.node(id).inputs[removal.affine.operand];
    const bool takes_name =
        removal.way == Way::kBack && graph_.producer(x) && graph_.has_single_use(x) && !graph_.is_pinned(x);
    const ir::ValueRecord old = graph_.value(y);
    graph_.replace_all_uses(y, x);
    graph_.erase_node(id);
    if (!takes_name) return;
    graph_.rename(x, old.name);
    graph_.set_declaration(x, old.extra);
  }

  Context& context_;
  ir::Graph& graph_;
  const Plan& plan_;
  const AffineNode& seed_;
  std::set<ir::NodeId> named_;  // whose names are taken
};

}  // namespace

std::optional<NewConstants> make_constants(const Context& context, const Plan& plan, Refusal& why) {
  const ir::Graph& graph = context.graph;
  NewConstants made;
  for (const PlannedAbsorption& planned : plan.absorptions) {
    const Absorption& absorption = planned.absorption;
    const std::string name = ir::describe(graph, graph.node(absorption.node));
    made.scaled.emplace_back();
    made.weights.emplace_back();
    made.biases.emplace_back();
    made.quantized.emplace_back();
    const DataType dtype = context.folded_type(graph.type(absorption.weight).dtype);
    if (absorption.factor) {
      ScaledWeight scaled = context.scaled_weight(absorption.weight);
      scaled.multiply(*absorption.factor);
      const auto bytes = static_cast<int64_t>(scaled.original().bytes().size());
      made.growth += weight_stays(graph, absorption.weight) ? bytes : 0;
      if (made.growth > context.budget.bytes)
        return why.because(code::kTooLarge, "a copy of the weight \"{}\" of {} would make the model too large",
                           graph.name(absorption.weight), name);
      Folded folded = scaled.rounded();
      if (!folded.tensor)
        return why.because(code::kNonFinite, "the folded weight of {} would hold numbers that are not finite", name);
      if (is_quantized(graph, absorption.weight) && !widens(context)) {
        made.quantized.back() = requantized(context, absorption.weight, *absorption.factor, why);
        if (!made.quantized.back()) return std::nullopt;
        made.growth += made.quantized.back()->growth;
      } else {
        made.cleared += folded.cleared;
        made.weights.back() = std::move(folded.tensor);
      }
      made.scaled.back() = std::move(scaled);
    }
    if (absorption.new_bias) {
      Folded folded = rounded(dtype, absorption.new_bias->shape, absorption.new_bias->numbers);
      if (!folded.tensor)
        return why.because(code::kNonFinite, "the folded bias of {} would hold numbers that are not finite", name);
      made.cleared += folded.cleared;
      made.biases.back() = std::move(folded.tensor);
    }
    if (absorption.rest && grows(context, *absorption.rest, plan))
      return why.because(code::kTooLarge, "what would be left of it behind {} would be too large", name);
    if (absorption.rest && !can_write(context, graph.type(graph.node(absorption.node).outputs[0]), *absorption.rest))
      return why.because(code::kAxisUnproven, "what would be left of it can't be written in operator set {}",
                         graph.opset(""));
  }
  for (const auto& [affine, joined] : plan.merges)
    if (grows(context, joined, plan) || !can_write(context, graph.type(affine.y), joined))
      return why.because(code::kNonFinite, "joined with {} it would hold numbers that can't be written",
                         ir::describe(graph, graph.node(affine.node)));
  for (const Operand& operand : plan.operands) {
    const ir::Node& node = graph.node(operand.use.node);
    const ir::ValueId old = node.inputs[static_cast<size_t>(operand.use.index)];
    Folded folded = rounded(context.folded_type(graph.type(old).dtype), operand.shape, operand.numbers);
    if (!folded.tensor)
      return why.because(code::kNonFinite, "a constant of {} would hold numbers that are not finite",
                         ir::describe(graph, node));
    const auto bytes = static_cast<int64_t>(folded.tensor->bytes().size());
    if (!graph.has_single_use(old)) made.growth += bytes;
    if (made.growth > context.budget.bytes)
      return why.because(code::kTooLarge, "a copy of \"{}\" would make the model too large", graph.name(old));
    made.cleared += folded.cleared;
    made.operands.push_back(std::move(*folded.tensor));
  }
  return made;
}

void commit(Context& context, const Plan& plan, const AffineNode& seed, NewConstants made) {
  Commit(context, plan, seed).run(std::move(made));
}

}  // namespace pli::passes
