#include "passes/reshape_target.h"

#include "runtime/core/tensor.h"

#include <algorithm>

namespace pli::passes {

std::optional<std::vector<int64_t>> reshape_target(const ir::Dims& from, const ir::Dims& to, bool infers) {
  std::vector<int64_t> target;
  size_t open = 0, copied = 0;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i].known() && to[i].value() > 0)
      target.push_back(to[i].value());
    else if (!to[i].known() && i < from.size() && to[i] == from[i])
      target.push_back(0), ++copied;
    else if (!to[i].known() && open++ == 0)
      target.push_back(-1);
    else
      return std::nullopt;
  }
  return open > 0 && copied > 0 && !infers ? std::nullopt : std::optional(std::move(target));
}

bool infers_dimension(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is("Reshape") || !node.input(1)) return false;
  if (const Tensor* shape = graph.constant_of(node.inputs[1]))
    return is_integer(shape->dtype()) && std::ranges::count(to_int64s(*shape), -1) > 0;
  const auto& elements = graph.value(node.inputs[1]).elements;
  return elements && std::ranges::count(*elements, ir::Dim(-1)) > 0;
}

}  // namespace pli::passes
