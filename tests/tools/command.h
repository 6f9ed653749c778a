#pragma once

#include "tests/subprocess.h"
#include "tests/tools/models.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

namespace pli::test {

inline const std::vector<std::string> kCommands{"onnx-optimize", "onnx-run", "onnx-test", "onnx-inspect", "onnx-bench"};
inline const std::string kDigits = PLI_SOURCE_DIR "/models/digits.onnx";
inline const std::string kDigitsCase = PLI_SOURCE_DIR "/models/digits";

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Runs the built commands in a temporary folder.
class CommandTest : public testing::Test {
 protected:
  Finished run(std::vector<std::string> command, const std::vector<std::string>& variables = {}) {
    command[0] = PLI_BINARY_DIR "/bin/" + command[0];
    return run_program(command, folder_.path(), variables);
  }

  /// The --json document of a command that has to end with `code`.
  nlohmann::json run_json(std::vector<std::string> command, int code = 0) {
    command.push_back("--json");
    const Finished finished = run(command);
    EXPECT_EQ(finished.code, code) << finished.err;
    nlohmann::json document = nlohmann::json::parse(finished.out, nullptr, false);
    EXPECT_FALSE(document.is_discarded()) << finished.out;
    return document;
  }

  /// The command ends with this code, says why on one line, and leaves nothing behind. Returns the line.
  std::string refused(const std::vector<std::string>& command, int code) {
    const std::vector<std::string> before = folder_.names();
    const Finished finished = run(command);
    EXPECT_EQ(finished.code, code) << testing::PrintToString(command) << " signal " << finished.signal << ": "
                                   << finished.err;
    const std::vector<std::string> lines = lines_of(finished.err);
    EXPECT_EQ(lines.size(), 1u) << testing::PrintToString(command) << ": " << finished.err;
    EXPECT_TRUE(finished.err.starts_with(command[0] + ": ")) << finished.err;
    EXPECT_EQ(folder_.names(), before) << testing::PrintToString(command);
    return lines.empty() ? "" : lines[0];
  }

  /// Saves a model under this name in the folder; gives its path.
  std::string save(const ModelBuilder& builder, const std::string& name) {
    const std::string path = folder_ / name;
    builder.build().save(path);
    return path;
  }

  TemporaryFolder folder_;
};

}  // namespace pli::test
