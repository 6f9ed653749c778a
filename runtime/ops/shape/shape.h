#pragma once

#include "runtime/ops/operator.h"

namespace pli::ops {

/// Shape, Size, Constant, ConstantOfShape, Range, EyeLike: tensors that are made of types and small integers.
Family shape_family();

/// The elements of what a node gives, as ValueRecord::elements says it: of Shape and Size, and of what gathers, joins,
/// moves and computes with such. Nothing for other nodes.
std::optional<ir::Dims> elements_of(const ir::Graph& graph, const ir::Node& node);

/// The same as a tensor where all of them are known.
std::optional<Tensor> value_of_shape(const ir::Graph& graph, const ir::Node& node);

}  // namespace pli::ops
