#include "runtime/exec/working_memory.h"

#include "runtime/compute/parallel.h"
#include "runtime/core/memory.h"

#include <algorithm>

namespace pli::exec {

namespace {

/// Has the system find the pages, by the threads that will use them, so that no run has to wait for it.
void touch(std::byte* memory, int64_t bytes) {
  constexpr int64_t kPage = 4096, kWorthAThread = int64_t{2} << 20;
  compute::parallel_for(bytes, kWorthAThread, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += kPage) memory[at] = std::byte{0};
    memory[end - 1] = std::byte{0};
  });
}

int64_t with_growth(int64_t bytes) { return bytes + bytes / 4; }

}  // namespace

WorkingBlock WorkingMemory::take(int64_t bytes) {
  int64_t wanted = bytes;
  {
    const std::scoped_lock lock(mutex_);
    // The smallest that is large enough, or the smallest of all.
    const auto rank = [&](const WorkingBlock& block) { return std::pair(block.bytes < bytes, block.bytes); };
    const auto taken = std::ranges::min_element(idle_, {}, rank);
    if (taken != idle_.end()) {
      WorkingBlock block = std::move(*taken);
      idle_.erase(taken);
      if (block.bytes >= bytes) return block;
      // Freed here, one that is too small makes room for the next: with more than is needed, so that a series of shapes
      // each of which is a little larger than the one before does not take a new one every time.
      wanted = std::max(bytes, with_growth(block.bytes));
    }
  }
  WorkingBlock block{allocate(static_cast<size_t>(wanted)), wanted};
  touch(block.memory.get(), wanted);
  return block;
}

void WorkingMemory::give_back(WorkingBlock block) noexcept {
  try {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(block));
  } catch (...) {  // there is no memory to remember it: it is freed
  }
}

void WorkingMemory::free_above(int64_t bytes) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(idle_, [&](const WorkingBlock& block) { return block.bytes > with_growth(bytes); });
}

int64_t WorkingMemory::idle_bytes() const {
  const std::scoped_lock lock(mutex_);
  int64_t sum = 0;
  for (const WorkingBlock& block : idle_) sum += block.bytes;
  return sum;
}

}  // namespace pli::exec
