#pragma once

#include "runtime/core/error.h"
#include "tools/support/console/json.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace pli::tools {

/// What a command ends with beside the codes of errors.
enum ExitCode : int { kDone = 0, kDiffers = 1 };

/// The documented exit code of an error.
int exit_code(ErrorCode code);

/// The command line of one command: its own flags are added to `app()`, the common ones are here.
class CommandLine {
 public:
  /// `summary` says in a few lines what the command does; `examples` are shown below the flags.
  CommandLine(int argc, char** argv, std::string name, const std::string& summary, const std::string& examples);

  CLI::App& app() { return app_; }

  /// A flag that may be given many times, each with one value.
  CLI::Option* add_repeatable(const std::string& flag, std::vector<std::string>& values, const std::string& help);

  /// What --verbose adds. A command that does not say takes the flag without showing it.
  void explain_verbose(const std::string& help);

  /// False when --help or --version was asked for, and has been answered. kInvalidArgument for wrong usage.
  bool parse();

  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  bool verbose() const { return verbose_; }
  /// 0 when it was not given.
  int threads() const { return threads_; }
  const std::string& name() const { return name_; }

  /// Text for people on standard output; nothing under --quiet or --json.
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) const {
    if (!quiet_ && !json_) write(stdout, fmt::format(format, std::forward<Args>(args)...));
  }
  /// The one document of --json.
  void print_json(const Json& document) const { write(stdout, json_text(document)); }

  /// One line on standard error that starts with the command's name; printed under --quiet too.
  template <class... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) const {
    complain_line(fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  static void write(std::FILE* stream, const std::string& text);
  void complain_line(const std::string& text) const;
  void add_common_flags();
  void check_rest() const;
  void print_version() const;

  int argc_;
  char** argv_;
  std::string name_;
  CLI::App app_;
  std::string verbose_help_;
  bool help_ = false;
  bool version_ = false;
  bool json_ = false;
  bool quiet_ = false;
  bool verbose_ = false;
  int threads_ = 0;
};

/// Checks of a flag's number, for add_option.
CLI::Validator between(double least, double most);
CLI::Validator whole_between(int64_t least, int64_t most);
CLI::Validator not_negative();

/// What `main` of every command is: prepares the process, runs `body` and turns whatever it throws into one line on
/// standard error and the documented exit code. A command whose output can't be written has failed,
/// without a word when it is its reader that has gone.
int run_command(char** argv, const std::string& name, const std::function<int()>& body);

}  // namespace pli::tools
