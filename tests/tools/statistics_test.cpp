#include "tools/support/statistics.h"

#include "tools/support/bench_report.h"
#include "tools/support/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace pli::tools {
namespace {

std::vector<double> ramp(size_t count) {
  std::vector<double> values(count);
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Statistics, Median) {
  EXPECT_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(median(std::vector<double>{4, 1, 2, 3}), 2.5);
}

TEST(Statistics, PercentilesOnlyWithEnoughValuesToBoundThem) {
  EXPECT_FALSE(percentile(ramp(43), 0.90));
  EXPECT_EQ(percentile(ramp(44), 0.90), 40);
  EXPECT_EQ(percentile(ramp(100), 0.90), 90);
  EXPECT_FALSE(percentile(ramp(458), 0.99));
  EXPECT_EQ(percentile(ramp(500), 0.99), 495);
}

TEST(Statistics, DriftAndSpread) {
  EXPECT_NEAR(drift(std::vector<double>{10, 10, 12, 12}), 0.2, 1e-12);
  EXPECT_NEAR(drift(std::vector<double>{10, 10, 11, 9, 9}), -0.1, 1e-12);
  EXPECT_EQ(drift(std::vector<double>{1}), 0);
  EXPECT_NEAR(relative_spread(ramp(100)), 50.0 / 50.5, 1e-12);
}

TEST(Statistics, RatioOfPairedRounds) {
  EXPECT_FALSE(median_ratio(ramp(5), ramp(5)));
  std::vector<double> a;
  std::vector<double> b;
  for (int i = 0; i < 21; ++i) {
    const double load = 1 + 0.1 * (i % 5);  // disturbs both alike
    a.push_back(3 * load);
    b.push_back(2 * load);
  }
  const auto estimate = median_ratio(a, b);
  ASSERT_TRUE(estimate);
  EXPECT_NEAR(estimate->value, 1.5, 1e-12);
  EXPECT_NEAR(estimate->low, 1.5, 1e-12);
  EXPECT_NEAR(estimate->high, 1.5, 1e-12);
}

TEST(Statistics, IntervalHoldsTheTruthAsOftenAsItClaims) {
  Random random(11);
  int held = 0;
  constexpr int kTrials = 2000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> a(25);
    std::vector<double> b(25);
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = 1.2 * std::exp(0.2 * random.normal());
      b[i] = std::exp(0.2 * random.normal());
    }
    const auto estimate = median_ratio(a, b);
    held += estimate->low <= 1.2 && 1.2 <= estimate->high;
  }
  // 25 pairs: from the 8th to the 18th, 95.7 %.
  EXPECT_GT(held, 0.945 * kTrials);
  EXPECT_LT(held, 0.970 * kTrials);
}

TEST(Statistics, RandomNumbersAreTheSameEverywhere) {
  Random random(1);
  EXPECT_EQ(random.next(), 0x910a2dec89025cc1u);
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.02);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
  for (int i = 0; i < 1000; ++i) {
    const int64_t value = random.below(3);
    EXPECT_TRUE(value >= 0 && value < 3);
  }
}

BenchResult result_of(const std::vector<double>& rounds) {
  BenchResult result;
  result.samples = rounds;
  result.rounds = rounds;
  return result;
}

TEST(BenchVerdict, SaysFasterSlowerOrNotShown) {
  const std::vector<double> base(20, 10.0);
  std::vector<double> wavering;
  for (int i = 0; i < 20; ++i) wavering.push_back(i % 2 ? 10.4 : 9.7);
  EXPECT_EQ(compare_results(result_of(base), result_of(std::vector<double>(20, 8.0))).verdict,
            "1.25x faster, 95 % interval 1.25-1.25");
  EXPECT_EQ(compare_results(result_of(base), result_of(std::vector<double>(20, 12.5))).verdict,
            "1.25x slower, 95 % interval 1.25-1.25");
  const BenchComparison none = compare_results(result_of(base), result_of(wavering));
  EXPECT_TRUE(none.verdict.starts_with("no difference shown; differences under 3.8 % are invisible here, "))
      << none.verdict;
  EXPECT_TRUE(none.verdict.ends_with(" s more would show 1 %")) << none.verdict;
}

TEST(BenchVerdict, NoiseIsNamed) {
  EXPECT_EQ(noise_of(result_of(std::vector<double>(20, 10.0)), 0), "");
  std::vector<double> slower(10, 10.0);
  slower.insert(slower.end(), 10, 12.0);
  EXPECT_EQ(noise_of(result_of(slower), 0), "noisy: half of the runs lie 18 % apart, became 20 % slower meanwhile");
  EXPECT_EQ(noise_of(result_of(std::vector<double>(20, 10.0)), 0.07), "noisy: the hypervisor took 7 % of the time");
}

}  // namespace
}  // namespace pli::tools
