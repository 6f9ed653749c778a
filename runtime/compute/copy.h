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

  static constexpr size_t kMaxLoops = 32;

  /// A loop: its count and by how many elements (a tile of a loop: bytes) each side advances.
  struct Loop {
    int64_t count = 1;
    int64_t from = 0;
    int64_t to = 0;
  };
  /// The two innermost loops, or a tile of them. The columns have the destination's smallest stride.
  struct Block {
    Loop rows;
    Loop columns;
  };

 private:
  using BlockFn = void (*)(const std::byte* from, std::byte* to, const Block& block);

  void run_blocks(const std::byte* from, std::byte* to, int64_t begin, int64_t end) const;

  BlockFn copy_block_ = nullptr;
  Block whole_;  // the loops that the tiles cover
  int64_t tile_rows_ = 1;
  int64_t tile_columns_ = 1;
  std::vector<Loop> outer_;  // in bytes; the last two step from tile to tile: rows, columns
  int64_t blocks_ = 0;
  int64_t grain_ = 1;
};

/// Copies input 0 to output 0: equal dimensions and types, any two layouts.
std::unique_ptr<Kernel> make_copy(const TensorDesc& from, const TensorDesc& to);

}  // namespace pli::compute
