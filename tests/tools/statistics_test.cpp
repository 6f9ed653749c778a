#include "tools/support/benchmark/statistics.h"

#include "tools/support/benchmark/bench_report.h"
#include "tools/support/data/random.h"

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

TEST(Statistics, RoundsThatFollowOneAnotherCountForFewer) {
  // 7 ratios around 1, then 18 around 1.3: as independent rounds they show something, as two periods they do not.
  std::vector<double> a;
  for (int i = 0; i < 25; ++i) a.push_back((i < 7 ? 1.0 : 1.3) + 0.001 * (i % 3));
  const std::vector<double> ones(25, 1.0);
  EXPECT_LT(median_ratio(a, ones)->low, 1.01);
  std::vector<double> shuffled;
  for (size_t i = 0; i < a.size(); ++i) shuffled.push_back(a[i * 9 % a.size()]);
  EXPECT_GT(median_ratio(shuffled, ones)->low, 1.2);
  EXPECT_TRUE(median_ratio(ones, ones));
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
  const BenchResult base = result_of(std::vector<double>(20, 10.0));
  std::vector<double> wavering;
  for (int i = 0; i < 20; ++i) wavering.push_back(i % 2 ? 10.2 : 9.8);
  const BenchComparison faster = compare_results(base, result_of(std::vector<double>(20, 8.0)), 0);
  EXPECT_EQ(faster.verdict, "1.25x faster, 95 % interval 1.25-1.25");
  EXPECT_TRUE(faster.conclusive);
  const BenchComparison slower = compare_results(base, result_of(std::vector<double>(20, 12.5)), 0);
  EXPECT_EQ(slower.verdict, "1.25x slower, 95 % interval 1.25-1.25");
  EXPECT_TRUE(slower.conclusive);
  BenchResult other = result_of(wavering);
  BenchComparison none = compare_results(base, other, 0);
  EXPECT_EQ(none.verdict, "no difference shown; differences under 2 % are invisible here, 1 s more would show 2 %");
  EXPECT_FALSE(none.conclusive);
  other.samples.assign(10000000, 10.0);  // more time than anybody would spend
  none = compare_results(base, other, 0);
  EXPECT_EQ(none.verdict, "no difference shown; differences under 2 % are invisible here");
}

TEST(BenchVerdict, SmallDifferencesBetweenTwoProcessesShowNothing) {
  const BenchResult base = result_of(std::vector<double>(25, 10.0));
  for (const double other : {9.85, 10.15}) {
    const BenchComparison comparison = compare_results(base, result_of(std::vector<double>(25, other)), 0);
    EXPECT_EQ(comparison.verdict, "no difference shown; differences under 2 % are invisible here") << other;
  }
  EXPECT_TRUE(compare_results(base, result_of(std::vector<double>(25, 9.7)), 0).conclusive);
}

TEST(BenchVerdict, NoiseIsNamed) {
  EXPECT_EQ(noise_of(result_of(std::vector<double>(20, 10.0)), 0), "");
  std::vector<double> slower(10, 10.0);
  slower.insert(slower.end(), 10, 12.0);
  EXPECT_EQ(noise_of(result_of(slower), 0),
            "half of the runs lie 18 % apart, half of the rounds lie 18 % apart, became 20 % slower meanwhile");
  EXPECT_EQ(noise_of(result_of(std::vector<double>(20, 10.0)), 0.07), "the hypervisor took 7 % of the time");
}

TEST(BenchVerdict, NoiseOfEitherConcludesNothing) {
  const BenchResult quiet = result_of(std::vector<double>(20, 10.0));
  BenchResult waiting = result_of(std::vector<double>(20, 20.0));
  waiting.entry.path = "w.onnx";
  waiting.threads = 2;
  waiting.waited_ms = 80;
  const std::string why = "too noisy to conclude: w.onnx: waited for a processor 10 % of the time; measured 2.00x ";
  const BenchComparison slower = compare_results(quiet, waiting, 0);
  EXPECT_EQ(slower.verdict, why + "slower, 95 % interval 2.00-2.00");
  EXPECT_FALSE(slower.conclusive);
  const BenchComparison faster = compare_results(waiting, quiet, 0);
  EXPECT_EQ(faster.verdict, why + "faster, 95 % interval 2.00-2.00");
  EXPECT_FALSE(faster.conclusive);
  EXPECT_TRUE(compare_results(quiet, result_of(std::vector<double>(20, 20.0)), 0).conclusive);
  EXPECT_FALSE(compare_results(quiet, result_of(std::vector<double>(20, 20.0)), 0.07).conclusive);
  EXPECT_FALSE(compare_results(quiet, result_of({20, 20, 20, 20, 20}), 0).conclusive);
}

/// One model measured twice on a machine where each process is fast or half as fast for some rounds.
TEST(BenchVerdict, SpeedThatComesAndGoesIsNoDifference) {
  Random random(3);
  constexpr int kTrials = 1000;
  int concluded = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<BenchResult> results;
    for (int i = 0; i < 2; ++i) {
      std::vector<double> rounds;
      bool slow = random.below(2) == 1;
      for (int round = 0; round < 25; ++round) {
        rounds.push_back((slow ? 20.0 : 10.0) * (1 + 0.003 * random.normal()));
        if (random.below(5) == 0) slow = !slow;
      }
      results.push_back(result_of(rounds));
    }
    concluded += compare_results(results[0], results[1], 0).conclusive;
  }
  EXPECT_LE(concluded, kTrials / 100);
}

}  // namespace
}  // namespace pli::tools
