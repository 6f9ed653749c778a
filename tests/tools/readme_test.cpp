// What the README names has to be there: commands, flags, files and folders.

#include "tests/tools/command.h"

#include <regex>
#include <set>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = PLI_SOURCE_DIR;

std::string readme() { return read_file(kRoot / "README.md"); }

std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), regex), end; match != end; ++match)
    found.insert((*match)[1]);
  return found;
}

const std::string kFlag = R"((?:^|[^-\w])(--[a-z][a-z-]*))";

class Readme : public CommandTest {
 protected:
  /// Every flag that a command or a script of ours explains.
  std::set<std::string> known_flags() {
    std::string text;
    for (const std::string& command : kCommands) text += run({command, "--help"}).out;
    text += run({"pli", "--help"}).out;
    for (const char* folder : {"tools", "models"})
      for (const auto& entry : fs::directory_iterator(kRoot / folder)) {
        if (entry.path().extension() == ".sh") text += run_program({entry.path(), "--help"}, folder_.path()).out;
        if (entry.path().extension() == ".py") text += read_file(entry.path());
      }
    std::set<std::string> flags = matches(text, kFlag);
    flags.insert({"--install", "--prefix", "--preset", "--build", "--target"});  // cmake's
    return flags;
  }
};

TEST_F(Readme, NamesFlagsThatExistAndThoseThatDoNotYet) {
  std::string text = readme();
  const std::smatch refused = [&] {
    std::smatch match;
    EXPECT_TRUE(std::regex_search(text, match, std::regex(R"(Not there yet, and refused:[^]*?\n\n)")));
    return match;
  }();
  const std::set<std::string> absent = matches(refused.str(), kFlag);
  EXPECT_FALSE(absent.empty());
  text.erase(static_cast<size_t>(refused.position()), refused.str().size());
  const std::set<std::string> known = known_flags();
  for (const std::string& flag : matches(text, kFlag)) EXPECT_TRUE(known.contains(flag)) << flag;
  for (const std::string& flag : absent) EXPECT_FALSE(known.contains(flag)) << flag << " is there";
}

TEST_F(Readme, NamesCommandsThatExist) {
  const std::set<std::string> named = matches(readme(), R"(\b(onnx-[a-z]+)\b)");
  EXPECT_EQ(named, std::set<std::string>(kCommands.begin(), kCommands.end()));
}

TEST_F(Readme, NamesFilesThatExist) {
  const std::set<std::string> named =
      matches(readme(), R"([`\s]((?:runtime|passes|tools|models|tests|findings)/[\w./-]*\w))");
  EXPECT_GE(named.size(), 10u);
  for (const std::string& path : named) EXPECT_TRUE(fs::exists(kRoot / path)) << path;
}

TEST_F(Readme, ShowsTheTableOfOperators) {
  const std::string table = run({"onnx-inspect", "--operators"}).out;
  EXPECT_NE(table.find("BatchNormalization"), std::string::npos);
  std::string block = "    $ onnx-inspect --operators\n";
  for (size_t begin = 0; begin < table.size();) {
    const size_t end = table.find('\n', begin) + 1;
    block += "    " + table.substr(begin, end - begin);
    begin = end;
  }
  EXPECT_NE(readme().find(block), std::string::npos) << "the README has to show what onnx-inspect --operators prints:\n"
                                                     << block;
}

TEST_F(Readme, MapsEveryFolder) {
  const std::string text = readme();
  const std::string map = text.substr(text.find("## The map"));
  std::vector<std::string> folders;
  for (const char* top : {"runtime", "passes", "tools", "models", "tests", "findings"}) {
    folders.emplace_back(top);
    if (std::string(top) != "runtime" && std::string(top) != "tools") continue;  // tests mirror, models hold data
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / top))
      if (entry.is_directory() && entry.path().parent_path().filename() != "include")
        folders.push_back(entry.path().filename());
  }
  EXPECT_GE(folders.size(), 30u);
  for (const std::string& folder : folders)
    EXPECT_TRUE(std::regex_search(map, std::regex("\n *" + folder + "/"))) << folder;
}

}  // namespace
}  // namespace pli::test
