#pragma once

#include "runtime/compute/sliced.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>

namespace pli::compute {

/// Numbers from 0 on, of which every thread has adjacent ones as its own share, front to back, so that what it has made
/// for one helps with the next. Who has none left takes the back half of the largest share that is left.
class WorkShares {
 public:
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };
  static constexpr int64_t kMost = INT32_MAX;  // numbers

  WorkShares(std::span<Share> shares, int64_t count) : shares_(shares) {
    const auto parts = static_cast<int64_t>(shares.size());
    for (int64_t i = 0; i < parts; ++i)
      shares[static_cast<size_t>(i)].left.store(packed(range_of_part(count, i, parts)), std::memory_order_relaxed);
  }

  /// The next numbers for the thread that has share `own`, at most `most`, none that another call gave. Empty: all are
  /// given.
  Range take(size_t own, int64_t most) {
    for (;;) {
      std::atomic<uint64_t>& left = shares_[own].left;
      uint64_t before = left.load(std::memory_order_relaxed);
      for (Range range = unpacked(before); range.size() > 0; range = unpacked(before)) {
        const Range taken{range.begin, std::min(range.begin + most, range.end)};
        if (left.compare_exchange_weak(before, packed({taken.end, range.end}), std::memory_order_relaxed)) return taken;
      }
      if (!take_over(own)) return {0, 0};
    }
  }

 private:
  /// Whether anybody had something left.
  bool take_over(size_t own) {
    for (;;) {
      Share* largest = nullptr;
      uint64_t before = 0;
      for (Share& share : shares_) {
        const uint64_t left = share.left.load(std::memory_order_relaxed);
        if (unpacked(left).size() > unpacked(before).size()) largest = &share, before = left;
      }
      if (!largest) return false;
      const Range range = unpacked(before);
      const int64_t middle = range.begin + range.size() / 2;
      if (!largest->left.compare_exchange_strong(before, packed({range.begin, middle}), std::memory_order_relaxed))
        continue;
      shares_[own].left.store(packed({middle, range.end}), std::memory_order_relaxed);
      return true;
    }
  }

  static uint64_t packed(Range range) {
    return static_cast<uint64_t>(range.begin) << 32 | static_cast<uint64_t>(range.end);
  }
  static Range unpacked(uint64_t range) {
    return {static_cast<int64_t>(range >> 32), static_cast<int64_t>(range & UINT32_MAX)};
  }

  std::span<Share> shares_;
};

}  // namespace pli::compute
