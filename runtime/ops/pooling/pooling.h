#pragma once

#include "runtime/ops/operator.h"
#include "runtime/ops/window.h"

namespace pli::ops {

/// MaxPool, AveragePool and LpPool: the window that slides over the spatial dimensions.
struct PoolView {
  Window window;
  bool count_include_pad = false;
  bool column_major_indices = false;
  double p = 2;

  /// kInvalidModel: a window that is none, or pads that a window would fit into.
  static PoolView of(const ir::Node& node);
};

Family pooling_family();

}  // namespace pli::ops
