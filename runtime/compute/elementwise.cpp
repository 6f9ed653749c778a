#include "runtime/compute/elementwise.h"

#include "runtime/compute/copy.h"

#include <algorithm>
#include <functional>

namespace pli::compute {

namespace {

/// Strides of `desc` along the output's dimensions: 0 where it is stretched.
PerAxis stretched_strides(const TensorDesc& desc, const PerAxis& dims) {
  const size_t missing = dims.size() - desc.dims.size();
  if (desc.dims.size() > dims.size())
    fail(ErrorCode::kInternal, "an operand of rank {} for an output of rank {}", desc.rank(), dims.size());
  PerAxis strides(dims.size(), 0);
  for (size_t i = 0; i < desc.dims.size(); ++i) {
    const int64_t wanted = dims[missing + i];
    if (desc.dims[i] != wanted && desc.dims[i] != 1)
      fail(ErrorCode::kInternal, "dimension {} can't be stretched to {}", desc.dims[i], wanted);
    if (desc.dims[i] != 1) strides[missing + i] = desc.strides[i];
  }
  return strides;
}

}  // namespace

void TileLoop::in_place(const Tile& tile) const {
  Tile own = tile;
  own.inputs[0] = tile.output;
  own.row_strides[1] = tile.row_strides[0];
  own.column_strides[1] = tile.column_strides[0];
  (*this)(own);
}

/// Piece by piece: inputs whose elements do not lie side by side are copied to where they do, and such results back.
void TileLoop::run_gathered(const Tile& tile) const {
  constexpr int64_t kPieceElements = 512;
  alignas(64) std::byte buffers[Tile::kMostOperands][kPieceElements * sizeof(double)];
  const int64_t most_columns = std::min(tile.columns, kPieceElements);
  const int64_t most_rows = kPieceElements / most_columns;

  for (int64_t row = 0; row < tile.rows; row += most_rows) {
    for (int64_t column = 0; column < tile.columns; column += most_columns) {
      const int64_t rows = std::min(most_rows, tile.rows - row);
      const int64_t columns = std::min(most_columns, tile.columns - column);
      const auto offset = [&](size_t i) {
        return (row * tile.row_strides[i] + column * tile.column_strides[i]) * element_bytes_[i];
      };
      const auto lies_side_by_side = [&](size_t i) {
        return tile.column_strides[i] == 1 && (rows == 1 || tile.row_strides[i] == columns);
      };
      Tile piece{.rows = 1, .columns = rows * columns, .column_strides = {1, 1, 1, 1}};
      for (size_t i = 1; i < operands_; ++i) {
        const auto* from = static_cast<const std::byte*>(tile.inputs[i - 1]) + offset(i);
        piece.inputs[i - 1] = lies_side_by_side(i) ? from : buffers[i];
        const bool is_one_element = tile.row_strides[i] == 0 && tile.column_strides[i] == 0;
        if (lies_side_by_side(i) || (is_one_element && row + column > 0)) continue;  // the first piece is the largest
        StridedCopy::block_copy(element_bytes_[i])(
            from, buffers[i], {{}, {rows, tile.row_strides[i], columns}, {columns, tile.column_strides[i], 1}});
      }
      auto* to = static_cast<std::byte*>(tile.output) + offset(0);
      piece.output = lies_side_by_side(0) ? to : buffers[0];
      run_(piece, functor_.data());
      if (!lies_side_by_side(0))
        StridedCopy::block_copy(element_bytes_[0])(
            buffers[0], to, {{}, {rows, columns, tile.row_strides[0]}, {columns, 1, tile.column_strides[0]}});
    }
  }
}

Walk::Walk(const TensorDesc& output, std::span<const TensorDesc> inputs)
    : operands_(inputs.size() + 1), size_(*checked_size(output.dims)) {
  std::vector<PerAxis> strides{output.strides};
  element_bytes_[0] = bit_width(output.dtype) / 8;
  for (size_t i = 0; i < inputs.size(); ++i) {
    strides.push_back(stretched_strides(inputs[i], output.dims));
    element_bytes_[i + 1] = bit_width(inputs[i].dtype) / 8;
  }
  if (size_ == 0) return;

  std::vector<size_t> order;  // outermost first: the largest stride of the output
  for (size_t axis = 0; axis < output.dims.size(); ++axis)
    if (output.dims[axis] > 1) order.push_back(axis);
  std::ranges::stable_sort(order, std::greater(), [&](size_t axis) { return output.strides[axis]; });

  std::vector<Loop> loops;
  for (const size_t axis : order) {
    Loop loop{output.dims[axis], {}};
    for (size_t i = 0; i < operands_; ++i) loop.strides[i] = strides[i][axis];
    const bool continues = !loops.empty() && [&] {
      for (size_t i = 0; i < operands_; ++i)
        if (loops.back().strides[i] != loop.strides[i] * loop.count) return false;
      return true;
    }();
    if (continues) {
      loop.count *= loops.back().count;
      loops.back() = loop;
    } else {
      loops.push_back(loop);
    }
  }
  const auto take_innermost = [&](Loop none) {
    if (loops.empty()) return none;
    const Loop loop = loops.back();
    loops.pop_back();
    return loop;
  };
  columns_ = take_innermost({1, {1, 1, 1, 1}});
  rows_ = take_innermost({});
  outer_ = std::move(loops);

  tile_columns_ = std::min(columns_.count, kTileElements);
  tile_rows_ = std::clamp<int64_t>(kTileElements / tile_columns_, 1, rows_.count);
  tiles_ = (columns_.count + tile_columns_ - 1) / tile_columns_ * ((rows_.count + tile_rows_ - 1) / tile_rows_);
  for (const Loop& loop : outer_) tiles_ *= loop.count;
}

void Walk::run(void* output, std::span<const void* const> inputs, int64_t grain, const TileLoop& loop,
               std::span<const TileLoop> after) const {
  for_each_tile(output, inputs, grain, [&](const Tile& tile) {
    loop(tile);
    for (const TileLoop& next : after) next.in_place(tile);
  });
}

Tile Walk::tile(int64_t index, void* output, std::span<const void* const> inputs) const {
  const auto next = [&](int64_t count) {
    const int64_t position = index % count;
    index /= count;
    return position;
  };
  const int64_t column = next((columns_.count + tile_columns_ - 1) / tile_columns_) * tile_columns_;
  const int64_t row = next((rows_.count + tile_rows_ - 1) / tile_rows_) * tile_rows_;
  std::array<int64_t, Tile::kMostOperands> offsets{};
  const auto advance = [&](const Loop& loop, int64_t position) {
    for (size_t i = 0; i < operands_; ++i) offsets[i] += loop.strides[i] * position;
  };
  advance(columns_, column);
  advance(rows_, row);
  for (size_t i = outer_.size(); i-- > 0;) advance(outer_[i], next(outer_[i].count));

  Tile tile;
  tile.rows = std::min(tile_rows_, rows_.count - row);
  tile.columns = std::min(tile_columns_, columns_.count - column);
  tile.row_strides = rows_.strides;
  tile.column_strides = columns_.strides;
  tile.output = static_cast<std::byte*>(output) + offsets[0] * element_bytes_[0];
  for (size_t i = 1; i < operands_; ++i)
    tile.inputs[i - 1] = static_cast<const std::byte*>(inputs[i - 1]) + offsets[i] * element_bytes_[i];
  return tile;
}

std::unique_ptr<Kernel> make_elementwise(Walk walk, const TileLoop& loop, int64_t grain, std::vector<TileLoop> after) {
  return make_kernel([walk = std::move(walk), loop, grain, after = std::move(after)](const RunArgs& args) {
    walk.run(args.outputs[0], args.inputs, grain, loop, after);
  });
}

}  // namespace pli::compute
