#include "tools/support/console/command_line.h"

#include "runtime/compute/cpu_info.h"
#include "runtime/compute/parallel.h"
#include "runtime/ops/operator.h"
#include "tools/support/console/foreign_flags.h"
#include "tools/support/console/json.h"

#include <pli/version.h>

#include <CLI/CLI.hpp>

#include <algorithm>

namespace pli::tools {

namespace {

/// What CLI11 says about a flag with too many or too few values, in our words.
std::string mismatch_text(const std::string& message) {
  const std::string flag = message.substr(0, message.find(": "));
  if (message.find(": At Most") != std::string::npos) return flag + " is given more than once";
  if (message.ends_with(" missing")) return flag + ": a value is missing";
  return message;
}

template <class T>
std::optional<T> number_in(std::string text) {
  T value = 0;
  if (!CLI::detail::lexical_cast(text, value)) return std::nullopt;
  return value;
}

constexpr size_t kFlagColumns = 28;  // of --help, before what the flags mean

void add_to(CLI::App& app, const Flag& flag, const std::string& group) {
  const std::string help = wrapped(flag.help, kHelpWidth - kFlagColumns, 0);
  CLI::Option* option = std::visit(
      [&]<class T>(T* target) {
        if constexpr (std::is_same_v<T, bool>)
          return app.add_flag(flag.names, *target, help);
        else
          return app.add_option(flag.names, *target, help);
      },
      flag.target);
  option->group(flag.help.empty() ? "" : group);
  if (std::holds_alternative<bool*>(flag.target)) return;
  option->type_name(flag.value);
  const bool is_argument = !flag.names.starts_with('-');
  if (std::holds_alternative<std::vector<std::string>*>(flag.target) && !is_argument) option->allow_extra_args(false);
  if (flag.commas) option->delimiter(',');
  if (flag.check) option->check(CLI::Validator([check = flag.check](std::string& text) { return check(text); }, ""));
  if (!flag.excludes.empty()) option->excludes(app.get_option(flag.excludes));
}

/// "external_data" for "--external-data", "output" for "-o,--output,OUT", "model" for "MODEL".
std::string key_of(const Flag& flag) {
  const size_t dashes = flag.names.find("--");
  std::string key = flag.names.substr(dashes == std::string::npos ? 0 : dashes + 2);
  key.resize(std::min(key.find(','), key.size()));
  for (char& c : key) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

Json value_of(const Flag& flag) {
  return std::visit(
      []<class T>(T* target) {
        if constexpr (std::is_same_v<T, std::optional<double>>)
          return *target ? Json(**target) : Json();
        else
          return Json(*target);
      },
      flag.target);
}

std::string examples_text(const std::vector<Example>& examples) {
  std::string text = "Examples:";
  for (const auto& [command, meaning] : examples) text += fmt::format("\n  {}\n        {}", command, meaning);
  return text;
}

}  // namespace

Check between(double least, double most) {
  return [=](const std::string& text) {
    const auto value = number_in<double>(text);
    const bool fits = value && least <= *value && *value <= most;
    return fits ? std::string() : fmt::format("{} is not between {} and {}", text, least, most);
  };
}

Check whole_between(int64_t least, int64_t most) {
  return [=](const std::string& text) {
    const auto value = number_in<int64_t>(text);
    const bool fits = value && least <= *value && *value <= most;
    return fits ? std::string() : fmt::format("{} is no whole number between {} and {}", text, least, most);
  };
}

Check not_negative() {
  return [](const std::string& text) {
    const auto value = number_in<double>(text);
    return value && *value >= 0 ? std::string() : fmt::format("{} is not a number from 0 upwards", text);
  };
}

Check one_of(std::vector<std::string> words) {
  return [words = std::move(words)](const std::string& text) {
    const bool known = std::ranges::find(words, text) != words.end();
    return known ? std::string() : fmt::format("{} is none of {}", text, fmt::join(words, ", "));
  };
}

void parse_flags(const std::string& what, const std::string& text, const std::vector<Flag>& flags) {
  CLI::App app;
  app.set_help_flag();
  for (const Flag& flag : flags) add_to(app, flag, "Options");
  try {
    app.parse(text);
  } catch (const CLI::ParseError& e) {
    fail(ErrorCode::kInvalidArgument, "{}: {}", what, e.what());
  }
}

struct CommandLine::Parser {
  CLI::App app;
};

CommandLine::CommandLine(int argc, char** argv, std::string name, const std::string& summary,
                         const std::vector<Example>& examples)
    : argc_(argc),
      argv_(argv),
      name_(std::move(name)),
      parser_(new Parser{CLI::App(wrapped(summary, kHelpWidth, 0), name_)}) {
  parser_->app.set_help_flag();
  parser_->app.allow_extras();
  parser_->app.get_formatter()->column_width(kFlagColumns);
  parser_->app.footer(examples_text(examples));
}

CommandLine::~CommandLine() = default;

void CommandLine::add(const Flag& flag) {
  add_to(parser_->app, flag, "Options");
  if (!flag.help.empty()) flags_.push_back(flag);
}

void CommandLine::explain_verbose(const std::string& help) { verbose_help_ = help; }

void CommandLine::add_common_flags() {
  const std::vector<Flag> flags{
      {.names = "--json",
       .target = &json_,
       .help = "one JSON document on standard output, everything else on standard error"},
      {.names = "--threads",
       .target = &threads_,
       .help = "threads to run with (default: what affinity mask and cgroup quota allow)",
       .value = "N",
       .check = whole_between(1, 1024)},
      {.names = "-q,--quiet", .target = &quiet_, .help = "print nothing but errors"},
      {.names = "-v,--verbose", .target = &verbose_, .help = verbose_help_},
      {.names = "--version", .target = &version_, .help = "print versions, instruction set and thread count"},
      {.names = "-h,--help", .target = &help_, .help = "print this"},
  };
  for (const Flag& flag : flags) add_to(parser_->app, flag, "Options of every command");
}

bool CommandLine::parse() {
  add_common_flags();
  CLI::App& app = parser_->app;
  try {
    app.parse(argc_, argv_);
  } catch (const CLI::ArgumentMismatch& e) {
    fail(ErrorCode::kInvalidArgument, "{}", mismatch_text(e.what()));
  } catch (const CLI::ParseError& e) {
    fail(ErrorCode::kInvalidArgument, "{}", e.what());
  }
  if (help_) write(stdout, app.help() + "\n");
  if (version_ && !help_) print_version();
  if (help_ || version_) return false;
  check_rest();
  return true;
}

bool CommandLine::has(const std::string& flag) const { return parser_->app.count(flag) > 0; }

void CommandLine::check_rest() const {
  const CLI::App& app = parser_->app;
  std::vector<std::string> rest = app.remaining();
  if (const auto mark = std::ranges::find(rest, "--"); mark != rest.end()) rest.erase(mark);  // what follows are files
  if (rest.empty()) return;
  const std::string& first = rest.front();
  if (!first.starts_with('-')) {
    const bool counts_checks = name_ == "onnx-optimize" && number_in<int64_t>(first);
    fail(ErrorCode::kInvalidArgument, "unexpected argument \"{}\"{}; see --help", first,
         counts_checks ? ": onnxsim's number of checks is --samples N here" : "");
  }
  const std::string known_elsewhere = explain_foreign_flag(name_, first.substr(0, first.find('=')));
  if (!known_elsewhere.empty())
    fail(ErrorCode::kInvalidArgument, "unknown flag \"{}\": {}; see --help", first, known_elsewhere);
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options())
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
    print_json(Json{{"onednn", compute::onednn_version()},
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

Json CommandLine::options_json() const {
  Json options = Json::object();
  for (const Flag& flag : flags_) options[key_of(flag)] = value_of(flag);
  options["threads"] = threads_ > 0 ? Json(threads_) : Json();
  return options;
}

Json CommandLine::document(const Json& content) const {
  Json document{{"schema", 1}, {"pli", pli::version()}, {"command", name_}, {"options", options_json()}};
  document.update(content);
  return document;
}

void CommandLine::print_json(const Json& content) const { write(stdout, json_text(document(content))); }

void CommandLine::write(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

void CommandLine::complain_line(const std::string& text) const {
  std::fflush(stdout);
  write(stderr, fmt::format("{}: {}\n", name_, printable(text)));
}

}  // namespace pli::tools
