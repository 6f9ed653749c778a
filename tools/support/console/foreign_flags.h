#pragma once

#include <string>
#include <string_view>

namespace pli::tools {

/// What a flag that another tool has is called in `command`, or why there is none; empty for a flag that is not known.
std::string explain_foreign_flag(std::string_view command, std::string_view flag);

}  // namespace pli::tools
