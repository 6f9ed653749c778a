#include "runtime/exec/memory_plan.h"

#include <pli/error.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace pli::exec {
namespace {

std::vector<Interval> random_intervals(std::mt19937& random, size_t count, int steps) {
  std::vector<Interval> intervals;
  for (size_t i = 0; i < count; ++i) {
    const int first = static_cast<int>(random() % static_cast<unsigned>(steps));
    intervals.push_back({static_cast<int64_t>(random() % 5000), first, first + static_cast<int>(random() % 8)});
  }
  return intervals;
}

/// The most that is needed at one time: no plan takes less.
int64_t least_bytes(std::span<const Interval> intervals, int steps) {
  std::vector<int64_t> needed(static_cast<size_t>(steps) + 8, 0);
  for (const Interval& interval : intervals)
    for (int step = interval.first; step <= interval.last; ++step)
      needed[static_cast<size_t>(step)] += (interval.bytes + 63) / 64 * 64;
  return std::ranges::max(needed);
}

void expect_apart(std::span<const Interval> intervals, const MemoryPlan& plan) {
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return intervals[i].first; });
  for (size_t a = 0; a < order.size(); ++a) {
    const size_t i = order[a];
    ASSERT_EQ(plan.offsets[i] % 64, 0);
    ASSERT_LE(plan.offsets[i] + intervals[i].bytes, plan.bytes);
    for (size_t b = a + 1; b < order.size() && intervals[order[b]].first <= intervals[i].last; ++b) {
      const size_t j = order[b];
      const bool overlap = intervals[i].bytes > 0 && intervals[j].bytes > 0 &&
                           plan.offsets[i] < plan.offsets[j] + intervals[j].bytes &&
                           plan.offsets[j] < plan.offsets[i] + intervals[i].bytes;
      ASSERT_FALSE(overlap) << "blocks " << i << " and " << j;
    }
  }
}

TEST(MemoryPlan, BlocksThatLiveTogetherNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto intervals = random_intervals(random, random() % 40, 30);
    SCOPED_TRACE(round);
    expect_apart(intervals, plan_memory(intervals, 1 << 30));
  }
}

TEST(MemoryPlan, ThousandsOfBlocksTakeLittleMoreThanTheyHaveTo) {
  std::mt19937 random(8);
  for (const int steps : {2000, 40000}) {
    const auto intervals = random_intervals(random, 40000, steps);
    const MemoryPlan plan = plan_memory(intervals, int64_t{1} << 40);
    SCOPED_TRACE(steps);
    expect_apart(intervals, plan);
    EXPECT_LE(plan.bytes, least_bytes(intervals, steps) * 5 / 4);
  }
}

TEST(MemoryPlan, ThousandsOfBlocksAtOneTimeLieSideBySide) {
  std::vector<Interval> together(10000, {100, 0, 1});
  EXPECT_EQ(plan_memory(together, 1 << 30).bytes, 10000 * 128);
}

TEST(MemoryPlan, AChainTakesTwoBlocks) {
  std::vector<Interval> chain;
  for (int i = 0; i < 10; ++i) chain.push_back({1024, i, i + 1});
  EXPECT_EQ(plan_memory(chain, 1 << 20).bytes, 2048);
  for (int i = 10; i < 10000; ++i) chain.push_back({1024, i, i + 1});
  EXPECT_EQ(plan_memory(chain, 1 << 20).bytes, 2048);
}

TEST(MemoryPlan, StopsAtTheLimit) {
  const std::vector<Interval> intervals{{600, 0, 1}, {600, 1, 2}};
  EXPECT_NO_THROW(plan_memory(intervals, 1280));
  try {
    plan_memory(intervals, 1200);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kResourceLimit);
  }
}

}  // namespace
}  // namespace pli::exec
