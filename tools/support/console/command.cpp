#include "tools/support/console/command.h"

#include "runtime/core/error.h"
#include "tools/support/console/text.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <poll.h>
#include <unistd.h>

namespace pli::tools {

namespace {

constexpr int kInternalDefect = 70;

/// libgomp reads when it is loaded how long idle threads spin before they sleep. Its default, milliseconds, makes
/// commands that share a machine slow each other tenfold; not to spin at all costs a wake-up at each operator. This
/// many turns are tens of microseconds: longer than the gaps between operators, shorter than anything else that waits.
/// What the user has set stays.
void bound_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  ::setenv("GOMP_SPINCOUNT", "10000", 1);
  ::setenv("KMP_BLOCKTIME", "1", 0);  // milliseconds: the least above none, for libomp, which clang's builds have
  ::execv("/proc/self/exe", argv);    // comes back only where there is no /proc: then spinning is not bounded
}

/// Whoever read standard output has seen enough: `head`, a pager.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/// What `body` gives, or the exit code of what it throws, which becomes one line on standard error.
int guarded(const std::string& name, const std::function<int()>& body) {
  std::string message;
  int code = kInternalDefect;
  try {
    const int result = body();
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return result;
    if (reader_is_gone()) return exit_code(ErrorCode::kIo);  // it needs no message
    message = "standard output can't be written";
    code = exit_code(ErrorCode::kIo);
  } catch (const Error& e) {
    message = e.what();
    code = exit_code(e.code());
  } catch (const std::bad_alloc&) {
    message = "out of memory";
    code = exit_code(ErrorCode::kResourceLimit);
  } catch (const std::exception& e) {
    message = fmt::format("a defect in Pli: {}", e.what());
  } catch (...) {
    message = "a defect in Pli: an unknown exception";
  }
  std::fflush(stdout);
  const std::string line = fmt::format("{}: {}\n", name, printable(message));
  std::fwrite(line.data(), 1, line.size(), stderr);  // a message that can't be written changes nothing
  return code;
}

}  // namespace

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 2;
    case ErrorCode::kIo:
      return 3;
    case ErrorCode::kInvalidModel:
      return 4;
    case ErrorCode::kUnsupported:
      return 5;
    case ErrorCode::kResourceLimit:
      return 6;
    case ErrorCode::kInternal:
      return kInternalDefect;
  }
  return kInternalDefect;
}

int run_command(char** argv, const std::string& name, const std::function<int()>& body) {
  bound_spinning(argv);
  // A reader that went away and a file size limit become errors of the write.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return guarded(name, body);
}

}  // namespace pli::tools
