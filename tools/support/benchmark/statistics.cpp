#include "tools/support/benchmark/statistics.h"

#include <algorithm>
#include <cmath>

namespace pli::tools {

namespace {

constexpr double kConfidenceOfBound = 0.99;
constexpr double kTail = 0.025;  // on each side of a 95 % interval

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> result(values.begin(), values.end());
  std::ranges::sort(result);
  return result;
}

double nearest_rank(const std::vector<double>& ordered, double fraction) {
  const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(ordered.size())));
  return ordered[std::clamp<size_t>(rank, 1, ordered.size()) - 1];
}

/// How many of the smallest of n values lie outside the interval: the largest k with P(Binomial(n, 1/2) < k) <= kTail.
size_t values_outside(size_t n) {
  double log_probability = -static_cast<double>(n) * std::log(2.0);  // of 0 successes
  double below = 0;
  for (size_t k = 0; k < n; ++k) {
    below += std::exp(log_probability);
    if (below > kTail) return k;
    log_probability += std::log(static_cast<double>(n - k) / static_cast<double>(k + 1));
  }
  return 0;
}

/// The correlation of each value's rank with that of the next one. Ranks, so that one outlier says no more than another
/// value.
double rank_autocorrelation(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  std::vector<double> ranks;  // less their mean; equal values share the middle of theirs
  for (const double value : values) {
    const auto [first, last] = std::equal_range(ordered.begin(), ordered.end(), value);
    const auto middle = static_cast<double>((first - ordered.begin()) + (last - ordered.begin()) - 1) / 2;
    ranks.push_back(middle - static_cast<double>(values.size() - 1) / 2);
  }
  double products = 0;
  double squares = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    squares += ranks[i] * ranks[i];
    if (i > 0) products += ranks[i] * ranks[i - 1];
  }
  return squares > 0 ? products / squares : 0;
}

/// How many independent values say as much as these do, one after the other.
size_t independent_values(std::span<const double> values) {
  constexpr double kOneSided95 = 1.645;  // of a normal distribution, which the correlation of independent values nears
  const auto count = static_cast<double>(values.size());
  const double correlation = rank_autocorrelation(values);
  if (correlation < kOneSided95 / std::sqrt(count)) return values.size();
  return static_cast<size_t>(count * (1 - correlation) / (1 + correlation));
}

}  // namespace

double median(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  const size_t middle = ordered.size() / 2;
  return ordered.size() % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

std::optional<double> percentile(std::span<const double> values, double fraction) {
  if (std::pow(fraction, static_cast<double>(values.size())) > 1 - kConfidenceOfBound) return std::nullopt;
  return nearest_rank(sorted(values), fraction);
}

double relative_spread(std::span<const double> values) {
  const std::vector<double> ordered = sorted(values);
  return (nearest_rank(ordered, 0.75) - nearest_rank(ordered, 0.25)) / median(values);
}

double drift(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const size_t half = values.size() / 2;
  return median(values.subspan(values.size() - half)) / median(values.first(half)) - 1;
}

std::optional<Estimate> median_ratio(std::span<const double> a, std::span<const double> b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(a[i] / b[i]);
  const size_t independent = independent_values(ratios);
  const size_t outside_of_independent = values_outside(independent);
  if (outside_of_independent == 0) return std::nullopt;
  // The same place among all values as among the independent ones.
  const size_t outside = outside_of_independent * ratios.size() / independent;
  std::ranges::sort(ratios);
  return Estimate{median(ratios), ratios[outside - 1], ratios[ratios.size() - outside]};
}

}  // namespace pli::tools
