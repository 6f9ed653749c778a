#include "passes/layout/minimum_cut.h"

#include <algorithm>

namespace pli::passes {

void MinimumCut::add_edge(size_t from, size_t to, int64_t cost) {
  edges_[from].push_back({to, edges_[to].size(), cost});
  edges_[to].push_back({from, edges_[from].size() - 1, 0});
}

bool MinimumCut::reaches_sink(int64_t& work) {
  level_.assign(edges_.size(), -1);
  next_.assign(edges_.size(), 0);
  level_[kSource] = 0;
  std::vector<size_t> queue{kSource};
  for (size_t i = 0; i < queue.size(); ++i)
    for (const Edge& edge : edges_[queue[i]]) {
      --work;
      if (edge.left == 0 || level_[edge.to] >= 0) continue;
      level_[edge.to] = level_[queue[i]] + 1;
      queue.push_back(edge.to);
    }
  return level_[kSink] >= 0;
}

/// Sends what it can along one shortest path; 0 when there is none any more.
int64_t MinimumCut::augment(int64_t& work) {
  std::vector<Edge*> path;
  size_t at = kSource;
  while (at != kSink) {
    --work;
    if (next_[at] < edges_[at].size()) {
      Edge& edge = edges_[at][next_[at]];
      if (edge.left > 0 && level_[edge.to] == level_[at] + 1) {
        path.push_back(&edge);
        at = edge.to;
      } else {
        ++next_[at];
      }
    } else if (path.empty()) {
      return 0;
    } else {  // a dead end
      at = edges_[path.back()->to][path.back()->back].to;
      path.pop_back();
      ++next_[at];
    }
  }
  int64_t flow = kNever;
  for (const Edge* edge : path) flow = std::min(flow, edge->left);
  for (Edge* edge : path) {
    edge->left -= flow;
    edges_[edge->to][edge->back].left += flow;
  }
  return flow;
}

std::optional<int64_t> MinimumCut::find(int64_t& work) {
  int64_t total = 0;
  while (reaches_sink(work)) {
    while (const int64_t flow = augment(work)) {
      total += flow;
      if (work < 0) return std::nullopt;
    }
    if (work < 0) return std::nullopt;
  }
  return total;
}

}  // namespace pli::passes
