#include "tools/commands.h"
#include "tools/support/console/command.h"

#include "runtime/core/error.h"

#include <string>
#include <string_view>

namespace pli::tools {

namespace {

struct Command {
  std::string_view name;
  int (*run)(int argc, char** argv);
};
constexpr Command kCommands[] = {
    {"onnx-optimize", onnx_optimize}, {"onnx-inspect", onnx_inspect}, {"onnx-run", onnx_run},
    {"onnx-test", onnx_test},         {"onnx-bench", onnx_bench},
};

const Command* find_command(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  for (const Command& command : kCommands)
    if (command.name == name) return &command;
  return nullptr;
}

[[noreturn]] void refuse(std::string_view name) {
  std::string names;
  for (const Command& command : kCommands) names += fmt::format("{}{}", names.empty() ? "" : ", ", command.name);
  fail(ErrorCode::kInvalidArgument, "\"{}\" is no command; call this program by a name of, or with, {}", name, names);
}

}  // namespace

}  // namespace pli::tools

/// One program that acts by the name that it is called by: "onnx-run ...", or "pli onnx-run ...".
int main(int argc, char** argv) {
  using namespace pli::tools;
  const Command* command = argc > 0 ? find_command(argv[0]) : nullptr;
  const bool named_by_argument = !command && argc > 1;
  if (named_by_argument) command = find_command(argv[1]);
  return run_command(argv, command ? std::string(command->name) : "pli", [&] {
    if (!command) refuse(argc > 1 ? argv[1] : "");
    return command->run(argc - named_by_argument, argv + named_by_argument);
  });
}
