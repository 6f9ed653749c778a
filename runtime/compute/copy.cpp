#include "runtime/compute/copy.h"

#include "runtime/compute/interleave.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/error.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace pli::compute {

namespace {

using Loop = StridedCopy::Loop;
using Block = StridedCopy::Block;

constexpr int64_t kTileBytes = 16 * 1024;  // of a block of rows
constexpr int64_t kTileSide = 32;          // of a block of a transposition
constexpr int64_t kTileElements = kTileSide * kTileSide;
constexpr int64_t kFewColumns = InterleavedRows::kMostParts;
constexpr int64_t kThreadBytes = 64 * 1024;  // the least that is worth a thread

// Elements are moved as integers of their width; whatever else the memory holds is never seen in this file.
struct Bits128 {
  uint64_t low, high;
};

template <class T>
void copy_row(const T* from, T* to, int64_t count, int64_t from_stride, int64_t to_stride) {
  if (to_stride == 1 && from_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  } else if (to_stride == 1 && from_stride == 0) {
    std::fill_n(to, count, *from);
  } else if (to_stride == 1) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * from_stride];
  } else if (from_stride == 1) {
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i];
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

template <class T>
void copy_plane(const T* from, T* to, const Block& block) {
  const auto& [planes, rows, columns] = block;
  if (columns.count <= kFewColumns && rows.from == 1 && columns.to == 1 && rows.to == columns.count)
    if (const InterleaveFn interleave = interleave_of(8 * sizeof(T), static_cast<size_t>(columns.count))) {
      InterleavedRows side_by_side{{}, {}, to, 0, 1, rows.count};
      for (int64_t i = 0; i < columns.count; ++i) side_by_side.from[static_cast<size_t>(i)] = from + i * columns.from;
      return interleave(side_by_side);
    }
  const bool by_rows = columns.from == 1 || columns.from == 0 || columns.count >= rows.count;
  const Loop& outer = by_rows ? rows : columns;
  const Loop& inner = by_rows ? columns : rows;
  for (int64_t i = 0; i < outer.count; ++i)
    copy_row(from + i * outer.from, to + i * outer.to, inner.count, inner.from, inner.to);
}

template <class T>
void copy_block(const std::byte* from, std::byte* to, const Block& block) {
  for (int64_t i = 0; i < block.planes.count; ++i)
    copy_plane(reinterpret_cast<const T*>(from) + i * block.planes.from, reinterpret_cast<T*>(to) + i * block.planes.to,
               block);
}

/// The loops in the order in which the destination lies in memory, outermost first, merged where both sides allow it.
std::vector<Loop> merged_loops(std::span<const int64_t> dims, std::span<const int64_t> from,
                               std::span<const int64_t> to) {
  std::vector<Loop> loops;
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] != 1) loops.push_back({dims[i], from[i], to[i]});
  std::ranges::stable_sort(loops, std::greater(), &Loop::to);
  std::vector<Loop> merged;
  for (const Loop& loop : loops) {
    Loop* outer = merged.empty() ? nullptr : &merged.back();
    if (outer && outer->from == loop.from * loop.count && outer->to == loop.to * loop.count)
      *outer = {outer->count * loop.count, loop.from, loop.to};
    else
      merged.push_back(loop);
  }
  return merged;
}

/// Takes the loop that goes best with `columns` out of `loops`: the one along which the source is contiguous, if the
/// columns are not, else the innermost.
Loop take_rows(std::vector<Loop>& loops, const Loop& columns) {
  if (loops.empty()) return {};
  auto rows = loops.end() - 1;
  const auto reach = [](const Loop& loop) { return loop.from == 0 ? INT64_MAX : std::abs(loop.from); };
  const auto closest = std::ranges::min_element(loops, {}, reach);
  if (columns.from != 0 && reach(*closest) < reach(columns)) rows = closest;
  const Loop taken = *rows;
  loops.erase(rows);
  return taken;
}

}  // namespace

StridedCopy::BlockFn StridedCopy::block_copy(int64_t element_bytes) {
  switch (element_bytes) {
    case 1:
      return copy_block<uint8_t>;
    case 2:
      return copy_block<uint16_t>;
    case 4:
      return copy_block<uint32_t>;
    case 8:
      return copy_block<uint64_t>;
    case 16:
      return copy_block<Bits128>;
    default:
      fail(ErrorCode::kUnsupported, "elements of {} bytes can't be copied", element_bytes);
  }
}

StridedCopy::StridedCopy(DataType dtype, std::span<const int64_t> dims, std::span<const int64_t> from_strides,
                         std::span<const int64_t> to_strides) {
  if (bit_width(dtype) % 8 != 0 || bit_width(dtype) == 0)
    fail(ErrorCode::kUnsupported, "elements of type {} can't be copied", to_string(dtype));
  const int64_t bytes = bit_width(dtype) / 8;
  copy_block_ = block_copy(bytes);
  if (std::ranges::find(dims, 0) != dims.end()) return;

  std::vector<Loop> loops = merged_loops(dims, from_strides, to_strides);
  if (loops.size() > kMaxLoops) fail(ErrorCode::kUnsupported, "a copy of {} nested loops", loops.size());
  if (!loops.empty()) {
    whole_.columns = loops.back();
    loops.pop_back();
    whole_.rows = take_rows(loops, whole_.columns);
  }
  if (!loops.empty()) {
    whole_.planes = loops.back();
    loops.pop_back();
  }
  const auto& [planes, rows, columns] = whole_;
  const bool transposes = columns.count > 1 && std::abs(columns.from) > 1 && rows.count > 1;
  const int64_t elements = transposes ? kTileElements : std::max<int64_t>(kTileBytes / bytes, 1);
  const auto part = [](const Loop& loop, int64_t most) { return std::clamp<int64_t>(most, 1, loop.count); };
  part_.columns.count = part(columns, transposes && rows.count >= kTileSide ? kTileSide : elements);
  part_.rows.count = part(rows, elements / part_.columns.count);
  part_.planes.count = part(planes, elements / (part_.columns.count * part_.rows.count));

  for (const Loop& loop : loops) outer_.push_back({loop.count, loop.from * bytes, loop.to * bytes});
  const auto step = [&](const Loop& loop, int64_t size) {
    outer_.push_back({(loop.count + size - 1) / size, loop.from * size * bytes, loop.to * size * bytes});
  };
  step(planes, part_.planes.count);
  step(rows, part_.rows.count);
  step(columns, part_.columns.count);
  blocks_ = 1;
  for (const Loop& loop : outer_) blocks_ *= loop.count;
  grain_ = std::max<int64_t>(1, kThreadBytes / (part_.planes.count * part_.rows.count * part_.columns.count * bytes));
}

void StridedCopy::run(const void* from, void* to) const {
  parallel_for(blocks_, grain_, [&](int64_t begin, int64_t end) { run_blocks(from, to, begin, end); });
}

void StridedCopy::run_blocks(const void* from_origin, void* to_origin, int64_t begin, int64_t end) const {
  const auto* from = static_cast<const std::byte*>(from_origin);
  auto* to = static_cast<std::byte*>(to_origin);
  std::array<int64_t, kMaxLoops + 3> index{};
  int64_t rest = begin;
  for (size_t i = outer_.size(); i-- > 0;) {
    index[i] = rest % outer_[i].count;
    rest /= outer_[i].count;
    from += index[i] * outer_[i].from;
    to += index[i] * outer_[i].to;
  }
  const int64_t* const last = index.data() + outer_.size() - 3;
  Block block = whole_;
  for (int64_t done = begin; done < end; ++done) {
    block.planes.count = std::min(part_.planes.count, whole_.planes.count - last[0] * part_.planes.count);
    block.rows.count = std::min(part_.rows.count, whole_.rows.count - last[1] * part_.rows.count);
    block.columns.count = std::min(part_.columns.count, whole_.columns.count - last[2] * part_.columns.count);
    copy_block_(from, to, block);
    for (size_t i = outer_.size(); i-- > 0;) {
      from += outer_[i].from;
      to += outer_[i].to;
      if (++index[i] < outer_[i].count) break;
      from -= outer_[i].from * index[i];
      to -= outer_[i].to * index[i];
      index[i] = 0;
    }
  }
}

std::unique_ptr<Kernel> make_copies(std::vector<CopyPiece> pieces) {
  int64_t blocks = 0, fewest = INT64_MAX, grain = 1;
  for (const CopyPiece& piece : pieces) {
    blocks += piece.copy.blocks();
    fewest = std::min(fewest, piece.copy.blocks());
    grain = std::max(grain, piece.copy.grain());
  }
  // Where it can be, a thread takes a part of each piece: it has just made that part, if pieces lie side by side.
  const bool divides_each = fewest >= 2 * threads_here();
  return make_kernel([pieces = std::move(pieces), blocks, grain, divides_each](const RunArgs& args) {
    parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
      int64_t first = 0;  // block of the piece
      for (const CopyPiece& piece : pieces) {
        const int64_t own = piece.copy.blocks();
        const int64_t from = divides_each ? begin * own / blocks : std::max(begin - first, int64_t{0});
        const int64_t to = divides_each ? end * own / blocks : std::min(end - first, own);
        if (from < to)
          piece.copy.run_blocks(args.input<std::byte>(piece.from) + piece.from_offset,
                                args.output<std::byte>(piece.to) + piece.to_offset, from, to);
        first += own;
      }
    });
  });
}

std::unique_ptr<Kernel> make_copy(const TensorDesc& from, const TensorDesc& to) {
  if (from.dims != to.dims || from.dtype != to.dtype)
    fail(ErrorCode::kInternal, "a copy of {} {} to {} {}", to_string(from.dtype), to_string(from.dims),
         to_string(to.dtype), to_string(to.dims));
  return make_kernel([copy = StridedCopy(from.dtype, from.dims, from.strides, to.strides)](const RunArgs& args) {
    copy.run(args.inputs[0], args.outputs[0]);
  });
}

}  // namespace pli::compute
