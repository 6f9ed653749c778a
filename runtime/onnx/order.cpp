#include "runtime/onnx/order.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace pli {

namespace {

using Names = std::unordered_set<std::string_view>;

void collect_free(const onnx::GraphProto& graph, Names& free);

/// What a node uses: its inputs, and what graphs nested in it take from outside of themselves.
template <class Visit>
void for_each_use(const onnx::NodeProto& node, Visit&& visit) {
  for (const std::string& input : node.input())
    if (!input.empty()) visit(input);
  Names free;
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) collect_free(attribute.g(), free);
    for (const onnx::GraphProto& graph : attribute.graphs()) collect_free(graph, free);
  }
  for (const std::string_view name : free) visit(name);
}

void collect_free(const onnx::GraphProto& graph, Names& free) {
  Names own;
  for (const auto& input : graph.input()) own.insert(input.name());
  for (const auto& initializer : graph.initializer()) own.insert(initializer.name());
  for (const auto& initializer : graph.sparse_initializer()) own.insert(initializer.values().name());
  for (const auto& node : graph.node()) own.insert(node.output().begin(), node.output().end());
  const auto use = [&](std::string_view name) {
    if (!own.contains(name)) free.insert(name);
  };
  for (const auto& node : graph.node()) for_each_use(node, use);
  for (const auto& output : graph.output()) use(output.name());
}

constexpr int kNoNode = -1;

/// The node that makes a value, by name; kNoNode for inputs and initializers.
std::unordered_map<std::string_view, int> find_makers(const onnx::GraphProto& graph) {
  std::unordered_map<std::string_view, int> makers;
  for (const auto& input : graph.input()) makers.emplace(input.name(), kNoNode);
  for (const auto& initializer : graph.initializer()) makers.emplace(initializer.name(), kNoNode);
  for (const auto& initializer : graph.sparse_initializer()) makers.emplace(initializer.values().name(), kNoNode);
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string& output : graph.node(i).output())
      if (!output.empty() && !makers.emplace(output, i).second)
        fail(ErrorCode::kInvalidModel, "{}: the name \"{}\" is given to two values", describe(graph.node(i)), output);
  return makers;
}

[[noreturn]] void fail_on_cycle(const onnx::GraphProto& graph, const std::vector<std::vector<int>>& needs,
                                const std::vector<bool>& done) {
  std::vector<bool> seen(done.size(), false);
  auto at = static_cast<size_t>(std::ranges::find(done, false) - done.begin());
  while (!seen[at]) {
    seen[at] = true;
    at = static_cast<size_t>(
        *std::ranges::find_if(needs[at], [&](int need) { return !done[static_cast<size_t>(need)]; }));
  }
  fail(ErrorCode::kInvalidModel, "{} is part of a cycle", describe(graph.node(static_cast<int>(at))));
}

}  // namespace

std::vector<int> order_nodes(const onnx::GraphProto& graph) {
  const std::unordered_map<std::string_view, int> makers = find_makers(graph);
  const auto count = static_cast<size_t>(graph.node_size());
  std::vector<std::vector<int>> needs(count);
  bool in_order = true;
  for (int i = 0; i < graph.node_size(); ++i)
    for_each_use(graph.node(i), [&](std::string_view name) {
      const auto maker = makers.find(name);
      if (maker == makers.end() || maker->second == kNoNode) return;
      needs[static_cast<size_t>(i)].push_back(maker->second);
      in_order = in_order && maker->second < i;
    });
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (in_order) return order;

  std::vector<std::vector<int>> users(count);
  std::vector<size_t> waiting(count);
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i) {
    for (const int need : needs[i]) users[static_cast<size_t>(need)].push_back(static_cast<int>(i));
    waiting[i] = needs[i].size();
    if (waiting[i] == 0) ready.push(static_cast<int>(i));
  }
  order.clear();
  std::vector<bool> done(count, false);
  while (!ready.empty()) {
    const int next = ready.top();
    ready.pop();
    order.push_back(next);
    done[static_cast<size_t>(next)] = true;
    for (const int user : users[static_cast<size_t>(next)])
      if (--waiting[static_cast<size_t>(user)] == 0) ready.push(user);
  }
  if (order.size() < count) fail_on_cycle(graph, needs, done);
  return order;
}

}  // namespace pli
