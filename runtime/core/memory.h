#pragma once

#include <cstddef>
#include <memory>

namespace pli {

/// Memory for `bytes` bytes, aligned to 64 bytes, that nothing has been written to. Large blocks are asked for in huge
/// pages, which systems hand out in a fraction of the time.
std::shared_ptr<std::byte> allocate(size_t bytes);

}  // namespace pli
