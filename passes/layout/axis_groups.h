#pragma once

#include "passes/layout/permutation.h"

#include <optional>

namespace pli::passes {

/// Axes of a node's input that become axes of its output: the elements along those of the one, counted in order, are
/// those along the other. One of the lists may be empty: an axis that goes, or one that is new.
struct AxisGroup {
  std::vector<int64_t> in, out;
};

/// All axes of input and output in ascending order.
using AxisGroups = std::vector<AxisGroup>;

/// What a node does that removes these axes, given in ascending order, from as many as `rank`.
AxisGroups removing(const std::vector<int64_t>& axes, int64_t rank);
/// The same in the other direction.
AxisGroups reversed(AxisGroups groups);

/// What a Reshape from one list of dimensions to another does: axes of size 1 come and go, others stay, are joined or
/// divided. Nothing where it can't be told.
std::optional<AxisGroups> reshaping(const ir::Dims& from, const ir::Dims& to);

/// How the output has to be permuted so that it is made of the permuted input. An axis that is new stays in front of
/// the one that it is in front of. Nothing where the axes of a group come apart.
std::optional<Permutation> permuted_output(const AxisGroups& groups, const Permutation& input);

}  // namespace pli::passes
