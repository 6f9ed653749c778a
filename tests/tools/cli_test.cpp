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

TEST_P(EveryCommand, VersionKnowsTheOtherFlags) {
  EXPECT_TRUE(contains(run({GetParam(), "--threads", "3", "--version"}).out, "\n3 threads (--threads)\n"));
  const auto version = run_json({GetParam(), "--threads", "3", "--version"});
  EXPECT_EQ(version["command"], GetParam());
  EXPECT_EQ(version["pli"], "0.1.0");
  EXPECT_EQ(version["threads"], 3);
}

TEST_P(EveryCommand, VerboseIsShownWhereItAddsSomething) {
  const std::string help = run({GetParam(), "--help"}).out;
  const bool adds = GetParam() != "onnx-bench";
  EXPECT_EQ(contains(help, "--verbose"), adds) << help;
  EXPECT_EQ(run({GetParam(), "-v", "--version"}).code, 0);
}

TEST_P(EveryCommand, SaysWhatIsWrongWithAFlag) {
  EXPECT_TRUE(contains(refused({GetParam(), "x", "--threads"}, 2), "--threads: a value is missing"));
  EXPECT_TRUE(
      contains(refused({GetParam(), "x", "--threads", "1", "--threads", "2"}, 2), "--threads is given more than once"));
  EXPECT_TRUE(contains(refused({GetParam(), "x", "--threads", "1.5"}, 2), "1.5 is no whole number between 1 and 1024"));
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
  const Finished mute = run_program({"/bin/sh", "-c", "'" + program + "' nowhere 2> /dev/full"}, folder_.path());
  EXPECT_EQ(mute.code, 3) << mute.signal;
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
