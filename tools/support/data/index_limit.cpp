#include "tools/support/data/index_limit.h"

#include <algorithm>
#include <array>
#include <set>

namespace pli::tools {

namespace {

constexpr std::array<std::string_view, 8> kKeepNumbers{"Identity", "Cast",      "Reshape", "Unsqueeze",
                                                       "Squeeze",  "Transpose", "Flatten", "Expand"};

/// The length of the dimension that input 1 of a Gather or GatherElements indexes, when it is known.
std::optional<int64_t> indexed_length(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is("Gather") && !node.is("GatherElements")) return std::nullopt;
  if (!node.input(0)) return std::nullopt;
  const auto& dims = graph.type(node.input(0)).dims;
  if (!dims) return std::nullopt;
  const auto rank = static_cast<int64_t>(dims->size());
  int64_t axis = node.int_or("axis", 0);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return std::nullopt;
  const ir::Dim& dim = (*dims)[static_cast<size_t>(axis)];
  if (!dim.known() || dim.value() < 1) return std::nullopt;
  return dim.value();
}

}  // namespace

std::optional<int64_t> index_limit(const ir::Graph& graph, ir::ValueId value) {
  std::optional<int64_t> least;
  std::vector<ir::ValueId> reached{value};
  std::set<ir::ValueId> seen{value};
  while (!reached.empty()) {
    const ir::ValueId current = reached.back();
    reached.pop_back();
    for (const ir::Use& use : graph.uses(current)) {
      const ir::Node& node = graph.node(use.node);
      if (use.index == 1) {
        if (const auto length = indexed_length(graph, node)) least = std::min(least.value_or(*length), *length);
      } else if (use.index == 0 && node.is_onnx() &&
                 std::ranges::find(kKeepNumbers, node.op_type) != kKeepNumbers.end()) {
        const ir::ValueId output = node.output(0);
        if (output && seen.insert(output).second) reached.push_back(output);
      }
    }
  }
  return least;
}

}  // namespace pli::tools
