#pragma once

#include "tools/support/console/json_fwd.h"

#include <string>

namespace pli::tools {

/// The operators that Pli runs, grouped by the element types of their first input, in lines of at most 96 characters:
/// the README shows this text.
std::string operator_table();

/// The same for programs: {"opset", "operators": [{"type", "since", "until", "types"}]}.
Json operators_json();

}  // namespace pli::tools
