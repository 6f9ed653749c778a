#include "tools/support/statistics.h"

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
  const size_t outside = values_outside(ratios.size());
  if (outside == 0) return std::nullopt;
  std::ranges::sort(ratios);
  return Estimate{median(ratios), ratios[outside - 1], ratios[ratios.size() - outside]};
}

}  // namespace pli::tools
