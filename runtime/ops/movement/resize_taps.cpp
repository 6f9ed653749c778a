#include "runtime/ops/movement/resize_taps.h"

#include "runtime/compute/axis_gather.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pli::ops {

namespace {

using Nearest = ResizeView::Nearest;
using Coordinates = ResizeView::Coordinates;

double round_to(Nearest rule, double position, bool smaller) {
  switch (rule) {
    case Nearest::kRoundPreferFloor:
      return std::ceil(position - 0.5);
    case Nearest::kRoundPreferCeil:
      return std::floor(position + 0.5);
    case Nearest::kCeil:
      return std::ceil(position);
    case Nearest::kSimple:
      return smaller ? std::ceil(position) : std::floor(position);
    case Nearest::kFloor:
      break;
  }
  return std::floor(position);
}

/// Clamped before the conversion, which a huge or not finite position would not survive.
int64_t clamped(double position, int64_t size) {
  return static_cast<int64_t>(std::clamp(position, 0.0, static_cast<double>(size - 1)));
}

/// The weights of the four neighbours around a position that is `t` behind the second: Keys' cubic convolution (IEEE
/// Trans. on Acoustics, Speech and Signal Processing 29, 1981).
std::array<double, 4> cubic_weights(double t, double a) {
  const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(1 + t), near(t), near(1 - t), far(2 - t)};
}

}  // namespace

double ResizeView::source(const ResizeAxis& axis, int64_t x) const {
  const auto at = static_cast<double>(x);
  const auto in = static_cast<double>(axis.in);
  const double centered = (at + 0.5) * axis.denominator / axis.numerator;
  const double resized = in * axis.numerator / axis.denominator;  // what scales make of the size before it is rounded
  switch (coordinates) {
    case Coordinates::kHalfPixel:
      return centered - 0.5;
    case Coordinates::kHalfPixelSymmetric:
      return in / 2 * (1 - static_cast<double>(axis.out) / resized) + centered - 0.5;
    case Coordinates::kPytorchHalfPixel:
      return axis.out > 1 ? centered - 0.5 : 0;
    case Coordinates::kAlignCorners:
      return axis.out > 1 ? at * (in - 1) / (resized - 1) : 0;
    case Coordinates::kTfHalfPixelForNn:
      return centered;
    case Coordinates::kTfCropAndResize:
      if (axis.out == 1) return 0.5 * (axis.start + axis.end) * (in - 1);
      return axis.start * (in - 1) + at * (axis.end - axis.start) * (in - 1) / (static_cast<double>(axis.out) - 1);
    case Coordinates::kAsymmetric:
      break;
  }
  return at * axis.denominator / axis.numerator;
}

bool is_extrapolated(const ResizeView& view, const ResizeAxis& axis, int64_t x) {
  if (view.coordinates != Coordinates::kTfCropAndResize) return false;
  const double position = view.source(axis, x);
  return !(position >= 0 && position <= static_cast<double>(axis.in - 1));
}

std::vector<int64_t> nearest_positions(const ResizeView& view, const ResizeAxis& axis) {
  std::vector<int64_t> positions;
  for (int64_t x = 0; x < axis.out; ++x) {
    if (view.keeps(axis)) {
      positions.push_back(x);
    } else if (is_extrapolated(view, axis, x)) {
      positions.push_back(compute::AxisGather::kFill);
    } else {
      positions.push_back(clamped(round_to(view.nearest, view.source(axis, x), axis.scale() < 1), axis.in));
    }
  }
  return positions;
}

compute::Taps resize_taps(const ResizeView& view, const ResizeAxis& axis) {
  if (view.keeps(axis)) return {};
  const bool cubic = view.mode == ResizeView::Mode::kCubic;
  compute::Taps taps{cubic ? 4 : 2, {}, {}};
  for (int64_t x = 0; x < axis.out; ++x) {
    // Beyond the border by more than the kernel everything is border, so that the sums below stay small.
    const double position =
        is_extrapolated(view, axis, x) ? 0 : std::clamp(view.source(axis, x), -3.0, static_cast<double>(axis.in) + 2.0);
    const double base = std::floor(position);
    const double t = position - base;
    const std::array<double, 4> weights = cubic ? cubic_weights(t, view.cubic_a) : std::array{1 - t, t, 0.0, 0.0};
    const int64_t first = static_cast<int64_t>(base) - (cubic ? 1 : 0);
    double sum = 0;
    const size_t start = taps.weights.size();
    for (int64_t i = 0; i < taps.count; ++i) {
      const bool outside = first + i < 0 || first + i >= axis.in;
      const double weight = view.exclude_outside && outside ? 0 : weights[static_cast<size_t>(i)];
      taps.indices.push_back(std::clamp<int64_t>(first + i, 0, axis.in - 1));
      taps.weights.push_back(weight);
      sum += weight;
    }
    if (view.exclude_outside && sum != 0)
      for (size_t i = start; i < taps.weights.size(); ++i) taps.weights[i] /= sum;
  }
  return taps;
}

}  // namespace pli::ops
