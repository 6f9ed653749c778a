// What all commands have in common.

#include "tests/tools/command.h"

#include <regex>

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
    for (const std::string& line : lines_of(help.out)) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST_P(EveryCommand, VersionNamesWhatItRunsOn) {
  const Finished version = run({GetParam(), "--version"});
  EXPECT_EQ(version.code, 0);
  for (const char* part : {"Pli 0.1.0", "oneDNN ", "ONNX", "instruction set ", " thread"})
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

TEST_P(EveryCommand, ErrorsAreDocumentsWithJson) {
  const auto document = run_json({GetParam(), "nowhere"}, 3);
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["pli"], "0.1.0");
  EXPECT_EQ(document["command"], GetParam());
  EXPECT_TRUE(document["options"].is_object());
  EXPECT_EQ(document["error"]["code"], "io");
  EXPECT_TRUE(contains(document["error"]["message"], "nowhere"));
  EXPECT_EQ(document["error"]["file"], "nowhere");
  EXPECT_TRUE(document["error"]["node"].is_null());
  EXPECT_EQ(run_json({GetParam(), "--no-such-flag"}, 2)["error"]["code"], "invalid_argument");
  EXPECT_TRUE(contains(run({GetParam(), "nowhere", "--json"}).err, GetParam() + ": "));
}

TEST_P(EveryCommand, DocumentsSayWhatWasAskedFor) {
  const std::string subject = GetParam() == "onnx-test" ? kDigitsCase : kDigits;
  std::vector<std::string> command{GetParam(), subject, "--threads", "1"};
  if (GetParam() == "onnx-bench") command.insert(command.end(), {"--min-time", "0.01"});
  const auto document = run_json(command);
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["pli"], "0.1.0");
  EXPECT_EQ(document["command"], GetParam());
  EXPECT_EQ(document["options"]["threads"], 1);
  EXPECT_EQ(document["options"]["allow_external"], nlohmann::json::array());
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

class OneCommand : public CommandTest {};

TEST_F(OneCommand, ErrorsNameTheNode) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {2, 6, 5, 5});
  b.output(b.node("Conv", {x, b.weights("w", {4, 5, 3, 3})}, "y"));
  const std::string model = save(b, "model.onnx");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"onnx-run", model}, {"onnx-bench", model, "--min-time", "0.01"}}) {
    const auto error = run_json(command, 4)["error"];
    EXPECT_EQ(error["code"], "invalid_model");
    EXPECT_EQ(error["file"], model);
    EXPECT_EQ(error["node"], "Conv \"y_node\"");
  }
}

TEST_F(OneCommand, FlagsOfOtherToolsAreExplained) {
  const auto hint = [&](const std::string& command, const std::string& flag) {
    return refused({command, "m", flag}, 2);
  };
  EXPECT_TRUE(contains(hint("onnx-optimize", "--overwrite-input-shape"),
                       "onnxsim's --overwrite-input-shape is --shape NAME:DIMS here"));
  EXPECT_TRUE(
      contains(hint("onnx-optimize", "--model-check-inputs=x:1"), "onnxslim's --model-check-inputs is --input"));
  for (const char* flag : {"--enable-onnxruntime-optimization", "--include-subgraph", "--unused-output",
                           "--no-large-tensor", "--custom-lib", "--size-threshold", "--inputs"})
    EXPECT_TRUE(contains(hint("onnx-optimize", flag), " here")) << flag;
  EXPECT_TRUE(contains(hint("onnx-bench", "--iterations"), "trtexec's --iterations is --runs N here"));
  EXPECT_TRUE(contains(refused({"onnx-optimize", "m", "o", "3"}, 2), "onnxsim's number of checks is --samples N here"));
}

TEST_F(OneCommand, HintsNameFlagsThatExist) {
  const std::string source = read_file(PLI_SOURCE_DIR "/tools/support/console/foreign_flags.cpp");
  std::string known;
  for (const std::string& command : kCommands) known += run({command, "--help"}).out;
  const std::regex meaning(R"re("((?:is|does)[^"]*)")re");
  const std::regex flag(R"((?:^|[ ,])(--[a-z-]+))");
  size_t checked = 0;
  for (std::sregex_iterator hint(source.begin(), source.end(), meaning), end; hint != end; ++hint) {
    const std::string words = (*hint)[1];
    for (std::sregex_iterator name(words.begin(), words.end(), flag); name != end; ++name, ++checked)
      EXPECT_TRUE(contains(known, (*name)[1])) << words;
  }
  EXPECT_GE(checked, 20u);
}

TEST_F(OneCommand, WhatFollowsTwoDashesIsAFile) {
  std::filesystem::copy(kDigits, folder_ / "-v");
  EXPECT_EQ(run({"onnx-inspect", "-q", "--", "-v"}).code, 0);
  EXPECT_TRUE(contains(refused({"onnx-optimize", "--", "a", "b", "c"}, 2), "unexpected argument \"c\""));
}

TEST_F(OneCommand, EveryUnsupportedOperatorIsListedAtOnce) {
  ModelBuilder b;
  auto body = std::make_shared<ir::Graph>(b.graph().opsets());
  const ir::NodeId inner = body->add_node({.op_type = "Inner", .domain = "com.example", .outputs = {{"r", {}, {}}}});
  body->add_output({"r", body->node(inner).outputs[0], {}, {}});
  const ir::ValueId condition = b.input("condition", DataType::kBool, {});
  const ir::Subgraph branch{body, {}};
  const ir::ValueId chosen =
      b.node("If", {condition}, "chosen", {{"then_branch", branch, {}}, {"else_branch", branch, {}}});
  b.output(b.node("Outer", {chosen}, "y", {}, "com.example"));
  const std::string line = refused({"onnx-run", save(b, "model.onnx")}, 5);
  EXPECT_TRUE(contains(line, "com.example.Inner") && contains(line, "com.example.Outer")) << line;
}

TEST_F(OneCommand, ProgressIsShownOnATerminal) {
  const std::string program = PLI_BINARY_DIR "/bin/onnx-optimize '" + kDigits + "' --samples 20";
  const Finished typed = run_program({"/usr/bin/script", "-qec", program, "typescript"}, folder_.path());
  EXPECT_EQ(typed.code, 0) << typed.out;
  EXPECT_TRUE(contains(typed.out, "verifying 50 %, about ")) << typed.out;
  EXPECT_TRUE(contains(typed.out, " left...")) << typed.out;
}

}  // namespace
}  // namespace pli::test
