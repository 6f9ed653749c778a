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
  });
}

}  // namespace

WorkingBlock WorkingMemory::take(int64_t bytes) {
  int64_t wanted = bytes;
  {
    const std::scoped_lock lock(mutex_);
    const auto smallest = [](const WorkingBlock& a, const WorkingBlock& b) { return a.bytes < b.bytes; };
    const auto found = std::ranges::find_if(idle_, [&](const WorkingBlock& block) { return block.bytes >= bytes; });
    const auto taken = found != idle_.end() ? found : std::ranges::min_element(idle_, smallest);
    if (taken != idle_.end()) {
      WorkingBlock block = std::move(*taken);
      idle_.erase(taken);
      if (block.bytes >= bytes) return block;
      // Freed here, one that is too small makes room for the next: with more than is needed, so that a series of shapes
      // each of which is a little larger than the one before does not take a new one every time.
      wanted = std::max(bytes, block.bytes + block.bytes / 4);
    }
  }
  WorkingBlock block{allocate(static_cast<size_t>(wanted)), wanted};
  touch(block.memory.get(), wanted);
  return block;
}

void WorkingMemory::give_back(WorkingBlock block) {
  const std::scoped_lock lock(mutex_);
  idle_.push_back(std::move(block));
}

void WorkingMemory::free_above(int64_t bytes) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(idle_, [&](const WorkingBlock& block) { return block.bytes > bytes; });
}

int64_t WorkingMemory::idle_bytes() const {
  const std::scoped_lock lock(mutex_);
  int64_t sum = 0;
  for (const WorkingBlock& block : idle_) sum += block.bytes;
  return sum;
}

}  // namespace pli::exec
