#pragma once

#include <optional>
#include <span>
#include <vector>

namespace pli::tools {

/// The middle value, or the mean of the two in the middle. Not for an empty list.
double median(std::span<const double> values);

/// The smallest value that at least `fraction` of the values do not pass (nearest rank), when there are enough values
/// that the largest of them bounds this percentile with 99 % confidence: 44 for 0.9, 459 for 0.99.
std::optional<double> percentile(std::span<const double> values, double fraction);

/// Distance between the quartiles over the median: how much single values scatter.
double relative_spread(std::span<const double> values);

/// Median of the second half over that of the first, less 1: positive when it became slower.
double drift(std::span<const double> values);

/// An estimate with a 95 % confidence interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// The median of a[i] / b[i] over paired rounds, with the interval that the sign test gives (order statistics, no
/// assumption on how times are distributed). Ratios that follow the one before more than chance explains count for as
/// many independent ones as a first-order autoregressive series of that correlation does: n (1 - r) / (1 + r). Nothing
/// for fewer than 6 independent pairs, for which there is no such interval.
std::optional<Estimate> median_ratio(std::span<const double> a, std::span<const double> b);

}  // namespace pli::tools
