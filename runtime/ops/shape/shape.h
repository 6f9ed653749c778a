#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Shape, Size, Constant, ConstantOfShape, Range, EyeLike: tensors that are made of types and small integers.
Family shape_family();

/// The result of a Shape or Size node as far as the type of its input tells it: the dimensions that it takes are known.
/// Their kernels use nothing else either: they never read the input's elements. Nothing for other nodes.
std::optional<Tensor> value_of_shape(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::ops
