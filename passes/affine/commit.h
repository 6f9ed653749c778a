#pragma once

#include "passes/affine/search.h"
#include "passes/quantized_weight.h"

namespace pli::passes {

/// The constants of a plan, made before anything is changed.
struct NewConstants {
  std::vector<std::optional<ScaledWeight>> scaled;  // an element for each absorption
  std::vector<std::optional<Tensor>> weights, biases;
  std::vector<std::optional<Requantized>> quantized;  // where a weight stays stored as integers
  std::vector<Tensor> operands;
  int64_t growth = 0;  // bytes beside those that are replaced
  int64_t cleared = 0;
};

/// Nothing where a number would not be finite, or a limit passed.
std::optional<NewConstants> make_constants(const Context& context, const Plan& plan, Refusal& why);

/// Carries out the plan for the affine of `seed`, and logs it.
void commit(Context& context, const Plan& plan, const AffineNode& seed, NewConstants made);

}  // namespace pli::passes
