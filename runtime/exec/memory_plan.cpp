#include "runtime/exec/memory_plan.h"

#include "runtime/core/error.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

namespace pli::exec {

namespace {

constexpr int64_t kLine = 64;
constexpr size_t kMostBySize = 4096;  // blocks: by size takes time by their square

/// Blocks take whole lines; so much that these sums can't overflow.
int64_t aligned(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

std::vector<size_t> numbers(size_t count) {
  std::vector<size_t> all(count);
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

class Planner {
 public:
  Planner(std::span<const Interval> intervals, int64_t limit) : intervals_(intervals), limit_(limit) {
    for (const Interval& interval : intervals)
      if (interval.bytes > limit)
        fail(ErrorCode::kResourceLimit, "a value of {} bytes passes the limit of {}", interval.bytes, limit);
    plan_.offsets.resize(intervals.size());
  }

  /// The largest first, each at the lowest gap that fits.
  MemoryPlan by_size() {
    std::vector<size_t> order = numbers(intervals_.size());
    std::ranges::stable_sort(order, std::greater<>{}, [&](size_t i) { return intervals_[i].bytes; });
    std::vector<size_t> placed;  // in the order of their offsets
    for (const size_t i : order) {
      const Interval& interval = intervals_[i];
      const int64_t bytes = aligned(interval.bytes);
      int64_t offset = 0;
      for (const size_t other : placed) {
        const Interval& there = intervals_[other];
        if (there.last < interval.first || interval.last < there.first) continue;
        if (offset + bytes <= plan_.offsets[other]) break;
        offset = std::max(offset, plan_.offsets[other] + aligned(there.bytes));
      }
      place(i, offset);
      const auto behind =
          std::ranges::upper_bound(placed, offset, {}, [&](size_t other) { return plan_.offsets[other]; });
      placed.insert(behind, i);
    }
    return std::move(plan_);
  }

  /// Step after step, each in the smallest gap that fits, or at the end.
  MemoryPlan by_time() {
    std::vector<size_t> begins = numbers(intervals_.size()), ends = begins;
    const auto rank = [&](size_t i) { return std::pair(intervals_[i].first, -intervals_[i].bytes); };
    std::ranges::stable_sort(begins, {}, rank);
    std::ranges::stable_sort(ends, {}, [&](size_t i) { return intervals_[i].last; });
    auto ending = ends.begin();
    for (const size_t i : begins) {
      for (; ending != ends.end() && intervals_[*ending].last < intervals_[i].first; ++ending)
        free(plan_.offsets[*ending], aligned(intervals_[*ending].bytes));
      place(i, take(aligned(intervals_[i].bytes)));
    }
    return std::move(plan_);
  }

 private:
  using Gaps = std::map<int64_t, int64_t>;  // bytes by offset

  void place(size_t index, int64_t offset) {
    plan_.offsets[index] = offset;
    plan_.bytes = std::max(plan_.bytes, offset + aligned(intervals_[index].bytes));
    if (plan_.bytes > limit_)
      fail(ErrorCode::kResourceLimit, "the working memory of {} bytes passes the limit of {}", plan_.bytes, limit_);
  }

  void add(int64_t offset, int64_t bytes) {
    gaps_.emplace(offset, bytes);
    by_bytes_.emplace(bytes, offset);
  }

  void remove(Gaps::iterator gap) {
    by_bytes_.erase({gap->second, gap->first});
    gaps_.erase(gap);
  }

  int64_t take(int64_t bytes) {
    const auto found = by_bytes_.lower_bound({bytes, 0});
    if (found != by_bytes_.end()) {
      const auto [size, offset] = *found;
      remove(gaps_.find(offset));
      if (size > bytes) add(offset + bytes, size - bytes);
      return offset;
    }
    // The end, and the gap before it where there is one.
    int64_t offset = plan_.bytes;
    if (!gaps_.empty())
      if (const auto last = std::prev(gaps_.end()); last->first + last->second == plan_.bytes) {
        offset = last->first;
        remove(last);
      }
    return offset;
  }

  void free(int64_t offset, int64_t bytes) {
    if (bytes == 0) return;
    const auto next = gaps_.lower_bound(offset);
    if (next != gaps_.begin())
      if (const auto before = std::prev(next); before->first + before->second == offset) {
        offset = before->first;
        bytes += before->second;
        remove(before);
      }
    if (next != gaps_.end() && offset + bytes == next->first) {
      bytes += next->second;
      remove(next);
    }
    add(offset, bytes);
  }

  std::span<const Interval> intervals_;
  int64_t limit_;
  MemoryPlan plan_;
  Gaps gaps_;                                       // between what is needed at the moment, below the plan's bytes
  std::set<std::pair<int64_t, int64_t>> by_bytes_;  // the same: bytes, offset
};

}  // namespace

MemoryPlan plan_memory(std::span<const Interval> intervals, int64_t limit) {
  Planner planner(intervals, limit);
  return intervals.size() <= kMostBySize ? planner.by_size() : planner.by_time();
}

}  // namespace pli::exec
