#pragma once

#include "passes/affine/absorb.h"

#include <optional>
#include <string>
#include <string_view>

namespace pli::passes {

// What the functions behind the table of absorb.cpp have in common, and those that stand in other files.

/// What messages call it.
std::string name_of(const Context& context, ir::NodeId id);

/// The shape of a constant operand; a refusal when it is not constant or not of a float type.
std::optional<Shape> constant_shape(const Context& context, ir::NodeId id, ir::ValueId value, std::string_view what,
                                    Refusal& why);

/// The bias that a node has, in as many bits as folds have given it.
Spread bias_of(const Context& context, ir::ValueId bias);

// Of normalizations.
std::optional<Absorption> instance_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
std::optional<Absorption> group_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
std::optional<Absorption> layer_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
std::optional<Absorption> rms_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why);
ir::NodeSpec rebuilt_normalization(const ir::Graph&, const ir::Node& node, ir::ValueId weight, ir::ValueId bias);

}  // namespace pli::passes
