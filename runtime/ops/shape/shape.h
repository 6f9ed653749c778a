#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Shape, Size, Constant, ConstantOfShape, Range, EyeLike: tensors that are made of types and small integers.
Family shape_family();

/// The result of a Shape or Size node, or of a Gather or Slice of what a Shape gives, as far as types tell it: the
/// dimensions that it takes are known. Nothing for other nodes.
std::optional<Tensor> value_of_shape(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::ops
