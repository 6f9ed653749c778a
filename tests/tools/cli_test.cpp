// What all commands have in common.

#include "tests/tools/command.h"

namespace pli::test {
namespace {

class EveryCommand : public CommandTest, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Commands, EveryCommand, testing::ValuesIn(kCommands), [](const auto& command) {
  std::string name = command.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST_P(EveryCommand, HelpTeaches) {
  for (const char* flag : {"--help", "-h"}) {
    const Finished help = run({GetParam(), flag});
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_TRUE(contains(help.out, "Usage: " + GetParam()));
    const size_t examples = help.out.find("Examples:");
    ASSERT_NE(examples, std::string::npos);
    const std::string shown = help.out.substr(examples);
    EXPECT_NE(shown.find(GetParam()), shown.rfind(GetParam())) << "two examples at least";
    for (const std::string& line : lines_of(help.out)) EXPECT_LE(line.size(), 130u) << line;
  }
}

TEST_P(EveryCommand, VersionNamesWhatItRunsOn) {
  const Finished version = run({GetParam(), "--version"});
  EXPECT_EQ(version.code, 0);
  for (const char* part : {"Pli 0.1.0", "oneDNN 2.", "ONNX", "instruction set ", " thread"})
    EXPECT_TRUE(contains(version.out, part)) << part << " in " << version.out;
}

TEST_P(EveryCommand, RefusesWhatItDoesNotKnow) {
  EXPECT_TRUE(contains(refused({GetParam(), "--jsom"}, 2), "did you mean \"--json\"?"));
  EXPECT_TRUE(contains(refused({GetParam(), "--thread=2"}, 2), "did you mean \"--threads\"?"));
  refused({GetParam(), "-Z"}, 2);
  refused({GetParam(), kDigits, "--threads", "0"}, 2);
  refused({GetParam(), kDigits, "--threads", "two"}, 2);
  refused({GetParam(), kDigits, "--threads"}, 2);
  refused({GetParam()}, 2);
}

TEST_P(EveryCommand, SaysWhichFileItCanNotRead) {
  EXPECT_TRUE(contains(refused({GetParam(), "nowhere"}, 3), "nowhere"));
  EXPECT_TRUE(contains(refused({GetParam(), "no\nwhere\x1b[31m"}, 3), "no?where?[31m"));
}

TEST_P(EveryCommand, QuietIsQuietAndJsonIsAlone) {
  const std::string subject = GetParam() == "onnx-test" ? kDigitsCase : kDigits;
  std::vector<std::string> command{GetParam(), subject};
  if (GetParam() == "onnx-bench") command.insert(command.end(), {"--min-time", "0.01"});
  std::vector<std::string> quiet = command;
  quiet.push_back("-q");
  const Finished silent = run(quiet);
  EXPECT_EQ(silent.code, 0) << silent.err;
  EXPECT_EQ(silent.out + silent.err, "");
  EXPECT_TRUE(run_json(command).is_object());
}

TEST_P(EveryCommand, FailsWhenItsOutputCanNotBeWritten) {
  const std::string program = PLI_BINARY_DIR "/bin/" + GetParam();
  const Finished full = run_program({"/bin/sh", "-c", "'" + program + "' --help > /dev/full"}, folder_.path());
  EXPECT_EQ(full.code, 3);
  EXPECT_EQ(full.err, GetParam() + ": standard output can't be written\n");
  const Finished gone = run_program({"/bin/sh", "-c", "(sleep 0.1; '" + program + "' --help) | true"}, folder_.path());
  EXPECT_EQ(gone.err, "");  // a reader that has seen enough, such as head
}

TEST_P(EveryCommand, UsesNoColourAndNoProgressInAFile) {
  const std::string subject = GetParam() == "onnx-test" ? kDigitsCase : kDigits;
  std::vector<std::string> command{GetParam(), subject};
  if (GetParam() == "onnx-bench") command.insert(command.end(), {"--min-time", "0.01"});
  const Finished finished = run(command);
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_FALSE(contains(finished.out + finished.err, "\x1b")) << finished.out;
  EXPECT_EQ(finished.err, "");
}

}  // namespace
}  // namespace pli::test
