#include "runtime/compute/copy.h"

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

constexpr int64_t kTileBytes = 16 * 1024;    // of a block of rows
constexpr int64_t kTileElements = 32 * 32;   // of a block of a transposition
constexpr int64_t kThreadBytes = 64 * 1024;  // the least that is worth a thread

// Elements are moved as integers of their width, whatever type the memory holds.
using Bits8 [[gnu::may_alias]] = uint8_t;
using Bits16 [[gnu::may_alias]] = uint16_t;
using Bits32 [[gnu::may_alias]] = uint32_t;
using Bits64 [[gnu::may_alias]] = uint64_t;
struct [[gnu::may_alias]] Bits128 {
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
void copy_block(const std::byte* from_bytes, std::byte* to_bytes, const Block& block) {
  const T* from = reinterpret_cast<const T*>(from_bytes);
  T* to = reinterpret_cast<T*>(to_bytes);
  const auto& [rows, columns] = block;
  const bool by_rows = columns.from == 1 || columns.from == 0 || columns.count >= rows.count;
  const Loop& outer = by_rows ? rows : columns;
  const Loop& inner = by_rows ? columns : rows;
  for (int64_t i = 0; i < outer.count; ++i)
    copy_row(from + i * outer.from, to + i * outer.to, inner.count, inner.from, inner.to);
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

StridedCopy::StridedCopy(DataType dtype, std::span<const int64_t> dims, std::span<const int64_t> from_strides,
                         std::span<const int64_t> to_strides) {
  const int64_t bytes = bit_width(dtype) / 8;
  switch (bytes) {
    case 1:
      copy_block_ = copy_block<Bits8>;
      break;
    case 2:
      copy_block_ = copy_block<Bits16>;
      break;
    case 4:
      copy_block_ = copy_block<Bits32>;
      break;
    case 8:
      copy_block_ = copy_block<Bits64>;
      break;
    case 16:
      copy_block_ = copy_block<Bits128>;
      break;
    default:
      fail(ErrorCode::kUnsupported, "elements of type {} can't be copied", to_string(dtype));
  }
  if (std::ranges::find(dims, 0) != dims.end()) return;

  std::vector<Loop> loops = merged_loops(dims, from_strides, to_strides);
  if (loops.size() > kMaxLoops) fail(ErrorCode::kUnsupported, "a copy of {} nested loops", loops.size());
  if (!loops.empty()) {
    whole_.columns = loops.back();
    loops.pop_back();
    whole_.rows = take_rows(loops, whole_.columns);
  }
  const auto& [rows, columns] = whole_;
  const bool transposes = columns.count > 1 && std::abs(columns.from) > 1 && rows.count > 1;
  const int64_t tile = transposes ? kTileElements : std::max<int64_t>(kTileBytes / bytes, 1);
  const int64_t side = transposes && rows.count >= 32 ? 32 : tile;
  tile_columns_ = std::min(columns.count, side);
  tile_rows_ = std::clamp<int64_t>(tile / tile_columns_, 1, rows.count);

  for (const Loop& loop : loops) outer_.push_back({loop.count, loop.from * bytes, loop.to * bytes});
  const auto step = [&](const Loop& loop, int64_t size) {
    outer_.push_back({(loop.count + size - 1) / size, loop.from * size * bytes, loop.to * size * bytes});
  };
  step(rows, tile_rows_);
  step(columns, tile_columns_);
  blocks_ = 1;
  for (const Loop& loop : outer_) blocks_ *= loop.count;
  grain_ = std::max<int64_t>(1, kThreadBytes / (tile_rows_ * tile_columns_ * bytes));
}

void StridedCopy::run(const void* from, void* to) const {
  parallel_for(blocks_, grain_, [&](int64_t begin, int64_t end) {
    run_blocks(static_cast<const std::byte*>(from), static_cast<std::byte*>(to), begin, end);
  });
}

void StridedCopy::run_blocks(const std::byte* from, std::byte* to, int64_t begin, int64_t end) const {
  std::array<int64_t, kMaxLoops + 2> index{};
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  int64_t rest = begin;
  for (size_t i = outer_.size(); i-- > 0;) {
    index[i] = rest % outer_[i].count;
    rest /= outer_[i].count;
    from_offset += index[i] * outer_[i].from;
    to_offset += index[i] * outer_[i].to;
  }
  const size_t last = outer_.size() - 1;
  Block block = whole_;
  for (int64_t done = begin; done < end; ++done) {
    block.rows.count = std::min(tile_rows_, whole_.rows.count - index[last - 1] * tile_rows_);
    block.columns.count = std::min(tile_columns_, whole_.columns.count - index[last] * tile_columns_);
    copy_block_(from + from_offset, to + to_offset, block);
    for (size_t i = outer_.size(); i-- > 0;) {
      from_offset += outer_[i].from;
      to_offset += outer_[i].to;
      if (++index[i] < outer_[i].count) break;
      from_offset -= outer_[i].from * index[i];
      to_offset -= outer_[i].to * index[i];
      index[i] = 0;
    }
  }
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
