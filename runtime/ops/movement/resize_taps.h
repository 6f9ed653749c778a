#pragma once

#include "runtime/compute/resample.h"
#include "runtime/ops/movement/resize.h"

namespace pli::ops {

/// For each position of the output the nearest one of the input; compute::AxisGather::kFill where tf_crop_and_resize
/// leaves it.
std::vector<int64_t> nearest_positions(const ResizeView& view, const ResizeAxis& axis);

/// The weights of "linear" and "cubic"; none where the dimension is kept. Positions outside of the input are those at
/// its border, unless they are excluded.
compute::Taps resize_taps(const ResizeView& view, const ResizeAxis& axis);

/// Whether a position of the output lies outside of the input, so that it gets the extrapolation value.
bool is_extrapolated(const ResizeView& view, const ResizeAxis& axis, int64_t x);

}  // namespace pli::ops
