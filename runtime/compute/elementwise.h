#pragma once

#include "runtime/compute/kernel.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/simd.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

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

/// output = f(inputs...) for every element of a tile, for a functor f and the element types that it was made of. What
/// is compiled for each of these is one loop over adjacent elements; others are brought side by side first. Over floats
/// it is compiled for every SIMD level, and for some inputs that stay the same along a row.
class TileLoop {
 public:
  /// f: a functor of a few numbers, which takes In... and gives Out.
  template <class Out, class... In, class F>
  static TileLoop of(const F& f);
  /// The same from a function of one input over adjacent elements.
  template <class Out, class In>
  static TileLoop of_rows(void (*f)(const In* from, Out* to, int64_t count));

  /// The output's memory may be that of an input that is laid out like it.
  void operator()(const Tile& tile) const {
    if (takes(tile))
      run_(tile, functor_.data());
    else
      run_gathered(tile);
  }

  /// For a function of one element: the tile's output is its input, too.
  void in_place(const Tile& tile) const;

 private:
  using Run = void (*)(const Tile& tile, const std::byte* functor);

  bool takes(const Tile& tile) const {
    if (tile.column_strides[0] != 1) return false;
    bool some_move = false;
    for (size_t i = 1; i < operands_; ++i) {
      const int64_t stride = tile.column_strides[i];
      if (stride != 1 && (stride != 0 || !takes_fixed_)) return false;
      some_move |= stride == 1;
    }
    return some_move;
  }
  void run_gathered(const Tile& tile) const;

  Run run_ = nullptr;
  bool takes_fixed_ = false;
  size_t operands_ = 0;
  std::array<uint8_t, Tile::kMostOperands> element_bytes_{};
  alignas(double) std::array<std::byte, 2 * sizeof(double)> functor_{};
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
  void for_each_tile(void* output, std::span<const void* const> inputs, int64_t grain, const Body& body) const {
    if (size_ == 0) return;
    const int64_t tile_size = size_ / tiles_;
    parallel_for(tiles_, grain / std::max<int64_t>(tile_size, 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(tile(i, output, inputs));
    });
  }

  /// Runs `loop` on every tile and then, while the tile is in the cache, `after` in place. The output's memory may be
  /// that of an input that is laid out like it.
  void run(void* output, std::span<const void* const> inputs, int64_t grain, const TileLoop& loop,
           std::span<const TileLoop> after = {}) const;

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

/// Walk::run over output 0 and as many inputs as the walk has.
std::unique_ptr<Kernel> make_elementwise(Walk walk, const TileLoop& loop, int64_t grain,
                                         std::vector<TileLoop> after = {});

namespace detail {

/// How the elements of a row are reached: one after the other, or always the same.
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

template <bool kMoves, class T>
[[gnu::always_inline]] inline auto operand_row(const Tile& tile, size_t input, int64_t row) {
  const T* data = static_cast<const T*>(tile.inputs[input]) + row * tile.row_strides[input + 1];
  if constexpr (kMoves)
    return Moving<T>{data};
  else
    return Fixed<T>{*data};
}

/// The output may be one of the moving inputs: an element is read before it is written.
template <class Out, class F, class... Row>
[[gnu::always_inline]] inline void run_row(int64_t columns, Out* out, const F f, const Row... in) {
#pragma omp simd
  for (int64_t i = 0; i < columns; ++i) out[i] = f(in[i]...);
}

/// Bit i of kMoving: input i moves with the columns; otherwise it is the same for a whole row.
template <unsigned kMoving, class Out, class... In, class F, size_t... I>
[[gnu::always_inline]] inline void run_rows(const Tile& tile, const F& f, std::index_sequence<I...>) {
  for (int64_t row = 0; row < tile.rows; ++row)
    run_row(tile.columns, static_cast<Out*>(tile.output) + row * tile.row_strides[0], f,
            operand_row<(kMoving >> I & 1u) != 0, In>(tile, I, row)...);
}

template <class F, class Out, class... In>
[[gnu::always_inline]] inline void run_moving(const Tile& tile, const std::byte* functor) {
  constexpr unsigned kAll = (1u << sizeof...(In)) - 1;
  run_rows<kAll, Out, In...>(tile, *reinterpret_cast<const F*>(functor), std::index_sequence_for<In...>{});
}

/// run_rows for those of the inputs moving that do, which are one at least.
template <class Out, class... In, class F, unsigned... kRest>
[[gnu::always_inline]] inline void run_subset(const Tile& tile, const F& f, std::integer_sequence<unsigned, kRest...>) {
  unsigned moving = 0;
  for (size_t i = 0; i < sizeof...(In); ++i) moving |= static_cast<unsigned>(tile.column_strides[i + 1]) << i;
  const std::index_sequence_for<In...> indices;
  static_cast<void>(((moving == kRest + 1 && (run_rows<kRest + 1, Out, In...>(tile, f, indices), true)) || ...));
}

template <class F, class Out, class... In>
[[gnu::always_inline]] inline void run_moving_or_fixed(const Tile& tile, const std::byte* functor) {
  constexpr unsigned kAll = (1u << sizeof...(In)) - 1;
  run_subset<Out, In...>(tile, *reinterpret_cast<const F*>(functor), std::make_integer_sequence<unsigned, kAll>{});
}

}  // namespace detail

template <class Out, class... In, class F>
TileLoop TileLoop::of(const F& f) {
  static_assert(std::is_trivially_copyable_v<F> && sizeof(F) <= sizeof(functor_) && alignof(F) <= alignof(double));
  TileLoop loop;
  loop.takes_fixed_ = (std::same_as<In, float> && ...);
  if constexpr ((std::same_as<In, float> && ...))
    loop.run_ = [](const Tile& tile, const std::byte* functor) {
      simd<detail::run_moving_or_fixed<F, Out, In...>>(tile, functor);
    };
  else
    loop.run_ = detail::run_moving<F, Out, In...>;
  loop.operands_ = 1 + sizeof...(In);
  loop.element_bytes_ = {sizeof(Out), sizeof(In)...};
  new (loop.functor_.data()) F(f);
  return loop;
}

template <class Out, class In>
TileLoop TileLoop::of_rows(void (*f)(const In* from, Out* to, int64_t count)) {
  using Function = decltype(f);
  TileLoop loop;
  loop.run_ = [](const Tile& tile, const std::byte* functor) {
    const Function function = *reinterpret_cast<const Function*>(functor);
    for (int64_t row = 0; row < tile.rows; ++row)
      function(static_cast<const In*>(tile.inputs[0]) + row * tile.row_strides[1],
               static_cast<Out*>(tile.output) + row * tile.row_strides[0], tile.columns);
  };
  loop.operands_ = 2;
  loop.element_bytes_ = {sizeof(Out), sizeof(In)};
  new (loop.functor_.data()) Function(f);
  return loop;
}

}  // namespace pli::compute
