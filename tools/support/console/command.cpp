#include "tools/support/console/command.h"

#include "runtime/core/error.h"
#include "tools/support/console/json.h"
#include "tools/support/console/text.h"

#include <pli/version.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <span>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace pli::tools {

namespace {

constexpr int kInternalDefect = 70;

/// Whoever read standard output has seen enough: `head`, a pager.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/// Whether programs read what the command says, even where its flags can't be read.
bool wants_json(std::span<const std::string> arguments) {
  return std::ranges::find(arguments, "--json") != arguments.end();
}

Json error_document(const std::string& name, std::span<const std::string> arguments, const Error& error) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  return {{"schema", 1},
          {"pli", pli::version()},
          {"command", name},
          {"options", {{"arguments", arguments}}},
          {"error",
           {{"code", to_string(error.code())},
            {"message", error.what()},
            {"file", text_or_null(error.file())},
            {"node", text_or_null(error.node())}}}};
}

/// What `body` gives, or the exit code of what it throws, which becomes one line on standard error, and a document on
/// standard output where --json asks for one.
int guarded(const std::string& name, std::span<const std::string> arguments, const std::function<int()>& body) {
  std::optional<Error> error;
  try {
    const int result = body();
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return result;
    if (reader_is_gone()) return exit_code(ErrorCode::kIo);  // it needs no message
    error.emplace(ErrorCode::kIo, "standard output can't be written");
  } catch (const Error& e) {
    error = e;
  } catch (const std::bad_alloc&) {
    error.emplace(ErrorCode::kResourceLimit, "out of memory");
  } catch (const std::exception& e) {
    error.emplace(ErrorCode::kInternal, fmt::format("a defect in Pli: {}", e.what()));
  } catch (...) {
    error.emplace(ErrorCode::kInternal, "a defect in Pli: an unknown exception");
  }
  // What can't be written here changes nothing.
  const std::string line = fmt::format("{}: {}\n", name, printable(error->what()));
  const std::string document = wants_json(arguments) ? json_text(error_document(name, arguments, *error)) : "";
  std::fwrite(document.data(), 1, document.size(), stdout);
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return exit_code(error->code());
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
    case ErrorCode::kCancelled:
    case ErrorCode::kResourceLimit:
      return 6;
    case ErrorCode::kInternal:
      return kInternalDefect;
  }
  return kInternalDefect;
}

int run_command(int argc, char** argv, const std::string& name, const std::function<int()>& body) {
  // A reader that went away and a file size limit become errors of the write.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return guarded(name, std::vector<std::string>(argv + std::min(argc, 1), argv + argc), body);
}

}  // namespace pli::tools
