#include "runtime/core/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

namespace pli {

std::shared_ptr<std::byte> allocate(size_t bytes) {
  constexpr size_t kLine = 64, kHugePage = size_t{2} << 20;
  const std::align_val_t alignment{bytes >= kHugePage ? kHugePage : kLine};
  void* memory = ::operator new(std::max<size_t>(bytes, 1), alignment);
  // The rest behind whole huge pages is not to take one. Where there are none, the pages are as ever.
  if (bytes >= kHugePage) (void)::madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [alignment](std::byte* p) { ::operator delete(p, alignment); }};
}

std::shared_ptr<std::byte> part_of_block(const std::shared_ptr<std::byte>& block, size_t offset, size_t bytes) {
  return {block.get() + offset, [block, bytes](std::byte* p) {
            if (block.use_count() > 1) discard({p, bytes});
          }};
}

void discard(std::span<const std::byte> memory) {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(memory.data());
  const uintptr_t first = (begin + page - 1) / page * page;  // a page that something else lies in stays
  const uintptr_t end = (begin + memory.size()) / page * page;
  // Where the system declines, the memory is merely not free.
  if (first < end) (void)::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace pli
