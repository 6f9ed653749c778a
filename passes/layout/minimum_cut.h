#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace pli::passes {

/// The cheapest way to divide a directed graph in two, by Dinic's algorithm: the edges that lead from the side of the
/// source to the other are what it costs.
class MinimumCut {
 public:
  static constexpr int64_t kNever = INT64_MAX / 4;

  static constexpr size_t kSource = 0, kSink = 1;
  /// The number of a new vertex.
  size_t add_vertex() {
    edges_.emplace_back();
    return edges_.size() - 1;
  }
  void add_edge(size_t from, size_t to, int64_t cost);

  /// The cost of the cheapest cut; nothing when finding it takes more steps than are left of `work`.
  std::optional<int64_t> find(int64_t& work);
  /// After that: on the side of the source. Of several cuts that are as cheap, the one with the least there.
  bool with_source(size_t vertex) const { return level_[vertex] >= 0; }

 private:
  struct Edge {
    size_t to, back;  // back: the index of the edge in the other direction
    int64_t left;
  };
  bool reaches_sink(int64_t& work);
  int64_t augment(int64_t& work);

  std::vector<std::vector<Edge>> edges_{2};
  std::vector<int64_t> level_;  // distance from the source; negative: not reached
  std::vector<size_t> next_;    // of each vertex, the edge to be tried next
};

}  // namespace pli::passes
