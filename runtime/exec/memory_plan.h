#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pli::exec {

/// A block of memory that is needed from step `first` to step `last`, both included.
struct Interval {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // parallel to the intervals, multiples of 64
  int64_t bytes = 0;             // of the arena
};

/// Places blocks so that two that are needed at the same time never overlap: the largest first, each at the lowest gap
/// that fits ("greedy by size", Pisarchyk and Lee, arXiv:2001.03288); thousands in the order of time, each in the
/// smallest gap that fits. kResourceLimit when the arena passes `limit` bytes.
MemoryPlan plan_memory(std::span<const Interval> intervals, int64_t limit);

}  // namespace pli::exec
