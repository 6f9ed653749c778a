#pragma once

#include "tests/temporary_folder.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace pli::test {

/// How a program ended.
struct Finished {
  int code = -1;  // the exit code, or -1 when a signal ended it
  int signal = 0;
  std::string out;
  std::string err;
};

/// Runs a program in `folder` with nothing on standard input, and waits for its end. `variables`: NAME=VALUE to set.
inline Finished run_program(const std::vector<std::string>& command, const std::filesystem::path& folder,
                            const std::vector<std::string>& variables = {}) {
  const TemporaryFolder output;
  const std::string out = output / "out";
  const std::string err = output / "err";
  const pid_t child = ::fork();
  if (child == 0) {
    const auto redirect = [](const char* path, int flags, int to) { ::dup2(::open(path, flags, 0600), to); };
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(out.c_str(), O_WRONLY | O_CREAT, STDOUT_FILENO);
    redirect(err.c_str(), O_WRONLY | O_CREAT, STDERR_FILENO);
    for (const std::string& variable : variables) ::putenv(const_cast<char*>(variable.c_str()));
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    if (::chdir(folder.c_str()) == 0) ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, read_file(out),
          read_file(err)};
}

}  // namespace pli::test
