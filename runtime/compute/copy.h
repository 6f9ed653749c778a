#pragma once

#include "runtime/compute/kernel.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pli::compute {

/// A copy between two strided arrays, prepared once: dimensions that are contiguous together are merged, what is left
/// runs as rows or as tiles of a transposition, in parallel. Immutable.
class StridedCopy {
 public:
  /// Strides in elements. The source's may be 0 (repeated) or negative (reversed); the destination's are positive and
  /// no two elements share a place. kUnsupported when more than kMaxLoops dimensions are left after merging.
  StridedCopy(DataType dtype, std::span<const int64_t> dims, std::span<const int64_t> from_strides,
              std::span<const int64_t> to_strides);

  /// Copies; both addresses are those of the element at index (0, ..., 0). The arrays do not overlap.
  void run(const void* from, void* to) const;

  /// The work as blocks of similar size, for loops that run over several copies at once.
  int64_t blocks() const { return blocks_; }
  /// How many blocks a thread should get at least.
  int64_t grain() const { return grain_; }
  void run_blocks(const void* from, void* to, int64_t begin, int64_t end) const;

  static constexpr size_t kMaxLoops = 32;

  /// A loop: its count and by how many elements (a loop over blocks: bytes) each side advances.
  struct Loop {
    int64_t count = 1;
    int64_t from = 0;
    int64_t to = 0;
  };
  /// The innermost loops, or a part of them. The columns have the destination's smallest stride.
  struct Block {
    Loop planes;
    Loop rows;
    Loop columns;
  };

  /// Copies a block of elements of 1, 2, 4, 8 or 16 bytes. kUnsupported for other widths.
  using BlockFn = void (*)(const std::byte* from, std::byte* to, const Block& block);
  static BlockFn block_copy(int64_t element_bytes);

 private:
  BlockFn copy_block_ = nullptr;
  Block whole_;              // the loops that blocks are parts of
  Block part_;               // their counts in a full block
  std::vector<Loop> outer_;  // in bytes; the last three step from block to block: planes, rows, columns
  int64_t blocks_ = 0;
  int64_t grain_ = 1;
};

/// Several copies between the same or other tensors as one loop over all their blocks: a join or a split.
struct CopyPiece {
  StridedCopy copy;
  size_t from = 0;          // number of the input
  size_t to = 0;            // number of the output
  int64_t from_offset = 0;  // bytes
  int64_t to_offset = 0;
};
std::unique_ptr<Kernel> make_copies(std::vector<CopyPiece> pieces);

/// Copies input 0 to output 0: equal dimensions and types, any two layouts.
std::unique_ptr<Kernel> make_copy(const TensorDesc& from, const TensorDesc& to);

}  // namespace pli::compute
