#include "runtime/compute/copy.h"

#include "runtime/compute/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace pli::compute {
namespace {

struct Strided {
  std::vector<int64_t> strides;
  int64_t origin = 0;  // of the element at index (0, ..., 0)
  int64_t extent = 1;  // elements of the memory
};

/// Dense strides of a random permutation, some dimensions padded as if the array were a slice of a larger one. A source
/// may also repeat or reverse dimensions.
Strided random_layout(std::mt19937& rng, const Shape& dims, bool source) {
  std::vector<size_t> order(dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (rng() % 3 != 0) std::ranges::shuffle(order, rng);
  Strided layout{std::vector<int64_t>(dims.size())};
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    layout.strides[*axis] = layout.extent;
    layout.extent *= std::max<int64_t>(dims[*axis], 1) + (rng() % 4 == 0 ? static_cast<int64_t>(rng() % 3) : 0);
    if (source && rng() % 8 == 0) layout.strides[*axis] = 0;
    if (source && rng() % 8 == 0 && dims[*axis] > 0) {
      layout.origin += layout.strides[*axis] * (dims[*axis] - 1);
      layout.strides[*axis] *= -1;
    }
  }
  return layout;
}

/// Copies index by index what `run` should have copied.
template <class T>
void copy_naive(const Shape& dims, const Strided& from, const Strided& to, const std::vector<T>& source,
                std::vector<T>& result) {
  const int64_t size = *checked_size(dims);
  for (int64_t flat = 0; flat < size; ++flat) {
    int64_t rest = flat, at = from.origin, put = to.origin;
    for (size_t i = dims.size(); i-- > 0;) {
      at += rest % dims[i] * from.strides[i];
      put += rest % dims[i] * to.strides[i];
      rest /= dims[i];
    }
    result[static_cast<size_t>(put)] = source[static_cast<size_t>(at)];
  }
}

template <class T>
void expect_copy(DataType dtype, const Shape& dims, const Strided& from, const Strided& to, std::mt19937& rng) {
  std::vector<T> source(static_cast<size_t>(from.extent));
  for (T& element : source)
    for (size_t byte = 0; byte < sizeof(T); ++byte)
      reinterpret_cast<unsigned char*>(&element)[byte] = static_cast<unsigned char>(rng());
  std::vector<T> expected(static_cast<size_t>(to.extent), T{});
  std::vector<T> found = expected;
  copy_naive(dims, from, to, source, expected);
  StridedCopy(dtype, dims, from.strides, to.strides).run(source.data() + from.origin, found.data() + to.origin);
  EXPECT_EQ(expected, found) << to_string(dtype) << " " << to_string(dims) << " from " << to_string(from.strides)
                             << " to " << to_string(to.strides);
}

void expect_copy(DataType dtype, const Shape& dims, const Strided& from, const Strided& to, std::mt19937& rng) {
  switch (bit_width(dtype)) {
    case 8:
      return expect_copy<uint8_t>(dtype, dims, from, to, rng);
    case 16:
      return expect_copy<uint16_t>(dtype, dims, from, to, rng);
    case 32:
      return expect_copy<uint32_t>(dtype, dims, from, to, rng);
    case 64:
      return expect_copy<uint64_t>(dtype, dims, from, to, rng);
    default:
      return expect_copy<std::array<uint64_t, 2>>(dtype, dims, from, to, rng);
  }
}

TEST(StridedCopy, AgreesWithIndexByIndexOnRandomLayouts) {
  std::mt19937 rng(17);
  const std::array dtypes{DataType::kBool, DataType::kFloat16, DataType::kFloat32, DataType::kInt64,
                          DataType::kComplex128};
  for (int round = 0; round < 600; ++round) {
    const size_t rank = rng() % 7;
    Shape dims(rank);
    for (int64_t& dim : dims) dim = static_cast<int64_t>(rng() % 6 == 0 ? rng() % 2 : 1 + rng() % 7);
    expect_copy(dtypes[rng() % dtypes.size()], dims, random_layout(rng, dims, true), random_layout(rng, dims, false),
                rng);
    if (HasFailure()) return;
  }
}

TEST(StridedCopy, AgreesOnArraysThatTakeManyTilesAndThreads) {
  ThreadPool pool(3);
  const ThreadScope threads(&pool);
  std::mt19937 rng(18);
  for (const Shape& dims :
       {Shape{2, 67, 51, 13}, Shape{3, 150, 70}, Shape{100000}, Shape{1025, 57}, Shape{2, 10000, 5}})
    for (int round = 0; round < 5; ++round) {
      expect_copy(DataType::kFloat32, dims, random_layout(rng, dims, true), random_layout(rng, dims, false), rng);
      expect_copy(DataType::kUint8, dims, random_layout(rng, dims, true), random_layout(rng, dims, false), rng);
    }
}

TEST(StridedCopy, InterleavesAFewChannels) {
  std::mt19937 rng(20);
  for (int64_t channels = 1; channels <= 6; ++channels) {
    const Strided planes{{channels * 700, 700, 1}, 0, 3 * channels * 700};
    const Strided pixels{{channels * 700, 1, channels}, 0, 3 * channels * 700};
    for (const DataType dtype : {DataType::kFloat32, DataType::kUint8}) {
      expect_copy(dtype, {3, channels, 700}, planes, pixels, rng);
      expect_copy(dtype, {3, channels, 700}, pixels, planes, rng);
    }
  }
}

TEST(StridedCopy, TakesRank12) {
  std::mt19937 rng(19);
  const Shape dims{2, 1, 3, 2, 1, 2, 2, 3, 1, 2, 2, 2};
  for (int round = 0; round < 10; ++round)
    expect_copy(DataType::kFloat32, dims, random_layout(rng, dims, true), random_layout(rng, dims, false), rng);
}

TEST(StridedCopy, RefusesTypesWithoutWholeBytes) {
  const Shape dims{2};
  const std::vector<int64_t> strides{1};
  EXPECT_THROW(StridedCopy(DataType::kInt4, dims, strides, strides), Error);
  EXPECT_THROW(StridedCopy(DataType::kString, dims, strides, strides), Error);
}

TEST(MakeCopy, ConvertsBetweenPlainAndChannelsLast) {
  const Shape dims{2, 5, 3, 4};
  const TensorDesc rows = plain(DataType::kFloat32, dims);
  const TensorDesc last = channels_last(DataType::kFloat32, dims);
  std::vector<float> source(120), middle(120), back(120);
  std::iota(source.begin(), source.end(), 0.0f);
  const auto run = [](const Kernel& kernel, const std::vector<float>& from, std::vector<float>& to) {
    const void* in = from.data();
    void* out = to.data();
    kernel.run({{&in, 1}, {&out, 1}});
  };
  run(*make_copy(rows, last), source, middle);
  EXPECT_EQ(middle[1], 12.0f);            // channel 1 of the first pixel
  EXPECT_EQ(middle[5], 1.0f);             // channel 0 of the second
  EXPECT_EQ(middle[60 + 4], 60 + 48.0f);  // channel 4 of the second image
  run(*make_copy(last, rows), middle, back);
  EXPECT_EQ(source, back);
}

TEST(MakeCopies, JoinsPiecesOfEverySizeOnManyThreads) {
  ThreadPool pool(3);
  const ThreadScope threads(&pool);
  const Shape whole{5000, 12};
  std::vector<CopyPiece> pieces;
  std::vector<std::vector<float>> parts;
  std::vector<float> expected(60000, -1), found(60000, -1);
  int64_t column = 0;
  for (const int64_t width : {1, 4, 0, 5, 2}) {
    const TensorDesc part = plain(DataType::kFloat32, {5000, width});
    pieces.push_back(
        {StridedCopy(part.dtype, part.dims, part.strides, plain_strides(whole)), parts.size(), 0, 0, column * 4});
    parts.emplace_back(static_cast<size_t>(part.size()));
    for (int64_t row = 0; row < 5000; ++row)
      for (int64_t i = 0; i < width; ++i) {
        const auto value = static_cast<float>(row * 16 + column + i);
        parts.back()[static_cast<size_t>(row * width + i)] = value;
        expected[static_cast<size_t>(row * 12 + column + i)] = value;
      }
    column += width;
  }
  std::vector<const void*> in;
  for (const auto& part : parts) in.push_back(part.data());
  void* out = found.data();
  make_copies(std::move(pieces))->run({in, {&out, 1}});
  EXPECT_EQ(expected, found);
}

TEST(MakeCopy, RefusesOtherDimensionsAndTypes) {
  EXPECT_THROW(make_copy(plain(DataType::kFloat32, {2, 3}), plain(DataType::kFloat32, {3, 2})), Error);
  EXPECT_THROW(make_copy(plain(DataType::kFloat32, {2, 3}), plain(DataType::kInt32, {2, 3})), Error);
}

}  // namespace
}  // namespace pli::compute
