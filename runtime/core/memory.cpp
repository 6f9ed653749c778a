#include "runtime/core/memory.h"

#include <sys/mman.h>

#include <algorithm>
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

}  // namespace pli
