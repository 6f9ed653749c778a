#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace pli {

/// Memory for `bytes` bytes, aligned to 64 bytes, that nothing has been written to. Large blocks are asked for in huge
/// pages, which systems hand out in a fraction of the time.
std::shared_ptr<std::byte> allocate(size_t bytes);

/// Gives the pages of memory that stays allocated back to the system. What is read there from then on is undefined.
void discard(std::span<const std::byte> memory);

}  // namespace pli
