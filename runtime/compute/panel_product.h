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
};

/// On the calling thread.
void multiply(const PanelProduct& product);

/// result[i, c] = sum over taps t of taps[t].source[i * step + c] * taps[t].weights[c], finished: adjacent pixels of a
/// convolution in which every channel is a group of its own.
struct ChannelProduct {
  struct Tap {
    const float* source;
    const float* weights;
  };
  const Tap* taps = nullptr;
  int64_t tap_count = 0;
  int64_t step = 0;
  int64_t line_taps = 1;    // taps come in lines of so many
  int64_t line_stride = 0;  // whole: within a line a tap meets step / line_stride behind the one before; 0: elsewhere
  int64_t count = 0;        // pixels
  int64_t channels = 0;

  float* result = nullptr;
  int64_t stride = 0;
  Finish finish;

  /// The pixels below are made with these, where may_pair_lines says so and all lines of taps are there: each meets
  /// what the next one meets for the pixels here, the last what lies `source_line` behind.
  bool has_pair = false;
  int64_t source_line = 0, result_line = 0;  // numbers from a line to the next
};

/// On the calling thread.
void multiply(const ChannelProduct& product);

/// Whether it is worth making pixels of two lines at once, so that what they share is loaded once: with lines of so
/// many taps, line_stride 1. 3 and 5 can be.
bool may_pair_lines(int64_t line_taps);

}  // namespace pli::compute
