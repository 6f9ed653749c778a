#include "passes/layout/turn_region.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/checked.h"
#include "runtime/core/tensor.h"

#include <algorithm>
#include <utility>

namespace pli::passes {

namespace {

/// Transpose, Transpose   =>   Transpose, or nothing
///
/// for all that read one, or those of them that become no dearer: a Transpose that moved a dimension of 1 may come to
/// move elements. What they become is put into `joined`.
int64_t join_with_readers(Context& context, ir::NodeId id, std::vector<ir::NodeId>& joined) {
  ir::Graph& graph = context.graph;
  const Permutation first = permutation_of(context, id);
  if (first.empty()) return 0;
  const ir::ValueId x = graph.node(id).inputs[0], between = graph.node(id).outputs[0];
  const ir::Dims from = *graph.type(x).dims, seen = permuted(from, first);
  struct Reader {
    ir::NodeId node;
    Permutation both;
    bool becomes_dearer;
  };
  std::vector<Reader> readers;
  bool others = graph.is_output(between) || graph.is_pinned(between);
  int64_t cost_of_all = 0, cost_of_cheap = cost_of_transpose(graph, from, first);
  const auto add = [](int64_t& sum, int64_t cost) { sum = checked_add(sum, cost).value_or(INT64_MAX); };
  for (const ir::Use& use : graph.uses(between)) {
    const Permutation second = use.index < 0 ? Permutation() : permutation_of(context, use.node);
    const ir::ValueId result = second.empty() ? ir::ValueId{} : graph.node(use.node).outputs[0];
    Permutation both = result ? permuted(first, second) : Permutation();
    const bool is_nothing = result && is_identity(both);
    if (!result || graph.is_pinned(result) || (is_nothing && graph.is_output(result))) {  // that would be an Identity
      others = true;
      continue;
    }
    const int64_t before = cost_of_transpose(graph, seen, second),
                  after = is_nothing ? 0 : cost_of_transpose(graph, from, both);
    add(cost_of_all, after);
    add(cost_of_cheap, std::min(before, after));
    readers.push_back({use.node, std::move(both), after > before});
  }
  const bool all = !others && cost_of_all <= cost_of_cheap;
  int64_t changes = 0;
  for (Reader& reader : readers) {
    if (reader.becomes_dearer && !all) continue;
    if (is_identity(reader.both)) {
      graph.replace_all_uses(graph.node(reader.node).outputs[0], x);
      graph.erase_node(reader.node);
    } else {
      ir::NodeSpec spec = ir::spec_like(graph.node(reader.node));
      spec.inputs = {x};
      set_attribute(spec, "perm", std::move(reader.both));
      joined.push_back(replace_node(graph, reader.node, std::move(spec)));
    }
    ++changes;
  }
  if (changes > 0 && !others && !graph.is_used(between)) graph.erase_node(id);
  return changes;
}

/// The first of a chain before the others, so that each is joined once, with what the chain starts from.
int64_t join_transposes(Context& context) {
  int64_t changes = 0;
  std::vector<ir::NodeId> next;
  for (const ir::NodeId id : context.graph.nodes()) {
    next.assign(1, id);
    while (!next.empty()) {
      const ir::NodeId node = next.back();
      next.pop_back();
      if (context.graph.alive(node)) changes += join_with_readers(context, node, next);
    }
  }
  return changes;
}

/// Transpose that only moves dimensions of 1   =>   Reshape
int64_t reshape_instead(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    const Permutation p = permutation_of(context, id);
    if (p.empty() || graph.is_pinned(graph.node(id).outputs[0])) continue;
    const ir::Node node = graph.node(id);
    const auto shape = shape_instead(graph, *graph.type(node.inputs[0]).dims, p);
    if (!shape) continue;
    ir::NodeSpec spec{.op_type = "Reshape", .name = node.name, .inputs = node.inputs, .extra = node.extra};
    spec.inputs.push_back(graph.add_constant(int64_tensor(*shape), graph.name(node.outputs[0]) + "_shape"));
    (void)replace_node(graph, id, std::move(spec));
    ++changes;
  }
  return changes;
}

/// Looks at each Transpose from both sides once, and turns what lies there if that makes things better. What touches
/// something that was turned is left for the next time.
class Sweep {
 public:
  explicit Sweep(Context& context) : context_(context), graph_(context.graph) {
    const std::vector<ir::NodeId> nodes = graph_.nodes();
    positions_.resize(graph_.node_limit());
    for (size_t i = 0; i < nodes.size(); ++i) {
      positions_[static_cast<size_t>(nodes[i].index)] = i;
      if (!permutation_of(context, nodes[i]).empty()) transposes_.push_back(nodes[i]);
    }
    const auto count = static_cast<int64_t>(nodes.size());
    context_.turning -= count;
    choosing_ = kLeast + kChoosing * count;
  }

  int64_t run() {
    int64_t changes = 0;
    for (const ir::NodeId id : transposes_)
      for (const bool gives : {true, false}) changes += look({id, gives});
    return changes;
  }

 private:
  /// Edges that choosing may look at in a sweep, some for each node of the graph.
  static constexpr int64_t kLeast = int64_t{1} << 16, kChoosing = 256;

  bool look(const TransposeSide& side) {
    if (seen_.contains(side) || touched_nodes_.contains(side.node) || context_.turning < 0 || choosing_ < 0)
      return false;
    Region region(context_, side);
    context_.turning -= region.work();
    seen_.insert(region.border().begin(), region.border().end());
    if (region.members().empty() || touches(region) || !region.choose(choosing_)) return false;
    const int64_t bytes = bytes_of_constants(context_, region);
    if (bytes > context_.budget.bytes) return false;
    context_.budget.bytes -= bytes;
    region.for_each_touched([&](ir::NodeId node) { touched_nodes_.insert(node); },
                            [&](ir::ValueId value) { touched_values_.insert(value); });
    turn_region(context_, region, [&](ir::NodeId node) { return positions_.at(static_cast<size_t>(node.index)); });
    return true;
  }

  bool touches(const Region& region) const {
    bool any = false;
    const auto is_new = [&](ir::NodeId node) { return static_cast<size_t>(node.index) >= positions_.size(); };
    region.for_each_touched([&](ir::NodeId node) { any = any || is_new(node) || touched_nodes_.contains(node); },
                            [&](ir::ValueId value) { any = any || touched_values_.contains(value); });
    return any;
  }

  Context& context_;
  ir::Graph& graph_;
  std::vector<size_t> positions_;
  std::vector<ir::NodeId> transposes_;
  std::set<TransposeSide> seen_;
  std::set<ir::NodeId> touched_nodes_;
  std::set<ir::ValueId> touched_values_;
  int64_t choosing_ = 0;
};

}  // namespace

/// Transpose -> node that works along any axes   =>   node along other axes -> Transpose, or the other way round
///
/// for all nodes that hang together at once, where fewer Transposes are left than there were, or as many of smaller
/// values. Of those that only move dimensions of 1 a Reshape is left.
int64_t sink_transposes(Context& context) {
  const auto is_transpose = [&](ir::NodeId id) { return context.graph.node(id).is("Transpose"); };
  if (std::ranges::none_of(context.graph.nodes(), is_transpose)) return 0;
  int64_t changes = join_transposes(context);
  while (const int64_t turned = Sweep(context).run()) {
    changes += turned;
    context.graph.erase_dead();
    changes += join_transposes(context);
  }
  return changes + reshape_instead(context);
}

}  // namespace pli::passes
