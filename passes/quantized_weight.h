#pragma once

#include "passes/affine/affine.h"
#include "passes/pass.h"
#include "passes/refusal.h"

#include <optional>
#include <vector>

namespace pli::passes {

/// The operands of the DequantizeLinear behind which a weight stands, once it has taken a factor up.
struct Requantized {
  std::vector<double> numbers;       // the scales, in as many bits as folds have given them
  Tensor scale;                      // these, rounded
  std::optional<Tensor> zero_point;  // another one: it is a list now
  std::optional<Tensor> integers;    // others: mirrored around the zero point where the factor is negative
  int64_t axis = 0;                  // of the list
  int64_t growth = 0;                // in bytes
};

/// The constant is what a DequantizeLinear makes of stored integers, perhaps transposed.
bool is_quantized(const ir::Graph& graph, ir::ValueId weight);

/// What a factor makes of the operands of a quantized weight. The integers stay, and so does what they mean to the last
/// bit: the scales take the factor up. Nothing where they can't: it does not run along their axis, the operator set
/// knows no axis, there are blocks, or an integer can't be mirrored.
std::optional<Requantized> requantized(const Context& context, ir::ValueId weight, const Spread& factor, Refusal& why);

/// A weight with these operands in the place of the old one.
ir::ValueId write_requantized(Context& context, ir::ValueId weight, Requantized made);

}  // namespace pli::passes
