#pragma once

#include "runtime/ir/types.h"

namespace pli::passes {

/// Whether the dimensions are known to be equal: by their sizes, or by their symbol. Two of which nothing is known are
/// not.
inline bool are_equal(const ir::Dim& a, const ir::Dim& b) { return a == b && (a.known() || a.symbolic()); }

}  // namespace pli::passes
