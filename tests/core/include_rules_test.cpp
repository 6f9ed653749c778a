#include "tests/temporary_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

namespace pli::test {

namespace {

using Parts = std::set<std::string>;

/// Which parts of the tree a part may include beside itself and the public headers, "pli". The parts are folders, named
/// by their path.
const std::map<std::string, Parts> kMayInclude{
    {"runtime/include/pli", {}},
    {"runtime/core", {}},
    {"runtime/ir", {"runtime/core"}},
    {"runtime/compute", {"runtime/core"}},
    {"runtime/onnx", {"runtime/core", "runtime/ir"}},
    {"runtime/ops", {"runtime/core", "runtime/ir", "runtime/compute"}},
    {"runtime/exec", {"runtime/core", "runtime/ir", "runtime/compute", "runtime/ops"}},
    {"passes", {"runtime/core", "runtime/ir", "runtime/ops"}},
    {"runtime/api",
     {"runtime/core", "runtime/ir", "runtime/compute", "runtime/onnx", "runtime/ops", "runtime/exec", "passes"}},
    // What commands show of the machine and of the operators comes from compute and ops.
    {"tools/support/console", {"runtime/core", "runtime/compute", "runtime/ops"}},
    {"tools/support/process", {"runtime/core", "tools/support/console"}},
    {"tools/support/data", {"runtime/core", "runtime/ir", "runtime/onnx", "runtime/exec", "tools/support/console"}},
    {"tools/support/verification",
     {"runtime/core", "runtime/ir", "tools/support/console", "tools/support/data", "tools/support/process"}},
    {"tools/support/reports",
     {"runtime/core", "runtime/ir", "runtime/onnx", "runtime/ops", "runtime/exec", "tools/support/console",
      "tools/support/data", "tools/support/verification"}},
    {"tools/support/benchmark",
     {"runtime/core", "runtime/compute", "tools/support/console", "tools/support/data", "tools/support/process"}},
    {"tools",
     {"runtime/core", "tools/support/console", "tools/support/process", "tools/support/data",
      "tools/support/verification", "tools/support/reports", "tools/support/benchmark"}},
    {"tools/examples", {}},
};

/// Foreign headers that only some files may include: a pattern of the header, and one of the files.
const std::vector<std::pair<std::string, std::string>> kForeign{
    {"(oneapi/dnnl/)?dnnl.*", "runtime/compute/onednn\\.h"},
    {"(pli/)?onnx[/.].*|google/protobuf/.*", "runtime/onnx/.*"},
    {"omp\\.h", "runtime/compute/.*"},
    {"CLI/.*", "tools/support/console/command_line\\.cpp"},
    {"nlohmann/.*", "tools/support/.*"},
};

/// The part that a file or an include path belongs to: the longest one that it begins with.
std::string part_of(const std::string& path) {
  std::string found;
  for (const auto& [part, allowed] : kMayInclude)
    if (path.starts_with(part + "/") && part.size() > found.size()) found = part;
  return found;
}

/// What is wrong with an include in a file, both relative to the root; empty when it is right.
std::string complaint(const std::string& file, const std::string& included, bool quoted) {
  for (const auto& [header, files] : kForeign)
    if (!quoted && std::regex_match(included, std::regex(header)) && !std::regex_match(file, std::regex(files)))
      return file + " may not include <" + included + ">";
  if (included == "runtime/compute/onednn.h" && !file.starts_with("runtime/compute/"))
    return file + " may not include oneDNN's adapter";
  if (included == "runtime/compute/onednn.h" && file.ends_with(".h"))
    return file + " is a header and may not include oneDNN's adapter";
  if (!quoted) return {};
  const std::string from = part_of(file);
  const std::string to = part_of(included);
  if (from.empty()) return file + " lies in no part of the tree that the rules know";
  if (to.empty()) return file + " includes \"" + included + "\", which is not a path from the root";
  if (from == to || kMayInclude.at(from).contains(to)) return {};
  return file + " may not include " + to;
}

std::vector<std::string> complaints_about(const std::string& file, const std::string& text) {
  static const std::regex kInclude(R"re(#\s*include\s*([<"])([^>"]+)[>"])re");
  std::vector<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), kInclude), end; match != end; ++match) {
    const bool ours = !part_of((*match)[2]).empty();  // whichever way it is written
    std::string wrong = complaint(file, (*match)[2], ours || (*match)[1] == "\"");
    if (!wrong.empty()) found.push_back(std::move(wrong));
  }
  return found;
}

TEST(IncludeRules, EveryFileKeepsToThem) {
  const std::filesystem::path root = PLI_SOURCE_DIR;
  int files = 0;
  for (const char* folder : {"runtime", "passes", "tools"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      ++files;
      const std::string file = entry.path().lexically_relative(root);
      for (const std::string& wrong : complaints_about(file, read_file(entry.path()))) ADD_FAILURE() << wrong;
    }
  EXPECT_GE(files, 100);
}

TEST(IncludeRules, BreachesAreFound) {
  const auto count = [](const std::string& file, const std::string& text) {
    return complaints_about(file, text).size();
  };
  EXPECT_EQ(
      count("runtime/ir/graph.h", "#include \"runtime/core/tensor.h\"\n#include <vector>\n#include <pli/value.h>"), 0u);
  EXPECT_EQ(count("runtime/core/tensor.h", "#include \"runtime/ir/graph.h\""), 1u);
  EXPECT_EQ(count("runtime/ops/linear/conv.cpp", "#  include \"runtime/exec/plan.h\""), 1u);
  EXPECT_EQ(count("runtime/ops/linear/conv.cpp", "#include <dnnl.hpp>"), 1u);
  EXPECT_EQ(count("runtime/compute/conv.cpp", "#include <oneapi/dnnl/dnnl.hpp>\n#include <dnnl.hpp>"), 2u);
  EXPECT_EQ(count("runtime/compute/onednn.h", "#include <dnnl.hpp>"), 0u);
  EXPECT_EQ(count("runtime/ops/linear/conv.cpp", "#include \"runtime/compute/onednn.h\""), 1u);
  EXPECT_EQ(count("runtime/compute/conv.h", "#include \"runtime/compute/onednn.h\""), 1u);
  EXPECT_EQ(count("runtime/api/model.cpp", "#include <onnx/onnx_pb.h>"), 1u);
  EXPECT_EQ(count("runtime/api/model.cpp", "#include <pli/onnx.pb.h>"), 1u);
  EXPECT_EQ(count("passes/fold.cpp", "#include <google/protobuf/message.h>"), 1u);
  EXPECT_EQ(count("passes/fold.cpp", "#include \"runtime/exec/plan.h\""), 1u);
  EXPECT_EQ(count("passes/fold.cpp", "#include <runtime/exec/plan.h>"), 1u);
  EXPECT_EQ(count("runtime/include/pli/model.h", "#include \"runtime/ir/graph.h\""), 1u);
  EXPECT_EQ(count("tools/onnx_run.cpp", "#include \"runtime/ir/graph.h\""), 1u);
  EXPECT_EQ(count("runtime/new/thing.cpp", "#include \"runtime/core/error.h\""), 1u);
  EXPECT_EQ(count("runtime/core/files.cpp", "#include \"files.h\""), 1u);
}

}  // namespace

}  // namespace pli::test
