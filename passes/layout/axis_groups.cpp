#include "passes/layout/axis_groups.h"

#include "runtime/core/checked.h"
#include "runtime/ops/dims.h"

#include <numeric>

namespace pli::passes {

namespace {

bool is_one(const ir::Dim& dim) { return dim.known() && dim.value() == 1; }

/// Unknown where it has no elements, or too many.
ir::Dim product(const ir::Dim& a, const ir::Dim& b) {
  if (!a.known() || !b.known()) return ops::multiply(a, b);
  const auto both = checked_mul(a.value(), b.value());
  return both && *both > 0 ? ir::Dim(*both) : ir::Dim();
}

/// Moves the ends to behind axes of both sides that hold as many elements, as few of them as can be. False where that
/// can't be told.
bool join(const ir::Dims& from, const ir::Dims& to, size_t& in, size_t& out) {
  const size_t most = from.size() - in + to.size() - out;
  for (size_t both = 2; both <= most; ++both)
    for (size_t left = 1; left < both; ++left) {
      const size_t right = both - left;
      if (left > from.size() - in || right > to.size() - out) continue;
      const auto count = [](const ir::Dims& dims, size_t first, size_t size) {
        return std::accumulate(dims.begin() + static_cast<ptrdiff_t>(first),
                               dims.begin() + static_cast<ptrdiff_t>(first + size), ir::Dim(1), product);
      };
      if (!(count(from, in, left) == count(to, out, right))) continue;
      in += left;
      out += right;
      return true;
    }
  return false;
}

}  // namespace

AxisGroups removing(const std::vector<int64_t>& axes, int64_t rank) {
  AxisGroups groups;
  int64_t out = 0;
  for (int64_t i = 0; i < rank; ++i) {
    groups.push_back({{i}, {}});
    if (!std::ranges::binary_search(axes, i)) groups.back().out.push_back(out++);
  }
  return groups;
}

AxisGroups reversed(AxisGroups groups) {
  for (AxisGroup& group : groups) std::swap(group.in, group.out);
  return groups;
}

std::optional<AxisGroups> reshaping(const ir::Dims& from, const ir::Dims& to) {
  AxisGroups groups;
  const auto add = [&](size_t in, size_t in_end, size_t out, size_t out_end) {
    AxisGroup& group = groups.emplace_back();
    for (; in < in_end; ++in) group.in.push_back(static_cast<int64_t>(in));
    for (; out < out_end; ++out) group.out.push_back(static_cast<int64_t>(out));
  };
  size_t in = 0, out = 0;
  while (in < from.size() || out < to.size()) {
    const size_t first_in = in, first_out = out;
    if (in < from.size() && out < to.size() && from[in] == to[out])
      ++in, ++out;
    else if (in < from.size() && is_one(from[in]))
      ++in;
    else if (out < to.size() && is_one(to[out]))
      ++out;
    else if (!join(from, to, in, out))
      return std::nullopt;
    add(first_in, in, first_out, out);
  }
  return groups;
}

std::optional<Permutation> permuted_output(const AxisGroups& groups, const Permutation& input) {
  // Each group that has axes of the input, and beside it those that have none and go with it.
  std::vector<std::vector<int64_t>> outputs(input.size());  // by the first axis of the input
  std::vector<const AxisGroup*> by_first(input.size(), nullptr);
  std::vector<int64_t> waiting, *last = nullptr;
  for (const AxisGroup& group : groups) {
    waiting.insert(waiting.end(), group.out.begin(), group.out.end());
    if (group.in.empty()) continue;
    const auto first = static_cast<size_t>(group.in.front());
    by_first[first] = &group;
    outputs[first] = std::exchange(waiting, {});
    last = &outputs[first];
  }
  if (last) last->insert(last->end(), waiting.begin(), waiting.end());

  Permutation result;
  for (size_t i = 0; i < input.size();) {
    const auto first = static_cast<size_t>(input[i]);
    const AxisGroup* group = by_first[first];
    if (!group || i + group->in.size() > input.size()) return std::nullopt;
    if (!std::ranges::equal(group->in, std::span(input).subspan(i, group->in.size()))) return std::nullopt;
    result.insert(result.end(), outputs[first].begin(), outputs[first].end());
    i += group->in.size();
  }
  return result;
}

}  // namespace pli::passes
