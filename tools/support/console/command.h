#pragma once

#include <pli/error.h>

#include <functional>
#include <string>

namespace pli::tools {

/// What a command ends with beside the codes of errors.
enum ExitCode : int { kDone = 0, kDiffers = 1 };

/// The documented exit code of an error.
int exit_code(ErrorCode code);

/// What every command does around its own work: prepares the process, runs `body` and turns whatever it throws into one
/// line on standard error, a document on standard output where --json asks for one, and the documented exit code. A
/// command whose output can't be written has failed, without a
/// word when it is its reader that has gone.
int run_command(int argc, char** argv, const std::string& name, const std::function<int()>& body);

}  // namespace pli::tools
