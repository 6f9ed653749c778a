#include "runtime/exec/memory_plan.h"

#include "runtime/core/error.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace pli::exec {

namespace {

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

MemoryPlan plan_memory(std::span<const Interval> intervals, int64_t limit) {
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>{}, [&](size_t i) { return intervals[i].bytes; });

  MemoryPlan plan;
  plan.offsets.resize(intervals.size());
  std::vector<size_t> placed;  // in the order of their offsets
  for (const size_t i : order) {
    const Interval& interval = intervals[i];
    if (interval.bytes > limit)
      fail(ErrorCode::kResourceLimit, "a value of {} bytes passes the limit of {}", interval.bytes, limit);
    const int64_t bytes = aligned(interval.bytes);
    int64_t offset = 0;
    for (const size_t other : placed) {
      const Interval& there = intervals[other];
      if (there.last < interval.first || interval.last < there.first) continue;
      if (offset + bytes <= plan.offsets[other]) break;
      offset = std::max(offset, plan.offsets[other] + aligned(there.bytes));
    }
    plan.offsets[i] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    if (plan.bytes > limit)
      fail(ErrorCode::kResourceLimit, "the working memory of {} bytes passes the limit of {}", plan.bytes, limit);
    const auto behind = std::ranges::upper_bound(placed, offset, {}, [&](size_t other) { return plan.offsets[other]; });
    placed.insert(behind, i);
  }
  return plan;
}

}  // namespace pli::exec
