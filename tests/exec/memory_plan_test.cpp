#include "runtime/exec/memory_plan.h"

#include <pli/error.h>

#include <gtest/gtest.h>

#include <random>

namespace pli::exec {
namespace {

TEST(MemoryPlan, BlocksThatLiveTogetherNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Interval> intervals;
    const auto count = random() % 40;
    for (size_t i = 0; i < count; ++i) {
      const int first = static_cast<int>(random() % 30);
      intervals.push_back({static_cast<int64_t>(random() % 5000), first, first + static_cast<int>(random() % 8)});
    }
    const MemoryPlan plan = plan_memory(intervals, 1 << 30);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(plan.offsets[i] % 64, 0);
      EXPECT_LE(plan.offsets[i] + intervals[i].bytes, plan.bytes);
      for (size_t j = 0; j < i; ++j) {
        const bool together = intervals[i].first <= intervals[j].last && intervals[j].first <= intervals[i].last;
        const bool overlap = plan.offsets[i] < plan.offsets[j] + intervals[j].bytes &&
                             plan.offsets[j] < plan.offsets[i] + intervals[i].bytes;
        EXPECT_FALSE(together && overlap) << "round " << round << ": blocks " << i << " and " << j;
      }
    }
  }
}

TEST(MemoryPlan, AChainTakesTwoBlocks) {
  std::vector<Interval> chain;
  for (int i = 0; i < 10; ++i) chain.push_back({1024, i, i + 1});
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
