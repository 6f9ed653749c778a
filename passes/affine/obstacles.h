#pragma once

#include "passes/pass.h"
#include "passes/refusal.h"

namespace pli::passes {

/// Whether the node keeps to the standard: what does not has no meaning that a fold could keep.
bool is_sound(const Context& context, ir::NodeId id, Refusal& why);

/// Nothing but `user` may see what the value holds: it is going to change. Its shape stays.
bool used_only_by(const ir::Graph& graph, ir::ValueId value, ir::NodeId user, Refusal& why);

/// What reads a value there sees its type and shape alone: Shape, Size, ...
bool reads_only_type(const ir::Graph& graph, ir::Use use);

/// Conv, ConvTranspose, Gemm or MatMul.
bool is_linear(const ir::Node& node);

/// Why an affine gets no further back than the operand of `use`. `condition`: what the node that makes it says.
void stands_before(const ir::Graph& graph, ir::Use use, ir::NodeId seed, const std::string& condition, Refusal& why);

}  // namespace pli::passes
