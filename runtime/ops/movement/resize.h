#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Resize and Upsample. "nearest" moves every type, in any layout; "linear" and "cubic" take float32 and float64, in
/// channels-last or row-major. Antialiasing is not supported.
Family resize_family();

/// How one dimension of a Resize is made.
struct ResizeAxis {
  int64_t in = 0;
  int64_t out = 0;
  double numerator = 1;  // the scale is numerator / denominator
  double denominator = 1;
  double start = 0;  // of the region of interest, of which tf_crop_and_resize takes the whole output
  double end = 1;

  double scale() const { return numerator / denominator; }
};

/// A Resize or Upsample node, whatever its version.
struct ResizeView {
  enum class Mode { kNearest, kLinear, kCubic };
  enum class Coordinates {
    kHalfPixel,
    kHalfPixelSymmetric,
    kPytorchHalfPixel,
    kAlignCorners,
    kAsymmetric,
    kTfHalfPixelForNn,
    kTfCropAndResize,
  };
  enum class Nearest {
    kRoundPreferFloor,
    kRoundPreferCeil,
    kFloor,
    kCeil,
    kSimple,  // of opset 10 and before: up where the output is smaller, else down
  };

  Mode mode = Mode::kNearest;
  Coordinates coordinates = Coordinates::kHalfPixel;
  Nearest nearest = Nearest::kRoundPreferFloor;
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
  double extrapolation = 0;

  /// The attributes. kInvalidModel for words that there are not.
  static ResizeView of(const ir::Graph& graph, const ir::Node& node);

  /// Whether a dimension is not resized: batch and channels, as a rule. No coordinates are transformed there.
  bool keeps(const ResizeAxis& axis) const {
    return axis.in == axis.out && axis.scale() == 1 && coordinates != Coordinates::kTfCropAndResize;
  }

  /// Where position `x` of the output lies in the input.
  double source(const ResizeAxis& axis, int64_t x) const;
};

}  // namespace pli::ops
