#pragma once

#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"
#include "runtime/compute/tensor_desc.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace pli::compute {

/// A piece of a walk: `rows` rows of `columns` elements of each operand. Operand 0 is the output, the others are the
/// inputs.
struct Tile {
  static constexpr size_t kMostOperands = 4;

  int64_t rows = 0;
  int64_t columns = 0;
  void* output = nullptr;
  std::array<const void*, kMostOperands - 1> inputs{};
  std::array<int64_t, kMostOperands> row_strides{};     // in elements
  std::array<int64_t, kMostOperands> column_strides{};  // in elements
};

/// The loops over an output and up to three inputs stretched to its dimensions as NumPy broadcasts: prepared once, for
/// any dimensions and strides. Loops that are contiguous in every operand are one; the innermost follows the output's
/// memory.
class Walk {
 public:
  /// kInternal when an input's dimensions can't be stretched to the output's.
  Walk(const TensorDesc& output, std::span<const TensorDesc> inputs);

  /// Elements of the output.
  int64_t size() const { return size_; }

  /// Calls body(const Tile&), which must not throw, on tiles of up to kTileElements elements that cover the output, in
  /// parallel. `grain`: the least number of elements that a thread is worth.
  template <class Body>
  void run(void* output, std::span<const void* const> inputs, int64_t grain, const Body& body) const {
    if (size_ == 0) return;
    const int64_t tile_size = size_ / tiles_;
    parallel_for(tiles_, grain / std::max<int64_t>(tile_size, 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(tile(i, output, inputs));
    });
  }

  static constexpr int64_t kTileElements = 4096;

 private:
  struct Loop {
    int64_t count = 1;
    std::array<int64_t, Tile::kMostOperands> strides{};  // in elements; 0: the operand does not move
  };

  Tile tile(int64_t index, void* output, std::span<const void* const> inputs) const;

  size_t operands_ = 0;
  std::array<int64_t, Tile::kMostOperands> element_bytes_{};
  std::vector<Loop> outer_;  // outermost first; all but the two innermost loops
  Loop rows_, columns_;
  int64_t tile_rows_ = 1, tile_columns_ = 1;
  int64_t tiles_ = 0;
  int64_t size_ = 0;
};

/// The grains of loops that memory bounds, and of those over exponentials and the like.
inline constexpr int64_t kLightGrain = 32768;
inline constexpr int64_t kHeavyGrain = 4096;

namespace detail {

/// How the elements of a row are reached: one after the other, always the same, or at a stride.
template <class T>
struct Moving {
  const T* data;
  T operator[](int64_t i) const { return data[i]; }
};
template <class T>
struct Fixed {
  T value;
  T operator[](int64_t) const { return value; }
};
template <class T>
struct Strided {
  const T* data;
  int64_t stride;
  T operator[](int64_t i) const { return data[i * stride]; }
};

template <bool kMoves, class T>
[[gnu::always_inline]] inline auto packed(const T* data) {
  if constexpr (kMoves)
    return Moving<T>{data};
  else
    return Fixed<T>{*data};
}

/// The output may be one of the moving inputs: an element is read before it is written.
template <class Out, class F, class... Row>
[[gnu::always_inline]] inline void packed_row(int64_t columns, Out* out, const F f, const Row... in) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) out[i] = f(in[i]...);
}

template <class Out, class F, class... Row>
[[gnu::always_inline]] inline void strided_row(int64_t columns, Out* out, int64_t stride, const F f, const Row... in) {
  for (int64_t i = 0; i < columns; ++i) out[i * stride] = f(in[i]...);
}

template <class T>
[[gnu::always_inline]] inline const T* input_row(const Tile& tile, size_t input, int64_t row) {
  return static_cast<const T*>(tile.inputs[input]) + row * tile.row_strides[input + 1];
}
template <class T>
[[gnu::always_inline]] inline T* output_row(const Tile& tile, int64_t row) {
  return static_cast<T*>(tile.output) + row * tile.row_strides[0];
}

/// Bit i of kMoving: input i moves with the columns; otherwise it is the same for a whole row.
template <unsigned kMoving, class Out, class... In, class F, size_t... I>
[[gnu::always_inline]] inline void packed_rows(const Tile& tile, const F& f, std::index_sequence<I...>) {
  for (int64_t row = 0; row < tile.rows; ++row)
    packed_row(tile.columns, output_row<Out>(tile, row), f,
               packed<(kMoving >> I & 1u) != 0>(input_row<In>(tile, I, row))...);
}

/// packed_rows for what the tile is, one of kMoving...; false when it is none of them.
template <class Out, class... In, class F, unsigned... kMoving>
[[gnu::always_inline]] inline bool try_packed(const Tile& tile, const F& f,
                                              std::integer_sequence<unsigned, kMoving...>) {
  if (tile.column_strides[0] != 1) return false;
  unsigned moving = 0;
  for (size_t i = 0; i < sizeof...(In); ++i) {
    const int64_t stride = tile.column_strides[i + 1];
    if (stride != 0 && stride != 1) return false;
    moving |= static_cast<unsigned>(stride) << i;
  }
  const std::index_sequence_for<In...> indices;
  return ((moving == kMoving && (packed_rows<kMoving, Out, In...>(tile, f, indices), true)) || ...);
}

template <class Out, class... In, class F, size_t... I>
[[gnu::always_inline]] inline void strided_rows(const Tile& tile, const F& f, std::index_sequence<I...>) {
  for (int64_t row = 0; row < tile.rows; ++row)
    strided_row(tile.columns, output_row<Out>(tile, row), tile.column_strides[0], f,
                Strided<In>{input_row<In>(tile, I, row), tile.column_strides[I + 1]}...);
}

template <class Out, class... In, class F>
[[gnu::always_inline]] inline void apply_to_tile(const Tile& tile, const F& f) {
  constexpr unsigned kEverySubset = 1u << sizeof...(In);
  if (!try_packed<Out, In...>(tile, f, std::make_integer_sequence<unsigned, kEverySubset>{}))
    strided_rows<Out, In...>(tile, f, std::index_sequence_for<In...>{});
}

/// In the instruction set of this machine, where the loop is worth several versions of the code: over float.
template <class Out, class... In, class F>
PLI_SIMD_CLONES void apply_hot(const Tile& tile, const F& f) {
  apply_to_tile<Out, In...>(tile, f);
}

}  // namespace detail

/// output = f(inputs...) for every element of the tile, whose operands hold Out and In....
template <class Out, class... In, class F>
void apply(const Tile& tile, const F& f) {
  if constexpr ((std::same_as<In, float> && ...))
    detail::apply_hot<Out, In...>(tile, f);
  else
    detail::apply_to_tile<Out, In...>(tile, f);
}

/// The same for every element of the walk. The output's memory may be that of an input that is laid out like it.
template <class Out, class... In, class F>
void apply(const Walk& walk, void* output, std::span<const void* const> inputs, int64_t grain, const F& f) {
  walk.run(output, inputs, grain, [&](const Tile& tile) { apply<Out, In...>(tile, f); });
}

}  // namespace pli::compute
