#include "passes/fold_log.h"

#include "passes/affine/affine_node.h"
#include "runtime/ops/operator.h"

#include <algorithm>

namespace pli::passes {

namespace {

Fold fold_of(const ir::Graph& graph, const ir::Node& node, std::string path) {
  Fold fold{.name = node.name, .graph = std::move(path)};
  if (node.output(0)) fold.output = graph.name(node.output(0));
  return fold;
}

/// What a node is called in the path of a graph that it holds.
std::string label(const ir::Graph& graph, const ir::Node& node) {
  return node.name.empty() && node.output(0) ? graph.name(node.output(0)) : node.name;
}

/// Calls visit(graph, path) for every graph that `node` holds, at any depth; `place` is the path of the node.
template <class Visit>
void for_each_nested(const ir::Node& node, const std::string& place, const Visit& visit) {
  for (const ir::Attribute& attribute : node.attributes) {
    const std::string path = place + "/" + attribute.name;
    const auto walk = [&](const ir::Subgraph& subgraph) {
      visit(subgraph.graph, path);
      for (const ir::NodeId id : subgraph.graph->nodes()) {
        const ir::Node& nested = subgraph.graph->node(id);
        for_each_nested(nested, path + "/" + label(*subgraph.graph, nested), visit);
      }
    };
    if (const auto* one = std::get_if<ir::Subgraph>(&attribute.value))
      walk(*one);
    else if (const auto* many = std::get_if<std::vector<ir::Subgraph>>(&attribute.value))
      for (const ir::Subgraph& subgraph : *many) walk(subgraph);
  }
}

}  // namespace

FoldLog::FoldLog(const ir::Graph& graph, const OptimizeOptions& options, bool is_nested) : graph_(graph) {
  for (const std::string& output : options.keep) {
    bool found = is_nested;
    ir::for_each_graph(graph, [&](const ir::Graph& each) {
      const ir::ValueId value = each.find(output);
      const ir::NodeId producer = value ? each.producer(value) : ir::NodeId{};
      found = found || producer;
      if (producer && &each == &graph) keep_.insert(producer);
    });
    if (!found) fail(ErrorCode::kInvalidArgument, "keep: no node of the model has the output \"{}\"", output);
  }
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    if (is_arithmetic(node)) originals_[id] = fold_of(graph, node, "");
    if (node.is("BatchNormalization")) {
      index_[id] = batch_norms_.size();
      batch_norms_.push_back({.fold = fold_of(graph, node, ""), .node = id, .nested = nullptr});
    }
    for_each_nested(node, label(graph, node), [&](const auto& nested, const std::string& path) {
      paths_[nested.get()] = path;
      for (const ir::NodeId inside : nested->nodes()) {
        if (!nested->node(inside).is("BatchNormalization")) continue;
        Fold fold = fold_of(*nested, nested->node(inside), path);
        fold.code = code::kNestedGraph;
        fold.reason = "it is in a graph nested in a node, and this one is left as it is";
        batch_norms_.push_back({.fold = std::move(fold), .node = {}, .nested = nested});
      }
    });
  }
}

void FoldLog::consider(ir::NodeId id) {
  if (index_.contains(id) || affines_.contains(id)) return;
  const auto original = originals_.find(id);
  affines_[id] = {.fold = original == originals_.end() ? fold_of(graph_, graph_.node(id), "") : original->second,
                  .node = id,
                  .nested = nullptr};
}

FoldLog::Entry& FoldLog::entry(ir::NodeId id) {
  const auto found = index_.find(id);
  return found != index_.end() ? batch_norms_[found->second] : affines_.at(id);
}

bool FoldLog::kept_by_user(ir::NodeId id) const { return keep_.contains(id); }

void FoldLog::folded(ir::NodeId id, std::string into, std::string_view how) {
  Fold& fold = entry(id).fold;
  fold.folded = true;
  fold.into = std::move(into);
  fold.how = how;
  fold.code.clear();
  fold.reason.clear();
}

void FoldLog::refused(ir::NodeId id, Refusal why) {
  if (why.code.empty() && affines_.erase(id) > 0) return;
  Entry& refused = entry(id);
  refused.fold.code = std::move(why.code);
  refused.fold.reason = std::move(why.reason);
  refused.freezing_helps = why.freezing_helps;
}

void FoldLog::became(ir::NodeId old, ir::NodeId made) {
  if (const auto norm = index_.extract(old)) {
    batch_norms_[norm.mapped()].node = made;
    index_[made] = norm.mapped();
  }
  if (auto original = originals_.extract(old)) originals_[made] = std::move(original.mapped());
  if (auto affine = affines_.extract(old)) {
    affine.mapped().node = made;
    affines_[made] = std::move(affine.mapped());
  }
}

void FoldLog::nested(const ir::Graph& graph, const Report& report) {
  const std::string& place = paths_.at(&graph);
  const auto path = [&](const Fold& fold) { return fold.graph.empty() ? place : place + "/" + fold.graph; };
  std::map<std::pair<std::string, std::string>, const Fold*> said;
  for (const Fold& fold : report.batch_norms) said[{fold.graph.empty() ? "" : path(fold), fold.output}] = &fold;
  for (Entry& entry : batch_norms_) {
    if (!entry.nested) continue;
    const bool directly = entry.nested.get() == &graph;  // two nodes may hold one graph
    const auto found = said.find({directly ? "" : entry.fold.graph, entry.fold.output});
    if (found == said.end()) continue;
    const std::string graph_path = entry.fold.graph;
    entry.fold = *found->second;
    entry.fold.graph = graph_path;
  }
  for (const Fold& fold : report.affines) {
    nested_affines_.push_back(fold);
    nested_affines_.back().graph = path(fold);
  }
}

int64_t FoldLog::kept_for_overridable() const {
  return std::ranges::count_if(batch_norms_,
                               [](const Entry& entry) { return !entry.fold.folded && entry.freezing_helps; });
}

void FoldLog::inlined(const ir::Node& holder, std::string_view branch, std::span<const ir::NodeId> nodes) {
  const ir::Graph& taken = *std::get<ir::Subgraph>(holder.attribute(branch)->value).graph;
  std::set<const ir::Graph*> gone;
  ir::for_each_subgraph(holder, [&](const ir::Subgraph& subgraph) {
    if (subgraph.graph.get() != &taken)
      ir::for_each_graph(*subgraph.graph, [&](const ir::Graph& graph) { gone.insert(&graph); });
  });
  std::map<std::string, size_t> by_output;  // the BatchNormalizations that were directly in the branch
  for (size_t i = 0; i < batch_norms_.size(); ++i) {
    Entry& entry = batch_norms_[i];
    if (entry.nested.get() == &taken) by_output.emplace(entry.fold.output, i);
    if (!gone.contains(entry.nested.get())) continue;
    entry.fold.code = code::kDead;
    entry.fold.reason = "it is in a branch that is never taken";
  }
  const std::vector<ir::NodeId> originals = taken.nodes();
  const std::string& path = paths_.at(&taken);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const ir::Node& node = taken.node(originals.at(i));
    if (is_arithmetic(node)) originals_[nodes[i]] = fold_of(taken, node, path);
    if (!node.is("BatchNormalization")) continue;
    const size_t index = by_output.at(fold_of(taken, node, path).output);
    index_[nodes[i]] = index;
    Entry& entry = batch_norms_[index];
    entry.node = nodes[i];
    entry.fold.code.clear();
    entry.fold.reason.clear();
  }
}

void FoldLog::write(const ir::Graph& graph, Report& report) const {
  for (const auto& [fold, node, nested, freezing_helps] : batch_norms_) {
    report.batch_norms.push_back(fold);
    Fold& last = report.batch_norms.back();
    if (fold.folded || !node) continue;
    if (!graph.alive(node)) {
      last.code = code::kDead;
      last.reason = "no output of the model needs its result, so it was removed";
    } else if (fold.code.empty() && graph.opset("") > ops::kNewestOpset) {
      last.code = code::kUnknownOpset;
      last.reason = fmt::format("the model's operator set {} is newer than {}", graph.opset(""), ops::kNewestOpset);
    } else if (fold.code.empty()) {
      last.code = code::kDisabled;
      last.reason = "the pass that folds it was not asked for";
    }
  }
  for (const auto& [id, entry] : affines_)
    if (entry.fold.folded || graph.alive(id)) report.affines.push_back(entry.fold);
  report.affines.insert(report.affines.end(), nested_affines_.begin(), nested_affines_.end());
}

}  // namespace pli::passes
