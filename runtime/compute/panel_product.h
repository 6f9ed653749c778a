#pragma once

#include "runtime/compute/register_tile.h"

namespace pli::compute {

/// Columns of a panel: weights are packed as [columns / 16][taps][depth][16], the last panel filled with zeros.
inline constexpr int64_t kPanelColumns = 16;

/// result[i, j] = sum over taps t and k < depth of row(t, i)[k] * panels(j / 16)[t, k, j % 16], finished: a product of
/// matrices (one tap), or a convolution, where each tap of a filter has rows of its own, as the pixels that it meets.
/// Sums are made in the order of t and k, so that a part of a product has the bits of that part of the whole.
struct PanelProduct {
  const float* const* rows = nullptr;  // row(t, i) begins `offset` behind rows[t * count + i]
  int64_t offset = 0;
  int64_t count = 0;  // rows of the result
  int64_t taps = 1, depth = 0;
  const int64_t* tap_numbers = nullptr;  // of those of the panels; null: all, in their order
  int64_t panel_taps = 1;                // that the panels have

  const float* panels = nullptr;
  int64_t columns = 0;  // of the result, from the first panel on

  float* result = nullptr;  // element (0, 0)
  int64_t stride = 0;       // between rows of the result
  Finish finish;            // of element (0, 0)

  /// Numbers from a panel to the next.
  int64_t panel_size() const { return panel_taps * depth * kPanelColumns; }
};

/// On the calling thread.
void multiply(const PanelProduct& product);

}  // namespace pli::compute
