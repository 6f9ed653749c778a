#include "passes/affine/settle.h"

#include "passes/affine/affine_node.h"
#include "passes/affine/obstacles.h"
#include "passes/merge_linear.h"

#include <algorithm>
#include <set>

namespace pli::passes {

namespace {

/// Smaller ones are not worth looking.
constexpr size_t kLeastBytes = 64 << 10;

constexpr size_t kMostNodes = 512, kMostEnds = 32;

/// What is connected with a value without going through a node with weights.
struct Region {
  std::set<ir::ValueId> values;
  std::set<ir::NodeId> others;  // the nodes in it
  std::set<ir::NodeId> makers;  // nodes with weights that make one of the values
  std::set<ir::NodeId> ends;    // these, and those that read one
  bool settled = true;          // there is no affine in it, and nothing to be merged across it
};

bool may_be_affine(const ir::Graph& graph, const ir::Node& node) {
  const auto is_constant = [&](ir::ValueId input) { return input && graph.constant_of(input); };
  return node.is("BatchNormalization") || node.is("Neg") ||
         (is_arithmetic(node) && std::ranges::any_of(node.inputs, is_constant));
}

Region region_of(const Context& context, ir::ValueId start) {
  const ir::Graph& graph = context.graph;
  Region region;
  std::vector<ir::ValueId> reached;  // from near to far: most often there is an affine near
  const auto reach = [&](ir::ValueId value) {
    if (value && !graph.constant_of(value) && region.values.insert(value).second) reached.push_back(value);
  };
  const auto visit = [&](ir::NodeId id, bool makes) {
    const ir::Node& node = graph.node(id);
    if (is_linear(node)) {
      region.ends.insert(id);
      region.settled = region.settled && region.ends.size() <= kMostEnds;
      if (makes) region.makers.insert(id);
      return;
    }
    if (!region.others.insert(id).second) return;
    region.settled = region.settled && !may_be_affine(graph, node) && region.others.size() <= kMostNodes;
    for (const ir::ValueId output : node.outputs) reach(output);
    for (const ir::ValueId input : node.inputs) reach(input);
  };
  reach(start);
  for (size_t next = 0; next < reached.size() && region.settled; ++next) {
    const ir::ValueId value = reached[next];
    for (const ir::Use& use : graph.uses(value)) {
      region.settled = region.settled && use.index >= 0;  // no graph nested in a node reads it
      visit(use.node, false);
    }
    if (const ir::NodeId producer = graph.producer(value)) visit(producer, true);
  }
  if (region.others.empty() && region.makers.size() == 1 && region.ends.size() == 2)
    for (const ir::NodeId end : region.ends)
      if (!region.makers.contains(end) && is_worth_merging(context, *region.makers.begin(), end))
        region.settled = false;
  return region;
}

/// The constants of `id` that took a fold up and are used nowhere else.
std::vector<ir::ValueId> folded_weights(const Context& context, ir::NodeId id) {
  std::vector<ir::ValueId> weights;
  for (const ir::ValueId input : context.graph.node(id).inputs)
    if (const auto known = input ? context.scaled.find(input) : context.scaled.end(); known != context.scaled.end())
      if (known->second.original().bytes().size() >= kLeastBytes && context.graph.has_single_use(input))
        weights.push_back(input);
  return weights;
}

/// Nothing is left to be folded into the weights of the node.
bool is_settled(const ir::Graph& graph, ir::NodeId id, std::span<const Region> regions) {
  const ir::Node& node = graph.node(id);
  const auto reads_the_same = [&](ir::NodeId other) {
    return other != id && graph.node(other).input(0) == node.input(0);
  };
  const Region& behind = regions.back();
  return std::ranges::all_of(regions, &Region::settled) && !behind.values.contains(node.input(0)) &&
         std::ranges::none_of(behind.makers, reads_the_same);
}

/// In front of the node, for each operand, and behind it.
std::vector<Region> regions_around(const Context& context, ir::NodeId id) {
  const ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  std::vector<Region> regions;
  for (const ir::ValueId input : node.inputs)
    if (input && !graph.constant_of(input)) regions.push_back(region_of(context, input));
  regions.push_back(region_of(context, node.outputs[0]));
  return regions;
}

}  // namespace

void release_originals(Context& context, std::span<const ir::NodeId> nodes) {
  const auto release = [&](ir::NodeId id, std::span<const Region> regions) {
    if (is_settled(context.graph, id, regions))
      for (const ir::ValueId weight : folded_weights(context, id)) context.scaled.erase(weight);
  };
  for (const ir::NodeId id : nodes) {
    if (!context.graph.alive(id)) continue;
    const std::vector<Region> regions = regions_around(context, id);
    release(id, regions);
    for (const Region& region : regions) {
      if (!region.settled) continue;
      for (const ir::NodeId end : region.ends)
        if (end != id && !folded_weights(context, end).empty()) release(end, regions_around(context, end));
    }
  }
}

}  // namespace pli::passes
