#include "passes/layout/region.h"

#include "passes/layout/minimum_cut.h"
#include "passes/narrow_weight.h"
#include "passes/reshape_target.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/movement/movement.h"

namespace pli::passes {

namespace {

constexpr size_t kMostValues = 4096;  // of a region: what lies beyond is not turned

}  // namespace

Permutation permutation_of(const Context& context, ir::NodeId id) {
  const ir::Node& node = context.graph.node(id);
  if (!node.is("Transpose") || context.broken.contains(id)) return {};
  const int64_t rank = context.graph.type(node.inputs[0]).rank();
  Permutation p = rank < 0 ? Permutation() : ops::transpose_permutation(node, rank);
  return is_identity(p) ? Permutation() : p;
}

std::optional<std::vector<int64_t>> shape_instead(const ir::Graph& graph, const ir::Dims& dims, const Permutation& p) {
  Permutation moved;
  for (const int64_t axis : p)
    if (const ir::Dim& dim = dims[static_cast<size_t>(axis)]; !dim.known() || dim.value() != 1) moved.push_back(axis);
  if (!is_identity(moved) || graph.opset("") < kShapeAsInput) return std::nullopt;
  return reshape_target(dims, permuted(dims, p), false);
}

int64_t cost_of_transpose(const ir::Graph& graph, const ir::Dims& dims, const Permutation& p) {
  constexpr int64_t kMoves = int64_t{1} << 44, kMostElements = int64_t{1} << 30;
  if (shape_instead(graph, dims, p)) return 1;
  int64_t elements = 1;  // as far as they are known
  for (const ir::Dim& dim : dims)
    if (dim.known()) elements = std::min(checked_mul(elements, dim.value()).value_or(kMostElements), kMostElements);
  return kMoves + elements;
}

bool is_free_constant(const Context& context, ir::ValueId value) {
  const ir::Graph& graph = context.graph;
  const Tensor* tensor = graph.constant_of(value);
  if (!tensor || bit_width(tensor->dtype()) < 8 || narrow_weight(graph, value)) return false;
  return static_cast<int64_t>(tensor->bytes().size()) <= context.options.limits.folded_bytes ||
         !weight_stays(graph, value);
}

// --- growing ---------------------------------------------------------------------------------------------------------

Region::Region(const Context& context, const TransposeSide& seed) : context_(context), graph_(context.graph) {
  const ir::Node& node = graph_.node(seed.node);
  const Permutation p = permutation_of(context, seed.node);
  const ir::ValueId first = seed.gives ? node.outputs[0] : node.inputs[0];
  layouts_[first.index] = seed.gives ? inverse(p) : p;
  values_.push_back(first);
  for (size_t i = 0; i < values_.size(); ++i) grow(values_[i]);
}

void Region::grow(ir::ValueId value) {
  const Permutation layout = layouts_.at(value.index);
  ++work_;
  if (const ir::NodeId producer = graph_.producer(value)) {
    if (const Permutation p = permutation_of(context_, producer); !p.empty()) {
      // One Transpose can't stand at the border with both of its sides.
      if (met_.try_emplace(value.index, true).second && inverse(p) == layout) border_.push_back({producer, true});
    } else {
      const auto& outputs = graph_.node(producer).outputs;
      meet(producer, {true, static_cast<size_t>(std::ranges::find(outputs, value) - outputs.begin())}, value);
    }
  }
  for (const ir::Use& use : graph_.uses(value)) {
    ++work_;
    if (use.index < 0) continue;
    if (permutation_of(context_, use.node) == layout) {
      if (met_.try_emplace(graph_.node(use.node).outputs[0].index, false).second) border_.push_back({use.node, false});
    } else {
      meet(use.node, {false, static_cast<size_t>(use.index)}, value);
    }
  }
}

/// Takes the node in, if it can be turned so that the value is permuted as it is to be.
void Region::meet(ir::NodeId id, Port port, ir::ValueId value) {
  if (member_of_.contains(id.index) || refused_.contains(id.index) || context_.stays(id)) return;
  const ir::Node& node = graph_.node(id);
  work_ += static_cast<int64_t>(node.inputs.size() + node.outputs.size());
  const Permutation& layout = layouts_.at(value.index);
  auto turned = turn(graph_, node, port, layout);
  if (turned && (port.is_output ? turned->outputs : turned->inputs).at(port.index) != layout) return;  // it may stay
  if (!turned || !admits(node, *turned)) {
    refused_.insert(id.index);
    return;
  }
  member_of_[id.index] = members_.size();
  const auto take = [&](const std::vector<ir::ValueId>& values, const std::vector<Permutation>& permutations) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i] || permutations[i].empty() || is_free_constant(context_, values[i])) continue;
      if (layouts_.try_emplace(values[i].index, permutations[i]).second) values_.push_back(values[i]);
    }
  };
  take(node.inputs, turned->inputs);
  take(node.outputs, turned->outputs);
  members_.push_back({id, std::move(*turned)});
}

/// All of its values may be permuted as the turn says.
bool Region::admits(const ir::Node& node, const Turn& turn) const {
  size_t found = values_.size() + members_.size();
  std::unordered_map<int32_t, const Permutation*> own;
  const auto fits = [&](ir::ValueId value, const Permutation& p) {
    if (!value || p.empty()) return true;
    if (graph_.type(value).rank() != static_cast<int64_t>(p.size())) return false;
    const auto known = layouts_.find(value.index);
    const Permutation& other =
        known == layouts_.end() ? *own.try_emplace(value.index, &p).first->second : known->second;
    found += known == layouts_.end();
    return other == p;
  };
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (!(turn.inputs[i].empty() || is_free_constant(context_, node.inputs[i])) &&
        !fits(node.inputs[i], turn.inputs[i]))
      return false;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ir::ValueId output = node.outputs[i];
    if (output && (graph_.is_pinned(output) || !fits(output, turn.outputs[i]))) return false;
  }
  if (turn.rows)
    for (const ir::Use& use : graph_.uses(node.outputs[0])) {
      if (context_.stays(use.node) || !is_free_constant(context_, weight_of_rows(graph_, use))) return false;
    }
  return found <= kMostValues;
}

const Permutation& Region::layout(ir::ValueId value) const {
  static const Permutation none;
  const auto found = layouts_.find(value.index);
  return found == layouts_.end() ? none : found->second;
}

// --- choosing --------------------------------------------------------------------------------------------------------

Region::Maker Region::maker_of(ir::ValueId value) const {
  const ir::NodeId producer = graph_.producer(value);
  if (!producer) return Maker::kOther;
  if (const auto member = member_of_.find(producer.index); member != member_of_.end()) {
    const auto& outputs = graph_.node(producer).outputs;
    const auto index = static_cast<size_t>(std::ranges::find(outputs, value) - outputs.begin());
    const bool permutes = !members_[member->second].turn.outputs[index].empty();  // turned, it may give the same still
    return permutes ? Maker::kMember : Maker::kOther;
  }
  const auto met = met_.find(value.index);
  if (met == met_.end() || !met->second) return Maker::kOther;
  return inverse(permutation_of(context_, producer)) == layout(value) ? Maker::kSource : Maker::kTranspose;
}

ir::ValueId Region::source(ir::ValueId value) const {
  return maker_of(value) == Maker::kSource ? graph_.node(graph_.producer(value)).inputs[0] : ir::ValueId{};
}

bool Region::takes_permuted(ir::Use use, ir::ValueId value) const {
  const ir::ValueId output = use.index < 0 ? ir::ValueId{} : graph_.node(use.node).output(0);
  const auto met = output ? met_.find(output.index) : met_.end();
  if (met == met_.end() || met->second || graph_.is_pinned(output)) return false;
  return !graph_.is_output(output) || maker_of(value) != Maker::kSource;  // it would be an Identity
}

/// A Transpose that is nobody's border.
bool Region::can_be_joined(ir::Use use) const {
  if (use.index < 0 || permutation_of(context_, use.node).empty()) return false;
  const ir::ValueId output = graph_.node(use.node).outputs[0];
  return !graph_.is_pinned(output) && !met_.contains(output.index);
}

/// What each Transpose costs that would be left is an edge of the graph that is cut, where nodes on the source's side
/// are turned. A value is needed as it is, or permuted, or both; what makes it gives one of them. The sum of the costs
/// of all Transposes of the model falls by what is saved here, or by more.
bool Region::choose(int64_t& work) {
  MinimumCut cut;
  constexpr size_t kTurned = MinimumCut::kSource, kKept = MinimumCut::kSink;
  std::vector<size_t> vertex;
  for (size_t i = 0; i < members_.size(); ++i) vertex.push_back(cut.add_vertex());
  struct Join {
    ir::NodeId transpose;
    size_t vertex;
  };
  std::vector<Join> all_joins;
  int64_t now = 0;
  for (const ir::ValueId value : values_) {
    const Permutation& p = layout(value);
    const ir::Dims& dims = *graph_.type(value).dims;
    const Maker maker = maker_of(value);
    std::vector<Join> joins;
    bool kept_readers = graph_.is_output(value) || graph_.is_pinned(value), turned_readers = false;
    std::vector<size_t> readers;
    for (const ir::Use& use : graph_.uses(value)) {
      const auto member = member_of_.find(use.node.index);
      if (use.index >= 0 && member != member_of_.end() &&
          members_[member->second].turn.inputs[static_cast<size_t>(use.index)] == p) {
        readers.push_back(vertex[member->second]);
      } else if (takes_permuted(use, value)) {
        turned_readers = true;
      } else if (maker == Maker::kMember && all_joins.size() + joins.size() < kMostValues && can_be_joined(use)) {
        // It may take whichever of the two is there.
        const Permutation own = permutation_of(context_, use.node);
        const int64_t kept = cost_of_transpose(graph_, dims, own);
        joins.push_back({use.node, cut.add_vertex()});
        cut.add_edge(kTurned, joins.back().vertex, kept);
        cut.add_edge(joins.back().vertex, kKept,
                     cost_of_transpose(graph_, permuted(dims, p), permuted(inverse(p), own)));
        now += kept;
      } else {
        kept_readers = true;
      }
    }
    const bool anew = maker == Maker::kTranspose;  // either way a Transpose of what that one takes
    const size_t made = maker == Maker::kMember   ? vertex[member_of_.at(graph_.producer(value).index)]
                        : maker == Maker::kSource ? kTurned
                                                  : kKept;
    const int64_t cost = cost_of_transpose(graph_, dims, p);
    int64_t cost_as_is = cost, cost_permuted = cost;
    if (anew) {
      const ir::NodeId maker_id = graph_.producer(value);
      const ir::Dims& taken = *graph_.type(graph_.node(maker_id).inputs[0]).dims;
      const Permutation own = permutation_of(context_, maker_id);
      cost_as_is = cost_of_transpose(graph_, taken, own);
      cost_permuted = cost_of_transpose(graph_, taken, permuted(own, p));
    }
    if (anew || made != kKept) {  // the value as it is costs, where somebody needs that
      const size_t needed = cut.add_vertex();
      cut.add_edge(anew ? kTurned : made, needed, cost_as_is);
      for (const size_t reader : readers) cut.add_edge(needed, reader, MinimumCut::kNever);
      if (kept_readers) cut.add_edge(needed, kKept, MinimumCut::kNever);
      for (const Join& join : joins) {
        cut.add_edge(needed, join.vertex, MinimumCut::kNever);
        cut.add_edge(join.vertex, made, MinimumCut::kNever);
      }
    }
    if (made != kTurned) {  // and so does the permuted one
      const size_t needed = cut.add_vertex();
      cut.add_edge(needed, made, cost_permuted);
      for (const size_t reader : readers) cut.add_edge(reader, needed, MinimumCut::kNever);
      if (turned_readers) cut.add_edge(kTurned, needed, MinimumCut::kNever);
    }
    if (maker == Maker::kMember || maker == Maker::kOther)
      now += turned_readers ? cost : 0;
    else
      now += kept_readers || !readers.empty() ? cost_as_is : 0;
    if (anew && turned_readers) now += cost;
    all_joins.insert(all_joins.end(), joins.begin(), joins.end());
  }
  const auto least = cut.find(work);
  if (!least || *least >= now) return false;
  for (size_t i = 0; i < members_.size(); ++i) members_[i].chosen = cut.with_source(vertex[i]);
  for (const Join& join : all_joins)
    if (cut.with_source(join.vertex)) joined_.insert(join.transpose.index);
  return true;
}

void Region::for_each_touched(const std::function<void(ir::NodeId)>& node,
                              const std::function<void(ir::ValueId)>& value) const {
  for (const Member& member : members_) {
    const ir::Node& own = graph_.node(member.node);
    node(member.node);
    for (const auto* values : {&own.inputs, &own.outputs})
      for (const ir::ValueId each : *values)
        if (each && !graph_.constant_of(each)) value(each);
  }
  for (const ir::ValueId each : values_) {
    value(each);
    if (const ir::ValueId made_from = source(each)) value(made_from);
    if (const ir::NodeId producer = graph_.producer(each)) node(producer);
    for (const ir::Use& use : graph_.uses(each)) node(use.node);
  }
}

}  // namespace pli::passes
