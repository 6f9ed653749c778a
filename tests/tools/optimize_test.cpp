#include "tests/tools/command.h"

#include <filesystem>

namespace pli::test {
namespace {

class Optimize : public CommandTest {};

TEST_F(Optimize, FoldsDigitsAndSaysWhatIntoWhat) {
  const Finished finished = run({"onnx-optimize", kDigits, "-o", "out.onnx"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, "10 of 10 BatchNormalizations folded")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "/stem/stem.0/Conv"));
  EXPECT_TRUE(contains(finished.out, "verified: 3 random input sets, image float32[1, 1, 8, 8]")) << finished.out;
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"out.onnx"});
}

TEST_F(Optimize, ReportHoldsTheStableKeys) {
  const auto report = run_json({"onnx-optimize", kDigits, "-o", "out.onnx", "--report", "report.json"});
  EXPECT_EQ(report["schema"], 1);
  EXPECT_EQ(report["pli"], "0.1.0");
  EXPECT_EQ(report["options"]["samples"], 3);
  EXPECT_EQ(report["input"]["path"], kDigits);
  EXPECT_EQ(report["input"]["bytes"], std::filesystem::file_size(kDigits));
  EXPECT_EQ(report["input"]["opset"], 17);
  EXPECT_EQ(report["output"]["bytes"], std::filesystem::file_size(folder_ / "out.onnx"));
  EXPECT_LT(report["output"]["nodes"], report["input"]["nodes"]);
  const auto& norms = report["batch_norms"];
  EXPECT_EQ(norms["found"], 10);
  EXPECT_EQ(norms["folded"], 10);
  EXPECT_EQ(norms["kept"], 0);
  ASSERT_EQ(norms["items"].size(), 10u);
  for (const auto& item : norms["items"]) {
    EXPECT_EQ(item["status"], "folded");
    for (const char* key : {"name", "output", "graph", "into", "how"}) EXPECT_TRUE(item.contains(key)) << key;
  }
  EXPECT_EQ(report["verification"]["status"], "passed");
  EXPECT_EQ(report["verification"]["samples"], 3);
  EXPECT_LT(report["verification"]["max_rel_rms"], 1e-4);
  for (const char* key : {"load", "optimize", "verify", "save", "total"}) EXPECT_GE(report["time_ms"][key], 0) << key;
  EXPECT_TRUE(report["passes"].is_array());
  EXPECT_TRUE(report["affines"].contains("found"));
  EXPECT_EQ(nlohmann::json::parse(read_file(folder_ / "report.json")), report);
  EXPECT_EQ(report["command"], "onnx-optimize");
  EXPECT_EQ(report["unchanged"], false);
  EXPECT_GT(report["verification"]["max_of_allowed"], 0);
  EXPECT_LT(report["verification"]["max_of_allowed"], 0.1);
  EXPECT_EQ(report["verification"]["guessed"], "--dim batch=1");
}

TEST_F(Optimize, CountsScalesAndShifts) {
  ModelBuilder b;
  const ir::ValueId image = b.input("image", DataType::kFloat32, {2, 4, 6, 7});
  const ir::ValueId conv = b.node("Conv", {image, b.weights("w", {5, 4, 1, 1})}, "conv");
  const ir::ValueId scaled = b.node("Mul", {conv, b.weights("k", {5, 1, 1})}, "scaled");
  b.output(b.node("Add", {b.node("Relu", {scaled}, "relu"), b.weights("s", {5, 1, 1})}, "y"));
  save(b, "model.onnx");
  const Finished finished = run({"onnx-optimize", "model.onnx"});
  EXPECT_TRUE(contains(finished.out, "\n1 of 2 scales or shifts by a constant folded\n")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "changes by pass: fold_channel_affine 1; ")) << finished.out;
}

TEST_F(Optimize, WritesNothingUnlessAsked) {
  const Finished finished = run({"onnx-optimize", kDigits});
  EXPECT_EQ(finished.code, 0);
  EXPECT_TRUE(contains(finished.out, "nothing written"));
  EXPECT_TRUE(run_json({"onnx-optimize", kDigits})["output"].is_null());
  EXPECT_TRUE(folder_.names().empty());
}

TEST_F(Optimize, TakesTheOutputAsSecondArgumentOrInPlace) {
  const std::string model = save(two_folds(), "model.onnx");
  EXPECT_EQ(run({"onnx-optimize", model, "second.onnx"}).code, 0);
  EXPECT_EQ(run({"onnx-optimize", model, "-o", model}).code, 0);
  EXPECT_EQ(read_file(model), read_file(folder_ / "second.onnx"));
  EXPECT_EQ(run_json({"onnx-optimize", model})["batch_norms"]["found"], 0);
  refused({"onnx-optimize", model, "-o", "a.onnx", "b.onnx"}, 2);
  EXPECT_TRUE(contains(refused({"onnx-optimize", model, "b.onnx", "-o", "a.onnx"}, 2), "--output is given more than"));
}

TEST_F(Optimize, SecondTimeChangesNothing) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "once.onnx"}).code, 0);
  EXPECT_EQ(run({"onnx-optimize", kDigits, "again.onnx"}).code, 0);
  const Finished second = run({"onnx-optimize", "once.onnx", "twice.onnx"});
  EXPECT_EQ(second.code, 0);
  EXPECT_TRUE(contains(second.out, "no BatchNormalization"));
  EXPECT_EQ(read_file(folder_ / "once.onnx"), read_file(folder_ / "again.onnx"));
  EXPECT_EQ(read_file(folder_ / "once.onnx"), read_file(folder_ / "twice.onnx"));
}

TEST_F(Optimize, WritesNothingWhenTheResultsDiffer) {
  save(fold_that_differs(), "model.onnx");
  const std::string line = refused({"onnx-optimize", "model.onnx", "-o", "out.onnx", "-q"}, 1);
  EXPECT_TRUE(contains(line, "the results differ, nothing was written: output \"result\"")) << line;
  const auto report = run_json({"onnx-optimize", "model.onnx", "-o", "out.onnx"}, 1);
  EXPECT_EQ(report["verification"]["status"], "failed");
  EXPECT_GT(report["verification"]["max_rel_rms"], 1e-3);
  EXPECT_TRUE(report["output"].is_null());
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"model.onnx"});
}

TEST_F(Optimize, KeepGoingUndoesJustTheFoldThatDiffers) {
  save(fold_that_differs(), "model.onnx");
  const auto report = run_json({"onnx-optimize", "model.onnx", "-o", "out.onnx", "--keep-going"});
  EXPECT_EQ(report["verification"]["status"], "passed");
  EXPECT_EQ(report["verification"]["undone"], nlohmann::json::array({"bn2"}));
  EXPECT_EQ(report["batch_norms"]["folded"], 1);
  EXPECT_EQ(report["batch_norms"]["items"][1]["status"], "kept");
  EXPECT_EQ(run_json({"onnx-inspect", "out.onnx"})["models"][0]["batch_norms"]["found"], 1);
}

TEST_F(Optimize, ToleranceIsTheUsers) {
  save(fold_that_differs(), "model.onnx");
  EXPECT_EQ(run({"onnx-optimize", "model.onnx", "--atol", "0.5"}).code, 0);
  EXPECT_EQ(run({"onnx-optimize", "model.onnx", "--no-verify"}).code, 0);
  refused({"onnx-optimize", kDigits, "--rtol", "0", "--atol", "0", "-q"}, 1);
}

TEST_F(Optimize, SaysWhatItCouldNotVerify) {
  save(unknown_operator(), "model.onnx");
  const Finished finished = run({"onnx-optimize", "model.onnx", "-o", "out.onnx"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, "not verified: ")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "com.example.Mystery")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "1 of 1 BatchNormalization folded")) << finished.out;
  std::filesystem::remove(folder_ / "out.onnx");
  const std::string line = refused({"onnx-optimize", "model.onnx", "-o", "out.onnx", "--require-verified", "-q"}, 1);
  EXPECT_TRUE(contains(line, "not verified")) << line;
}

TEST_F(Optimize, QuietStillSaysWhatItCouldNotVerify) {
  save(unknown_operator(), "model.onnx");
  const Finished quiet = run({"onnx-optimize", "model.onnx", "-q"});
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.out, "");
  EXPECT_TRUE(quiet.err.starts_with("onnx-optimize: model.onnx: not verified: ")) << quiet.err;
  EXPECT_EQ(run({"onnx-optimize", "model.onnx", "-q", "--no-verify"}).err, "") << "nobody asked for it";
}

TEST_F(Optimize, NothingToChangeIsSaidAndNotVerified) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "once.onnx"}).code, 0);
  const Finished again = run({"onnx-optimize", "once.onnx", "--require-verified"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(contains(again.out, "\nnothing to change: ")) << again.out;
  EXPECT_FALSE(contains(again.out, "verified:")) << again.out;
  const auto report = run_json({"onnx-optimize", "once.onnx"});
  EXPECT_EQ(report["unchanged"], true);
  EXPECT_EQ(report["verification"]["status"], "passed");
  EXPECT_EQ(report["verification"]["samples"], 0);
  EXPECT_EQ(run_json({"onnx-optimize", "once.onnx", "--dim", "batch=2"})["unchanged"], false);
}

TEST_F(Optimize, NamesEachFileThatItWritesReplacesOrRemoves) {
  using Files = nlohmann::json;
  const auto files = [&](std::vector<std::string> command) -> Files { return run_json(std::move(command))["files"]; };
  const auto entry = [](const char* path, const char* action) { return Files{{"path", path}, {"action", action}}; };
  EXPECT_EQ(files({"onnx-optimize", kDigits, "-o", "m.onnx", "--external-data", "always"}),
            (Files{entry("m.onnx", "written"), entry("m.onnx.data", "written")}));
  EXPECT_EQ(files({"onnx-optimize", "m.onnx", "-o", "m.onnx", "--report", "r.json"}),
            (Files{entry("m.onnx", "replaced"), entry("m.onnx.1.data", "written"), entry("m.onnx.data", "removed"),
                   entry("r.json", "written")}));
  const std::string in_place = run({"onnx-optimize", "m.onnx", "-o", "m.onnx"}).out;
  EXPECT_TRUE(contains(in_place, "\nreplaced m.onnx: ")) << in_place;
  EXPECT_TRUE(contains(in_place, "\nwrote m.onnx.data: ")) << in_place;
  EXPECT_TRUE(contains(in_place, "\nremoved m.onnx.1.data\n")) << in_place;
  const std::string over_another = run({"onnx-optimize", kDigits, "-o", "m.onnx", "--report", "r.json"}).out;
  EXPECT_TRUE(contains(over_another, "\nreplaced m.onnx, another file than the input: ")) << over_another;
  EXPECT_TRUE(contains(over_another, "\nremoved m.onnx.data\n")) << over_another;
  EXPECT_TRUE(contains(over_another, "\nreplaced r.json")) << over_another;
}

TEST_F(Optimize, ModelsGoThroughStandardStreams) {
  const std::string program = PLI_BINARY_DIR "/bin/onnx-optimize";
  const auto shell = [&](const std::string& text) { return run_program({"/bin/sh", "-c", text}, folder_.path()); };
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "file.onnx"}).code, 0);
  const Finished piped = shell("'" + program + "' - -o - < '" + kDigits + "' > piped.onnx");
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_TRUE(contains(piped.err, "10 of 10 BatchNormalizations folded")) << piped.err;
  EXPECT_EQ(read_file(folder_ / "piped.onnx"), read_file(folder_ / "file.onnx"));
  const auto facts = [&](const std::string& arguments) {
    shell("'" + program + "' " + arguments + " -q --report facts.json < '" + kDigits + "' > piped.onnx");
    const auto document = nlohmann::json::parse(read_file(folder_ / "facts.json"));
    return std::pair<int64_t, int64_t>(document["input"]["bytes"], document["output"]["bytes"]);
  };
  EXPECT_EQ(facts("- -o -"), facts("'" + std::string(kDigits) + "' -o file.onnx"));
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "-o", "/dev/stdout"}, 2), "-o - "));
  EXPECT_EQ(shell("'" + program + "' - -q < /dev/null").code, 4);
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "-o", "-", "--json"}, 2), "--report FILE"));
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "-o", "-", "--external-data", "always"}, 2), "second file"));
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "two.onnx", "--external-data", "always"}).code, 0);
  EXPECT_TRUE(contains(shell("'" + program + "' - < two.onnx").err, "standard input: ")) << "external data is refused";
}

TEST_F(Optimize, SaysWhatWasFoundInThePlaceOfBatchNormalization) {
  ModelBuilder b;
  const ir::ValueId image = b.input("image", DataType::kFloat32, {2, 4, 6, 7});
  const ir::ValueId scaled = b.node("Mul", {b.node("Relu", {image}, "relu"), b.weights("k", {4, 1, 1})}, "scaled");
  b.output(b.node("Add", {scaled, b.weights("s", {4, 1, 1})}, "y"));
  save(b, "decomposed.onnx");
  const std::string text = run({"onnx-optimize", "decomposed.onnx"}).out;
  EXPECT_FALSE(contains(text, "many exporters")) << text;
  EXPECT_TRUE(contains(text, "no BatchNormalization in it, but scales or shifts by a constant")) << text;
  EXPECT_TRUE(contains(text, "0 of 2 scales or shifts by a constant folded")) << text;
  EXPECT_TRUE(contains(text, "\n  kept scaled_node\n      no linear neighbour: ")) << text;
  ModelBuilder plain;
  plain.output(plain.node("Relu", {plain.input("x", DataType::kFloat32, {2})}, "y"));
  save(plain, "plain.onnx");
  EXPECT_TRUE(contains(run({"onnx-optimize", "plain.onnx"}).out, "many exporters fold them themselves"));
}

/// A model of 15 BatchNormalizations with long names: 8 behind a Conv each, that pads, and 7 behind a Relu.
ModelBuilder many_norms() {
  ModelBuilder b;
  ir::ValueId x = b.input("image", DataType::kFloat32, {1, 4, 6, 7});
  for (int i = 0; i < 15; ++i) {
    const std::string name =
        fmt::format("/features/denseblock{}/a_very_long_name_of_a_layer/of_which_there_are/many", i);
    if (i % 2 == 0)
      x = b.node("Conv", {x, b.weights(fmt::format("w{}", i), {4, 4, 3, 3})}, name + "/conv",
                 {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}});
    else
      x = b.node("Relu", {x}, name + "/relu");
    x = b.batch_norm(x, name + "/norm", 4);
  }
  b.output(x);
  return b;
}

TEST_F(Optimize, ManyBatchNormalizationsAreGroupedWithinAHundredColumns) {
  save(many_norms(), "model.onnx");
  for (const char* command : {"onnx-optimize", "onnx-inspect"}) {
    const std::string text = run({command, "model.onnx"}).out;
    EXPECT_TRUE(contains(text, "     8 x folded, conv absorbs following: /features/denseblock0/")) << text;
    EXPECT_TRUE(contains(text, "/norm_node, ...\n")) << text;
    EXPECT_TRUE(contains(text, "     7 x kept, nonlinear between: /features/denseblock1/")) << text;
    for (const std::string& line : lines_of(text)) EXPECT_LE(line.size(), 100u) << line;
    const std::string whole = run({command, "model.onnx", "-v"}).out;
    EXPECT_TRUE(
        contains(whole, "/features/denseblock14/a_very_long_name_of_a_layer/of_which_there_are/many/norm_node"));
  }
  EXPECT_EQ(run_json({"onnx-optimize", "model.onnx"})["batch_norms"]["items"].size(), 15u);
}

TEST_F(Optimize, OutputsThatAreAllNanVerifyNothing) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {2, 3});
  const ir::ValueId negative = b.node("Sub", {x, b.constant<float>("c", {}, {1000.0f})}, "negative");
  b.output(b.node("Sqrt", {b.node("Identity", {negative}, "same")}, "y"));
  save(b, "model.onnx");
  const auto report = run_json({"onnx-optimize", "model.onnx"});
  EXPECT_EQ(report["verification"]["status"], "skipped");
  EXPECT_TRUE(contains(report["verification"]["reason"], "NaN")) << report["verification"];
}

TEST_F(Optimize, ComparesOnTheUsersInputs) {
  const std::string image = kDigitsCase + "/test_data_set_1/input_0.pb";
  const auto report = run_json({"onnx-optimize", kDigits, "--input", "image=" + image});
  EXPECT_EQ(report["verification"]["samples"], 1);
  EXPECT_EQ(report["verification"]["inputs"], "image float32[450, 1, 8, 8]");
  EXPECT_EQ(report["verification"]["random"], false);
  EXPECT_EQ(report["verification"]["guessed"], "");
  EXPECT_TRUE(
      contains(run({"onnx-optimize", kDigits, "--input", "image=" + image}).out, "verified: 1 given input set"));
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "--input", "imgae=" + image}, 2), "it has \"image\""));
}

TEST_F(Optimize, ShapesCanBeFixed) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-o", "four.onnx", "--dim", "batch=4"}).code, 0);
  const auto four = run_json({"onnx-inspect", "four.onnx"})["models"][0];
  EXPECT_EQ(four["inputs"][0]["type"], "float32[4, 1, 8, 8]");
  EXPECT_EQ(four["outputs"][0]["type"], "float32[4, 10]");
  const auto report = run_json({"onnx-optimize", kDigits, "-o", "five.onnx", "--shape", "image:5,1,8,8"});
  EXPECT_EQ(report["verification"]["status"], "passed");
  EXPECT_EQ(report["verification"]["inputs"], "image float32[5, 1, 8, 8]");
  EXPECT_EQ(run_json({"onnx-inspect", "five.onnx"})["models"][0]["outputs"][0]["type"], "float32[5, 10]");
  refused({"onnx-run", "five.onnx", "--dim", "batch=2"}, 2);
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "--dim", "batches=4"}, 2), "digits.onnx: "));
  refused({"onnx-optimize", kDigits, "--shape", "image:5,1,8,9"}, 2);
}

TEST_F(Optimize, PassesCanBeChosen) {
  const Finished list = run({"onnx-optimize", "--list-passes"});
  EXPECT_EQ(list.code, 0);
  EXPECT_TRUE(contains(list.out, "fold_batch_norm "));
  EXPECT_EQ(run_json({"onnx-optimize", kDigits, "--disable", "fold_batch_norm"})["batch_norms"]["folded"], 0);
  EXPECT_EQ(run_json({"onnx-optimize", kDigits, "--only", "fold_constants,eliminate_nop"})["batch_norms"]["folded"], 0);
  EXPECT_EQ(run_json({"onnx-optimize", kDigits, "--only", "fold_batch_norm"})["batch_norms"]["folded"], 10);
  EXPECT_EQ(run({"onnx-optimize", kDigits, "--stop-after", "fold_batch_norm"}).code, 0);
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "--disable", "fold_bach_norm"}, 2), "fold_batch_norm"));
  refused({"onnx-optimize", kDigits, "--stop-after", "everything"}, 2);
}

TEST_F(Optimize, WeightsGoIntoASecondFileOnDemand) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-o", "two.onnx", "--external-data", "always"}).code, 0);
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"two.onnx", "two.onnx.data"}));
  EXPECT_EQ(run({"onnx-test", "--model", "two.onnx", "--atol-rms", "1e-3", kDigitsCase}).code, 0);
  const auto made = run_json({"onnx-optimize", kDigits, "-o", "made.onnx", "--external-data", "always"});
  EXPECT_EQ(made["output"]["bytes"],
            std::filesystem::file_size(folder_ / "made.onnx") + std::filesystem::file_size(folder_ / "made.onnx.data"));
  const auto report = run_json({"onnx-optimize", "two.onnx", "-o", "still_two.onnx"});
  EXPECT_EQ(report["input"]["bytes"],
            std::filesystem::file_size(folder_ / "two.onnx") + std::filesystem::file_size(folder_ / "two.onnx.data"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "still_two.onnx.data"));
  EXPECT_EQ(run({"onnx-optimize", "two.onnx", "-o", "one.onnx", "--external-data", "never"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "one.onnx.data"));
  refused({"onnx-optimize", kDigits, "--external-data", "sometimes"}, 2);
}

TEST_F(Optimize, WeightsMayLieInAFileOfAnyName) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-o", "two.onnx", "--external-data", "always"}).code, 0);
  std::string model = read_file(folder_ / "two.onnx");
  const std::string written = "two.onnx.data", other = "weights-1.bin";  // as long, so that the file stays well-formed
  for (size_t at = model.find(written); at != std::string::npos; at = model.find(written, at))
    model.replace(at, written.size(), other);
  write_file(folder_ / "two.onnx", model);
  std::filesystem::rename(folder_ / written, folder_ / other);
  const auto report = run_json({"onnx-optimize", "two.onnx"});
  EXPECT_EQ(report["input"]["bytes"],
            std::filesystem::file_size(folder_ / "two.onnx") + std::filesystem::file_size(folder_ / other));
  EXPECT_TRUE(contains(refused({"onnx-optimize", "two.onnx", "-q", "--report", other}, 2), "would overwrite"));
}

TEST_F(Optimize, ExternalDataMayLieWhereTheUserSays) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-o", "two.onnx", "--external-data", "always"}).code, 0);
  for (const char* folder : {"a", "b", "links"}) std::filesystem::create_directory(folder_ / folder);
  for (const auto& [name, place] : {std::pair("two.onnx", "a"), std::pair("two.onnx.data", "b")}) {
    std::filesystem::rename(folder_ / name, folder_.path() / place / name);
    std::filesystem::create_symlink(folder_.path() / place / name, folder_.path() / "links" / name);
  }
  std::filesystem::create_symlink(kDigitsCase + "/test_data_set_0", folder_ / "links/test_data_set_0");
  std::filesystem::create_symlink("two.onnx", folder_ / "links/model.onnx");
  const std::string model = "links/two.onnx";
  for (const std::vector<std::string>& command : {std::vector<std::string>{"onnx-optimize", model},
                                                  {"onnx-inspect", model},
                                                  {"onnx-run", model},
                                                  {"onnx-bench", model, "--min-time", "0.02"},
                                                  {"onnx-test", "links"}}) {
    const bool tests = command[0] == "onnx-test";
    const Finished refusal = run(command);
    EXPECT_EQ(refusal.code, tests ? 1 : 4) << command[0];
    EXPECT_TRUE(contains(refusal.out + refusal.err, "--allow-external DIR")) << refusal.err;
    std::vector<std::string> allowed = command;
    allowed.insert(allowed.end(), {"--allow-external", "b"});
    EXPECT_EQ(run(allowed).code, 0) << command[0];
  }
  const auto report = run_json({"onnx-optimize", model, "--allow-external", "b"});
  EXPECT_EQ(report["input"]["bytes"], std::filesystem::file_size(folder_ / "a/two.onnx") +
                                          std::filesystem::file_size(folder_ / "b/two.onnx.data"));
  EXPECT_EQ(report["options"]["allow_external"], nlohmann::json::array({"b"}));
}

TEST_F(Optimize, RefusesToWriteWhereItCanNotOrMustNot) {
  refused({"onnx-optimize", kDigits, "-o", "no/such/folder/out.onnx"}, 3);
  refused({"onnx-optimize", kDigits, "--report", "no/such/folder/report.json"}, 3);
  std::filesystem::create_directory(folder_ / "folder");
  refused({"onnx-optimize", kDigits, "-q", "-o", "folder"}, 3);
  write_file(folder_ / "real.onnx", "precious");
  std::filesystem::create_symlink("real.onnx", folder_ / "link.onnx");
  EXPECT_TRUE(contains(refused({"onnx-optimize", kDigits, "-q", "-o", "link.onnx"}, 3),
                       "write to a new name, or to " + (folder_ / "real.onnx").string()));
  EXPECT_EQ(read_file(folder_ / "real.onnx"), "precious");
}

TEST_F(Optimize, TheReportTakesNoModelsPlace) {
  const std::string model = save(two_folds(), "model.onnx");
  std::filesystem::create_directory(folder_ / "folder");
  std::filesystem::create_directory_symlink("folder", folder_ / "other");
  std::filesystem::create_hard_link(model, folder_ / "again.onnx");
  for (const char* report :
       {"model.onnx", "./model.onnx", "model.onnx.data", "model.onnx.3.data", "./model.onnx.0.data", "again.onnx"}) {
    const std::string line = refused({"onnx-optimize", model, "-q", "--report", report}, 2);
    EXPECT_TRUE(contains(line, "would overwrite")) << line;
  }
  for (const char* report : {"folder/out.onnx", "folder/out.onnx.data", "other/out.onnx.12.data", "other/out.onnx",
                             "folder/../folder/out.onnx"})
    refused({"onnx-optimize", model, "-q", "-o", "folder/out.onnx", "--report", report}, 2);
  EXPECT_EQ(run({"onnx-optimize", model, "-q", "-o", "folder/out.onnx", "--report", "out.onnx"}).code, 0);
}

TEST_F(Optimize, FilesWithoutNamesAreRefused) {
  refused({"onnx-optimize", kDigits, "-o", ""}, 2);
  refused({"onnx-optimize", kDigits, ""}, 2);
  refused({"onnx-optimize", kDigits, "--report", ""}, 2);
}

TEST_F(Optimize, InputsLargerThanALimitAreNamed) {
  const std::string line = refused({"onnx-optimize", kDigits, "-o", "big.onnx", "--dim", "batch=1000000000"}, 6);
  EXPECT_TRUE(contains(line, "digits.onnx: input \"image\" float32[1000000000, 1, 8, 8] takes more than")) << line;
}

TEST_F(Optimize, KeepGoingUndoesAFoldWhoseOutputWasRenamed) {
  // As fold_that_differs, with a Mul and Add in the place of its second BatchNormalization and an Identity behind.
  ModelBuilder b;
  const ir::ValueId image = b.input("image", DataType::kFloat32, {2, 4, 6, 7});
  const ir::ValueId conv = b.node(
      "Conv", {image, b.weights("w", {5, 4, 1, 1}), b.constant<float>("b", {5}, std::vector<float>(5, 1e6f))}, "conv");
  const ir::ValueId shifted = b.node("Sub", {conv, b.constant<float>("mean", {}, {1e6f})}, "shifted");
  b.output(b.node("Identity", {shifted}, "result"));
  save(b, "model.onnx");
  const auto report = run_json({"onnx-optimize", "model.onnx", "-o", "out.onnx", "--keep-going"});
  EXPECT_EQ(report["verification"]["status"], "passed");
  EXPECT_EQ(report["verification"]["undone"], nlohmann::json::array({"shifted"}));
}

TEST_F(Optimize, LeavesTheOldFileWhenTheDiskIsFull) {
  write_file(folder_ / "out.onnx", "precious");
  const std::string program = PLI_BINARY_DIR "/bin/onnx-optimize";
  // 16 blocks of 512 bytes may be written to a file.
  const Finished finished = run_program(
      {"/bin/sh", "-c", "ulimit -f 16; '" + program + "' '" + kDigits + "' -q -o out.onnx"}, folder_.path());
  EXPECT_EQ(finished.code, 3) << finished.err;
  EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  EXPECT_EQ(read_file(folder_ / "out.onnx"), "precious");
  EXPECT_EQ(folder_.names(), std::vector<std::string>{"out.onnx"});
}

}  // namespace
}  // namespace pli::test
