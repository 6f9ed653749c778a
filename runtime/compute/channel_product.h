#pragma once

#include "runtime/compute/register_tile.h"

namespace pli::compute {

/// result[i, g * filters + f] = sum over taps t and k < depth of taps[t].source[i * step + g * depth + k] *
/// taps[t].weights[(g * depth + k) * filters + f], finished: adjacent pixels of a convolution of many groups. Sums are
/// made in the order of the lines of taps, of k and of the taps of a line, whatever pixels are made at once.
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
  int64_t groups = 0;
  int64_t depth = 1, filters = 1;  // channels and filters of a group: one of each, or filters a multiple of 4

  float* result = nullptr;
  int64_t stride = 0;
  Finish finish;

  /// The pixels below are made with these, where may_pair_lines says so, groups have one channel and all lines of taps
  /// are there: each meets what the next one meets for the pixels here, the last what lies `source_line` behind.
  bool has_pair = false;
  int64_t source_line = 0, result_line = 0;  // numbers from a line to the next
};

/// On the calling thread.
void multiply(const ChannelProduct& product);
void multiply_groups(const ChannelProduct& product);  // the same where a group has several filters

/// Whether it is worth making pixels of two lines at once, so that what they share is loaded once: with lines of so
/// many taps, line_stride 1. 3 and 5 can be.
bool may_pair_lines(int64_t line_taps);

}  // namespace pli::compute
