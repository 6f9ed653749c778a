#pragma once

#include "runtime/ir/types.h"

#include <algorithm>
#include <vector>

namespace pli::passes {

/// As of a Transpose: dimension i of what it gives is dimension p[i] of what it takes. Empty: everything stays.
using Permutation = std::vector<int64_t>;

inline bool is_identity(const Permutation& p) { return std::ranges::is_sorted(p); }

inline Permutation inverse(const Permutation& p) {
  Permutation result(p.size());
  for (size_t i = 0; i < p.size(); ++i) result[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return result;
}

/// The list that `p` makes of one with an element for each dimension.
template <class List>
List permuted(const List& list, const Permutation& p) {
  List result;
  for (const int64_t axis : p) result.push_back(list[static_cast<size_t>(axis)]);
  return result;
}

/// Where `p` puts this axis.
inline int64_t place_of(int64_t axis, const Permutation& p) { return std::ranges::find(p, axis) - p.begin(); }

/// Where it puts these axes, in ascending order.
inline std::vector<int64_t> places_of(std::vector<int64_t> axes, const Permutation& p) {
  for (int64_t& axis : axes) axis = place_of(axis, p);
  std::ranges::sort(axes);
  return axes;
}

/// The dimensions of what a Transpose of a value gives.
inline ir::Type permuted_type(const ir::Type& type, const Permutation& p) {
  return p.empty() ? type : ir::Type::tensor(type.dtype, permuted(*type.dims, p));
}

}  // namespace pli::passes
