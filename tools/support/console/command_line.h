#pragma once

#include "runtime/core/error.h"
#include "tools/support/console/json_fwd.h"
#include "tools/support/console/text.h"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pli::tools {

/// What is wrong with a flag's value, in words; empty when nothing is.
using Check = std::function<std::string(const std::string& value)>;
Check between(double least, double most);
Check whole_between(int64_t least, int64_t most);
Check not_negative();
Check one_of(std::vector<std::string> words);

/// A flag or an argument of a command.
struct Flag {
  /// "--flag", "-f,--flag", or an argument's name in capitals; several with commas are one and the same.
  std::string names;
  /// Where the value goes. A bool is set by the flag alone, a vector takes a value each time that the flag is given.
  std::variant<bool*, int*, int64_t*, double*, std::optional<double>*, std::string*, std::vector<std::string>*> target;
  std::string help;   // empty: not shown by --help
  std::string value;  // what --help calls the value, such as "FILE"
  Check check = nullptr;
  bool commas = false;   // a value holds several, with commas between them
  std::string excludes;  // a flag that can't be given beside this one
};

/// Reads flags that stand in a text; `what` goes in front of a complaint. kInvalidArgument for wrong usage.
void parse_flags(const std::string& what, const std::string& text, const std::vector<Flag>& flags);

/// A command line that --help shows, and what it does.
struct Example {
  std::string command;
  std::string meaning;
};

/// The command line of one command: its own flags are added, the common ones are there.
class CommandLine {
 public:
  /// `summary` says in a few sentences what the command does; `examples` are shown below the flags.
  CommandLine(int argc, char** argv, std::string name, const std::string& summary,
              const std::vector<Example>& examples);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void add(const Flag& flag);

  /// What --verbose adds. A command that does not say takes the flag without showing it.
  void explain_verbose(const std::string& help);

  /// False when --help or --version was asked for, and has been answered. kInvalidArgument for wrong usage.
  bool parse();

  /// Whether a flag was given, such as "--output".
  bool has(const std::string& flag) const;

  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  bool verbose() const { return verbose_; }
  /// 0 when it was not given.
  int threads() const { return threads_; }
  const std::string& name() const { return name_; }

  /// Columns of the reports for people: any number under --verbose, which shows everything whole.
  size_t width() const { return verbose_ ? SIZE_MAX : kReportWidth; }

  /// Text for people on standard output, wrapped at width(); nothing under --quiet or --json.
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) const {
    print_whole("{}", wrapped(fmt::format(format, std::forward<Args>(args)...), width()));
  }
  /// The same for lines that programs read, too: they stay as they are.
  template <class... Args>
  void print_whole(fmt::format_string<Args...> format, Args&&... args) const {
    if (!quiet_ && !json_) write(text_, fmt::format(format, std::forward<Args>(args)...));
  }
  /// From now on text for people goes to standard error: standard output holds something else.
  void leave_standard_output() { text_ = stderr; }

  /// `content` as a document of this command: behind the schema, Pli's version and what the command was asked for.
  Json document(const Json& content) const;
  /// The one document of --json.
  void print_json(const Json& content) const;

  /// One line on standard error that starts with the command's name; printed under --quiet too.
  template <class... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) const {
    complain_line(fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  struct Parser;

  static void write(std::FILE* stream, const std::string& text);
  void complain_line(const std::string& text) const;
  void add_common_flags();
  void check_rest() const;
  Json options_json() const;
  void print_version() const;

  int argc_;
  char** argv_;
  std::string name_;
  std::unique_ptr<Parser> parser_;
  std::vector<Flag> flags_;  // of the command itself
  std::FILE* text_ = stdout;
  std::string verbose_help_;
  bool help_ = false;
  bool version_ = false;
  bool json_ = false;
  bool quiet_ = false;
  bool verbose_ = false;
  int threads_ = 0;
};

}  // namespace pli::tools
