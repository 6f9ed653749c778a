#pragma once

#include "tools/support/console/command_line.h"

#include <pli/session.h>

#include <string>

namespace pli::tools {

/// The flag --precision, whose value goes to `target`.
Flag precision_flag(std::string& target);

/// What a value that the flag accepts stands for.
Precision precision_of(const std::string& text);

}  // namespace pli::tools
