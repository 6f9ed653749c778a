#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace pli::exec {

/// Memory of one call to run, all of whose pages are there.
struct WorkingBlock {
  std::shared_ptr<std::byte> memory;
  int64_t bytes = 0;
};

/// The memory that a session's runs work in, whatever plan they run: as many blocks as runs went on at one time, each
/// as large as what it has served. Thread-safe.
class WorkingMemory {
 public:
  /// A block of at least `bytes` bytes that is the caller's until it is given back.
  WorkingBlock take(int64_t bytes);
  void give_back(WorkingBlock block) noexcept;

  /// Frees the idle blocks that are larger than what take() would make for so many bytes.
  void free_above(int64_t bytes);

  int64_t idle_bytes() const;

 private:
  mutable std::mutex mutex_;
  std::vector<WorkingBlock> idle_;
};

}  // namespace pli::exec
