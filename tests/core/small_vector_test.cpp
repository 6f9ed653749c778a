#include "runtime/core/small_vector.h"

#include <gtest/gtest.h>

#include <random>

namespace pli {

namespace {

using Small = SmallVector<int64_t, 3>;
using Large = std::vector<int64_t>;

Large content(const Small& vector) { return Large(vector.begin(), vector.end()); }

TEST(SmallVector, IsMadeOfWhatItIsGiven) {
  EXPECT_TRUE(Small().empty());
  EXPECT_EQ(content(Small(2)), (Large{0, 0}));
  EXPECT_EQ(content(Small(5, 7)), (Large{7, 7, 7, 7, 7}));
  EXPECT_EQ(content({4, 5, 6, 7}), (Large{4, 5, 6, 7}));
  const Large source{1, 2, 3, 4, 5};
  EXPECT_EQ(content(source), source);
  EXPECT_EQ(content(std::span(source).first(2)), (Large{1, 2}));
  EXPECT_EQ(Large(Small(source)), source);
}

TEST(SmallVector, IsAValue) {
  for (const Large& source : {Large{}, Large{1, 2, 3}, Large{1, 2, 3, 4}}) {
    Small first = source, second{9, 9, 9, 9, 9}, third{8};
    second = first;
    third = first;
    EXPECT_EQ(content(second), source);
    EXPECT_EQ(content(third), source);
    EXPECT_TRUE(second == first);
    first.push_back(5);
    EXPECT_EQ(content(second), source);
    EXPECT_FALSE(second == first);
    const Small& alias = second;
    second = alias;
    EXPECT_EQ(content(second), source);
    third = std::move(second);
    EXPECT_EQ(content(third), source);
    const Small fourth = std::move(third);
    EXPECT_EQ(content(fourth), source);
  }
}

/// Whatever is done to both, it is what a std::vector is.
TEST(SmallVector, DoesWhatAVectorDoes) {
  std::mt19937 random(3);
  Small small;
  Large large;
  for (int step = 0; step < 20000; ++step) {
    const auto value = static_cast<int64_t>(random());
    const size_t place = random() % (large.size() + 1), count = random() % 4;
    const auto at = static_cast<std::ptrdiff_t>(place);
    const Large more(count, value);
    switch (random() % 8) {
      case 0:
        small.push_back(value);
        large.push_back(value);
        break;
      case 1:
        if (large.empty()) break;
        small.pop_back();
        large.pop_back();
        break;
      case 2:
        EXPECT_EQ(*small.insert(small.begin() + at, value), value);
        large.insert(large.begin() + at, value);
        break;
      case 3:
        small.insert(small.begin() + at, more.begin(), more.end());
        large.insert(large.begin() + at, more.begin(), more.end());
        break;
      case 4:
        if (place == large.size()) break;
        EXPECT_EQ(small.erase(small.begin() + at) - small.begin(), at);
        large.erase(large.begin() + at);
        break;
      case 5:
        if (large.size() < 8) break;
        small.resize(place);
        large.resize(place);
        break;
      case 6:
        small.resize(large.size() + count, value);
        large.resize(large.size() + count, value);
        break;
      default:
        if (large.size() < 12) break;
        small.assign(more.begin(), more.end());
        large.assign(more.begin(), more.end());
    }
    ASSERT_EQ(content(small), large);
    ASSERT_EQ(small.size(), large.size());
    ASSERT_EQ(small.empty(), large.empty());
    if (large.empty()) continue;
    ASSERT_EQ(small.front(), large.front());
    ASSERT_EQ(small.back(), large.back());
    ASSERT_EQ(small[large.size() / 2], large[large.size() / 2]);
    ASSERT_TRUE(std::equal(small.rbegin(), small.rend(), large.rbegin(), large.rend()));
  }
}

}  // namespace

}  // namespace pli
