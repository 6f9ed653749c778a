#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace pli {

/// Memory for `bytes` bytes, aligned to 64 bytes, that nothing has been written to. Large blocks are asked for in huge
/// pages, which systems hand out in a fraction of the time.
std::shared_ptr<std::byte> allocate(size_t bytes);

/// A part of `block`, which stays while one of its parts is used. The pages of a part that nobody uses any more are
/// given back to the system at once.
std::shared_ptr<std::byte> part_of_block(const std::shared_ptr<std::byte>& block, size_t offset, size_t bytes);

/// Gives the pages of memory that stays allocated back to the system. What is read there from then on is undefined.
void discard(std::span<const std::byte> memory);

}  // namespace pli
