#include "tools/support/console/cli.h"

#include "runtime/compute/cpu_info.h"
#include "runtime/compute/parallel.h"
#include "runtime/ops/operator.h"
#include "tools/support/console/text.h"

#include <pli/version.h>

#include <csignal>
#include <cstdlib>
#include <new>
#include <system_error>

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
  ::execv("/proc/self/exe", argv);  // comes back only where there is no /proc: then spinning is not bounded
}

/// Whoever read standard output has seen enough: `head`, a pager.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/// What CLI11 says about a flag with too many or too few values, in our words.
std::string mismatch_text(const std::string& message) {
  const std::string flag = message.substr(0, message.find(": "));
  if (message.find(": At Most") != std::string::npos) return flag + " is given more than once";
  if (message.ends_with(" missing")) return flag + ": a value is missing";
  return message;
}

}  // namespace

CLI::Validator between(double least, double most) {
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && least <= value && value <= most;
        return fits ? std::string() : fmt::format("{} is not between {} and {}", text, least, most);
      },
      "");
}

CLI::Validator whole_between(int64_t least, int64_t most) {
  return CLI::Validator(
      [=](std::string& text) {
        int64_t value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && least <= value && value <= most;
        return fits ? std::string() : fmt::format("{} is no whole number between {} and {}", text, least, most);
      },
      "");
}

CLI::Validator not_negative() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && value >= 0;
        return fits ? std::string() : fmt::format("{} is not a number from 0 upwards", text);
      },
      "");
}

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

CommandLine::CommandLine(int argc, char** argv, std::string name, const std::string& summary,
                         const std::string& examples)
    : argc_(argc), argv_(argv), name_(std::move(name)), app_(summary, name_) {
  app_.set_help_flag();
  app_.allow_extras();
  app_.footer("Examples:\n" + examples);
}

void CommandLine::explain_verbose(const std::string& help) { verbose_help_ = help; }

CLI::Option* CommandLine::add_repeatable(const std::string& flag, std::vector<std::string>& values,
                                         const std::string& help) {
  return app_.add_option(flag, values, help)->allow_extra_args(false);
}

void CommandLine::add_common_flags() {
  const std::string group = "Options of every command";
  app_.add_flag("--json", json_, "one JSON document on standard output, everything else on standard error")
      ->group(group);
  app_.add_option("--threads", threads_, "threads to run with (default: what affinity mask and cgroup quota allow)")
      ->type_name("N")
      ->check(whole_between(1, 1024))
      ->group(group);
  app_.add_flag("-q,--quiet", quiet_, "print nothing but errors")->group(group);
  app_.add_flag("-v,--verbose", verbose_, verbose_help_)->group(verbose_help_.empty() ? "" : group);
  app_.add_flag("--version", version_, "print versions, instruction set and thread count")->group(group);
  app_.add_flag("-h,--help", help_, "print this")->group(group);
}

bool CommandLine::parse() {
  add_common_flags();
  try {
    app_.parse(argc_, argv_);
  } catch (const CLI::ArgumentMismatch& e) {
    fail(ErrorCode::kInvalidArgument, "{}", mismatch_text(e.what()));
  } catch (const CLI::ParseError& e) {
    fail(ErrorCode::kInvalidArgument, "{}", e.what());
  }
  if (help_) write(stdout, app_.help() + "\n");
  if (version_ && !help_) print_version();
  if (help_ || version_) return false;
  check_rest();
  return true;
}

void CommandLine::check_rest() const {
  const std::vector<std::string> rest = app_.remaining();
  if (rest.empty()) return;
  const std::string& first = rest.front();
  if (!first.starts_with('-')) fail(ErrorCode::kInvalidArgument, "unexpected argument \"{}\"; see --help", first);
  std::vector<std::string> flags;
  for (const CLI::Option* option : app_.get_options())
    for (const std::string& flag : option->get_lnames()) flags.push_back("--" + flag);
  const std::string hint = suggest(first.substr(0, first.find('=')), flags);
  const size_t meant = hint.find("; did you mean");
  fail(ErrorCode::kInvalidArgument, "unknown flag \"{}\"{}; see --help", first,
       meant == std::string::npos ? "" : hint.substr(meant));
}

void CommandLine::print_version() const {
  compute::ThreadChoice threads = compute::available_threads();
  if (threads_ > 0) threads = {threads_, "--threads"};
  if (json_) {
    print_json(Json{{"command", name_},
                    {"pli", pli::version()},
                    {"onednn", compute::onednn_version()},
                    {"opset", ops::kNewestOpset},
                    {"isa", compute::onednn_isa()},
                    {"threads", threads.threads},
                    {"threads_reason", threads.reason}});
    return;
  }
  write(stdout, fmt::format("{} of Pli {}\noneDNN {}\nONNX operator sets up to {}\ninstruction set {}\n{} ({})\n",
                            name_, pli::version(), compute::onednn_version(), ops::kNewestOpset, compute::onednn_isa(),
                            plural(threads.threads, "thread"), threads.reason));
}

void CommandLine::write(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

void CommandLine::complain_line(const std::string& text) const {
  std::fflush(stdout);
  write(stderr, fmt::format("{}: {}\n", name_, printable(text)));
}

namespace {

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

int run_command(char** argv, const std::string& name, const std::function<int()>& body) {
  bound_spinning(argv);
  // A reader that went away and a file size limit become errors of the write.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return guarded(name, body);
}

}  // namespace pli::tools
