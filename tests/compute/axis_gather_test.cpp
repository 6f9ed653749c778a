#include "runtime/compute/axis_gather.h"

#include "runtime/compute/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace pli::compute {
namespace {

using Tables = std::vector<std::vector<int64_t>>;

TensorDesc random_desc(std::mt19937& rng, DataType dtype, Shape dims) {
  std::vector<size_t> order(dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (rng() % 2 == 0) std::ranges::shuffle(order, rng);
  TensorDesc desc{dtype, dims, std::vector<int64_t>(dims.size())};
  int64_t stride = 1;
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    desc.strides[*axis] = stride;
    stride *= dims[*axis] + (rng() % 6 == 0 ? 1 : 0);
  }
  return desc;
}

/// Identity, or random entries of which some are kFill.
std::vector<int64_t> random_table(std::mt19937& rng, int64_t dim) {
  std::vector<int64_t> table(static_cast<size_t>(rng() % 2 == 0 ? dim : static_cast<int64_t>(1 + rng() % 6)));
  std::iota(table.begin(), table.end(), int64_t{0});
  const bool identity = static_cast<int64_t>(table.size()) == dim && rng() % 2 == 0;
  for (int64_t& index : table)
    if (!identity)
      index = rng() % 5 == 0 ? AxisGather::kFill : static_cast<int64_t>(rng() % static_cast<uint64_t>(dim));
  return table;
}

template <class T>
void expect_gathered(const TensorDesc& from, const TensorDesc& to, const Tables& tables) {
  std::vector<T> source(static_cast<size_t>(span_bytes(from)) / sizeof(T));
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<T>(i % 251 + 1);
  const T fill = 255;
  std::vector<T> found(static_cast<size_t>(span_bytes(to)) / sizeof(T), T{0});
  std::vector<T> expected = found;
  for (int64_t flat = 0; flat < to.size(); ++flat) {
    int64_t rest = flat, put = 0, at = 0;
    bool filled = false;
    for (size_t i = to.dims.size(); i-- > 0; rest /= to.dims[i]) {
      const int64_t index = tables[i][static_cast<size_t>(rest % to.dims[i])];
      put += rest % to.dims[i] * to.strides[i];
      filled = filled || index == AxisGather::kFill;
      at += index * from.strides[i];
    }
    expected[static_cast<size_t>(put)] = filled ? fill : source[static_cast<size_t>(at)];
  }
  AxisGather(from, to, tables).run(source.data(), found.data(), &fill);
  ASSERT_EQ(expected, found) << to_string(from.dims) << to_string(from.strides) << " to " << to_string(to.dims)
                             << to_string(to.strides);
}

TEST(AxisGather, AgreesWithTheTablesOnRandomLayouts) {
  ThreadPool pool(3);
  const ThreadScope threads(&pool);
  std::mt19937 rng(31);
  for (int round = 0; round < 500; ++round) {
    Shape from_dims(rng() % 6), to_dims;
    Tables tables;
    for (int64_t& dim : from_dims) {
      dim = static_cast<int64_t>(1 + rng() % 5);
      tables.push_back(random_table(rng, dim));
      to_dims.push_back(static_cast<int64_t>(tables.back().size()));
    }
    expect_gathered<float>(random_desc(rng, DataType::kFloat32, from_dims),
                           random_desc(rng, DataType::kFloat32, to_dims), tables);
    expect_gathered<uint8_t>(random_desc(rng, DataType::kUint8, from_dims), random_desc(rng, DataType::kUint8, to_dims),
                             tables);
    if (HasFailure()) return;
  }
}

TEST(AxisGather, AgreesOnLargeImages) {
  ThreadPool pool(3);
  const ThreadScope threads(&pool);
  Tables tables{{0, 1}, {}, {}, {}};
  for (int64_t c = 0; c < 24; ++c) tables[1].push_back(c);
  for (int64_t y = 0; y < 65; ++y) tables[2].push_back(y / 2 - 1);
  for (int64_t x = 0; x < 70; ++x) tables[3].push_back((x * 7) % 35);
  const Shape from{2, 24, 33, 35}, to{2, 24, 65, 70};
  expect_gathered<float>(channels_last(DataType::kFloat32, from), channels_last(DataType::kFloat32, to), tables);
  expect_gathered<float>(plain(DataType::kFloat32, from), plain(DataType::kFloat32, to), tables);
  expect_gathered<uint16_t>(plain(DataType::kInt16, from), channels_last(DataType::kInt16, to), tables);
}

TEST(AxisGather, HasNothingToDoForEmptyTensors) {
  const float fill = 1;
  AxisGather(plain(DataType::kFloat32, {2, 3}), plain(DataType::kFloat32, {0, 3}), {{}, {0, 1, 2}})
      .run(nullptr, nullptr, &fill);
  float filled[2] = {};
  AxisGather(plain(DataType::kFloat32, {0}), plain(DataType::kFloat32, {2}), {{AxisGather::kFill, AxisGather::kFill}})
      .run(nullptr, filled, &fill);
  EXPECT_EQ(filled[1], 1.0f);
}

}  // namespace
}  // namespace pli::compute
