#pragma once

#include "runtime/compute/elementwise.h"
#include "runtime/ops/operator.h"

#include <optional>

namespace pli::ops {

/// Relu, LeakyRelu, PRelu, Elu, Selu, Celu, ThresholdedRelu, Sigmoid, HardSigmoid, HardSwish, Mish, Gelu, Softplus,
/// Softsign, Shrink, Clip.
Family activation_family();

/// The node as a function of one element that the kernel before it can apply: a float32 function of input 0 whose
/// parameters are constant (Clip's bounds, the slope of a PRelu with a single one). Nothing where it is something else.
std::optional<Activation> as_activation(const ir::Graph& graph, const ir::Node& node);

/// The activation of float32 as a loop, to be run on other kernels' tiles.
compute::TileLoop activation_loop(const Activation& activation);

}  // namespace pli::ops
