#include "tools/commands.h"
#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"

#include "runtime/core/error.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace pli::tools {

namespace {

struct Command {
  std::string_view name;
  int (*run)(int argc, char** argv);
  std::string_view summary;
};
constexpr Command kCommands[] = {
    {"onnx-optimize", onnx_optimize, "folds BatchNormalization into the weights of an ONNX model"},
    {"onnx-inspect", onnx_inspect, "says what is in an ONNX model and how it will be run"},
    {"onnx-run", onnx_run, "runs an ONNX model once"},
    {"onnx-test", onnx_test, "runs ONNX test cases"},
    {"onnx-bench", onnx_bench, "measures how long ONNX models take"},
};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands)
    if (command.name == name) return &command;
  return nullptr;
}

/// What the program does where it is called by none of the commands' names.
int explain(int argc, char** argv) {
  std::string commands;
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    commands += fmt::format("\n  {:15}{}", command.name, command.summary);
    names.emplace_back(command.name);
  }
  CommandLine line(argc, argv, "pli",
                   "Optimizes and runs ONNX models. This one program is all of these commands, by the name that it is "
                   "called by or by its first argument:" +
                       commands,
                   {{"onnx-optimize model.onnx -o model.opt.onnx", "by its name"},
                    {"pli onnx-optimize model.onnx -o model.opt.onnx", "by the first argument"}});
  std::vector<std::string> rest;
  line.add({.names = "COMMAND", .target = &rest, .help = "the command, with its own flags and arguments"});
  if (!line.parse()) return kDone;
  if (rest.empty()) fail(ErrorCode::kInvalidArgument, "no COMMAND given; see --help");
  if (find_command(rest[0])) fail(ErrorCode::kInvalidArgument, "the command comes first: pli {} ...", rest[0]);
  fail(ErrorCode::kInvalidArgument, "there is no command \"{}\"; there are {}", rest[0], suggest(rest[0], names));
}

}  // namespace

}  // namespace pli::tools

int main(int argc, char** argv) {
  using namespace pli::tools;
  const std::string_view path = argc > 0 ? argv[0] : "";
  const Command* command = find_command(path.substr(path.rfind('/') + 1));
  const bool is_argument = !command && argc > 1 && find_command(argv[1]);
  if (is_argument) command = find_command(argv[1]);
  return run_command(argc, argv, command ? std::string(command->name) : "pli", [&] {
    return command ? command->run(argc - is_argument, argv + is_argument) : explain(argc, argv);
  });
}
