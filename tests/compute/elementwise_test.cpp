#include "runtime/compute/elementwise.h"

#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>

namespace pli::compute {
namespace {

template <class T>
struct Operand {
  TensorDesc desc;
  std::vector<T> memory;
};

template <class T>
constexpr T kUntouched = T(-123);

/// `dims` in a random order of axes, with gaps between some of them.
template <class T>
Operand<T> random_operand(const Shape& dims, std::mt19937& random) {
  std::vector<size_t> order(dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::shuffle(order, random);
  Operand<T> operand{{dtype_of<T>(), dims, std::vector<int64_t>(dims.size())}, {}};
  int64_t stride = random() % 4 == 0 ? 2 : 1;
  for (const size_t axis : order) {
    operand.desc.strides[axis] = stride;
    stride *= dims[axis];
    if (random() % 4 == 0) stride += 3;
  }
  operand.memory.resize(static_cast<size_t>(span_bytes(operand.desc)) / sizeof(T));
  for (T& value : operand.memory) value = static_cast<T>(static_cast<double>(random() % 1000) / 32);  // exact
  return operand;
}

/// The operand's element at an index of the output, stretched as NumPy does.
template <class T>
T element(const Operand<T>& operand, const Shape& index) {
  const size_t missing = index.size() - operand.desc.dims.size();
  int64_t at = 0;
  for (size_t i = 0; i < operand.desc.dims.size(); ++i)
    if (operand.desc.dims[i] > 1) at += index[missing + i] * operand.desc.strides[i];
  return operand.memory[static_cast<size_t>(at)];
}

/// Some dimensions of `dims` made 1, some leading ones left out.
Shape stretchable(const Shape& dims, std::mt19937& random) {
  Shape result = dims;
  for (int64_t& dim : result)
    if (random() % 3 == 0) dim = 1;
  result.erase(result.begin(),
               result.begin() + static_cast<std::ptrdiff_t>(random() % 4 == 0 ? random() % (dims.size() + 1) : 0));
  return result;
}

struct Mix {
  template <class A, class B, class C>
  A operator()(A a, B b, C c) const {
    return static_cast<A>(a + 2 * b - 4 * c);
  }
};

template <class A, class B = A, class C = A>
void check(const Shape& dims, const std::array<Shape, 3>& shapes, std::mt19937& random) {
  Operand<A> output = random_operand<A>(dims, random);
  std::ranges::fill(output.memory, kUntouched<A>);
  const auto a = random_operand<A>(shapes[0], random);
  const auto b = random_operand<B>(shapes[1], random);
  const auto c = random_operand<C>(shapes[2], random);
  const std::array descs{a.desc, b.desc, c.desc};
  const std::array<const void*, 3> addresses{a.memory.data(), b.memory.data(), c.memory.data()};
  Walk(output.desc, descs).run(output.memory.data(), addresses, 100, TileLoop::of<A, A, B, C>(Mix{}));

  std::vector<bool> written(output.memory.size());
  Shape index(dims.size(), 0);
  const int64_t count = output.desc.size();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    int64_t at = 0;
    for (size_t axis = dims.size(); axis-- > 0; rest /= dims[axis]) {
      index[axis] = rest % dims[axis];
      at += index[axis] * output.desc.strides[axis];
    }
    ASSERT_EQ(output.memory[static_cast<size_t>(at)], Mix{}(element(a, index), element(b, index), element(c, index)))
        << to_string(dims) << " element " << i;
    written[static_cast<size_t>(at)] = true;
  }
  for (size_t at = 0; at < written.size(); ++at)
    ASSERT_TRUE(written[at] || output.memory[at] == kUntouched<A>) << "a gap was written to";
}

template <class A, class B = A, class C = A>
void check_random_shapes(int rounds) {
  std::mt19937 random(11);
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(round);
    ThreadPool pool(1 + round % 3);
    const ThreadScope scope(&pool);
    Shape dims(random() % 13);
    int64_t size = 1;
    for (int64_t& dim : dims) {
      dim = 1 + static_cast<int64_t>(random() % (size > 1000 ? 2 : 6));
      size *= dim;
    }
    check<A, B, C>(dims, {stretchable(dims, random), dims, stretchable(dims, random)}, random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Walk, TakesAnyDimensionsStridesAndBroadcasting) {
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    const SimdLimit limit(level);
    check_random_shapes<float>(120);
  }
}

TEST(Walk, TakesElementsOfDifferentWidths) {
  check_random_shapes<double>(60);
  check_random_shapes<int64_t, uint8_t, int16_t>(60);
  check_random_shapes<uint8_t, int32_t, uint8_t>(60);
}

template <class A, class B = A, class C = A>
void check_tiling() {
  std::mt19937 random(12);
  ThreadPool pool(2);
  const ThreadScope scope(&pool);
  check<A, B, C>({3 * Walk::kTileElements + 17}, {Shape{3 * Walk::kTileElements + 17}, Shape{1}, Shape{}}, random);
  check<A, B, C>({5, 9001}, {Shape{5, 9001}, Shape{9001}, Shape{5, 1}}, random);
  check<A, B, C>({9001, 5}, {Shape{9001, 5}, Shape{5}, Shape{9001, 1}}, random);
  check<A, B, C>({2, 7, 1300, 3}, {Shape{2, 7, 1300, 3}, Shape{7, 1, 1}, Shape{2, 7, 1, 1}}, random);
}

TEST(Walk, SplitsLongRowsAndManyRowsIntoTiles) {
  check_tiling<float>();
  check_tiling<int32_t, uint8_t, double>();
}

TEST(Walk, CoversEveryElementOnceInBoundedTiles) {
  ThreadPool pool(2);
  const ThreadScope scope(&pool);
  const TensorDesc output = channels_last(DataType::kFloat32, {2, 24, 31, 29});
  const std::array inputs{output, plain(DataType::kFloat32, {2, 24, 1, 1})};
  const Walk walk(output, inputs);
  ASSERT_EQ(walk.size(), 2 * 24 * 31 * 29);
  std::vector<float> memory(static_cast<size_t>(walk.size()), 0);
  const std::array<const void*, 2> addresses{memory.data(), memory.data()};
  std::atomic<int64_t> longest = 0;
  walk.for_each_tile(memory.data(), addresses, 1, [&](const Tile& tile) {
    longest = std::max(longest.load(), tile.rows * tile.columns);
    for (int64_t row = 0; row < tile.rows; ++row)
      for (int64_t column = 0; column < tile.columns; ++column)
        static_cast<float*>(tile.output)[row * tile.row_strides[0] + column * tile.column_strides[0]] += 1;
  });
  EXPECT_EQ(std::ranges::count(memory, 1.0f), walk.size());
  EXPECT_LE(longest, Walk::kTileElements);
  EXPECT_GT(longest, Walk::kTileElements / 2) << "rows of 24 elements should share a tile";
}

TEST(Walk, DoesNothingForAnEmptyOutput) {
  const TensorDesc output = plain(DataType::kFloat32, {3, 0, 2});
  const std::array inputs{output};
  bool called = false;
  const std::array<const void*, 1> none{nullptr};
  Walk(output, inputs).for_each_tile(nullptr, none, 1, [&](const Tile&) { called = true; });
  EXPECT_FALSE(called);
}

TEST(Walk, RefusesOperandsThatCanNotBeStretched) {
  const TensorDesc output = plain(DataType::kFloat32, {3, 4});
  EXPECT_THROW(Walk(output, std::array{plain(DataType::kFloat32, {3})}), Error);
  EXPECT_THROW(Walk(output, std::array{plain(DataType::kFloat32, {2, 3, 4})}), Error);
}

TEST(Walk, WritesOverAnInputOfTheSameLayout) {
  std::vector<float> memory(10000);
  std::iota(memory.begin(), memory.end(), 0.0f);
  const TensorDesc desc = plain(DataType::kFloat32, {10000});
  const std::array<const void*, 2> addresses{memory.data(), memory.data()};
  const auto loop = TileLoop::of<float, float, float>([](float a, float b) { return a + 2 * b; });
  Walk(desc, std::array{desc, desc}).run(memory.data(), addresses, 1, loop);
  for (size_t i = 0; i < memory.size(); ++i) ASSERT_EQ(memory[i], 3.0f * static_cast<float>(i));
}

}  // namespace
}  // namespace pli::compute
