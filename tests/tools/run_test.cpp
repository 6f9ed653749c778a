#include "tests/tools/command.h"
#include "tools/support/data/npy.h"

#include <filesystem>

namespace pli::test {
namespace {

class Run : public CommandTest {
 protected:
  /// A model whose outputs have these names: all are its input, a vector of 6.
  std::string model_with_outputs(const std::vector<std::string>& names) {
    ModelBuilder b;
    const ir::ValueId x = b.input("x", DataType::kFloat32, {6});
    for (const std::string& name : names) b.output(b.node("Abs", {x}, name));
    return save(b, "model.onnx");
  }
};

TEST_F(Run, SummarisesInputsAndOutputs) {
  const Finished finished = run({"onnx-run", kDigits});
  EXPECT_EQ(finished.code, 0) << finished.err;
  const auto lines = lines_of(finished.out);
  ASSERT_GE(lines.size(), 4u);
  EXPECT_TRUE(lines[0].starts_with("input image float32[1, 1, 8, 8], random numbers: min -")) << lines[0];
  EXPECT_EQ(lines[1], "guessed: --dim batch=1");
  EXPECT_TRUE(lines[2].starts_with("output logits float32[1, 10]: min ")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("  top 5:  [")) << lines[3];
}

TEST_F(Run, SeedsAreFixedAndOptimizingChangesLittle) {
  const auto first = run_json({"onnx-run", kDigits});
  const auto second = run_json({"onnx-run", kDigits});
  const auto plain = run_json({"onnx-run", kDigits, "--no-optimize"});
  EXPECT_EQ(first["outputs"], second["outputs"]);
  EXPECT_NEAR(first["outputs"][0]["max"].get<double>(), plain["outputs"][0]["max"].get<double>(), 1e-4);
  EXPECT_EQ(first["inputs"][0]["shape"], nlohmann::json::array({1, 1, 8, 8}));
}

TEST_F(Run, TakesAPrecision) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {1, 32, 20, 20});
  b.output(b.node("Conv", {x, b.weights("w", {32, 32, 3, 3})}, "y"));
  const std::string model = save(b, "convolution.onnx");
  const auto fast = run_json({"onnx-run", model, "--precision", "f32"});
  const auto exact = run_json({"onnx-run", model, "--precision", "f32-exact"});
  EXPECT_EQ(fast["outputs"], run_json({"onnx-run", model})["outputs"]);
  EXPECT_NE(fast["outputs"], exact["outputs"]);
  EXPECT_NEAR(fast["outputs"][0]["max"].get<double>(), exact["outputs"][0]["max"].get<double>(), 1e-2);
  const std::string line = refused({"onnx-run", kDigits, "--precision", "bf16"}, 2);
  EXPECT_TRUE(contains(line, "f32-exact")) << line;
}

TEST_F(Run, TakesAndWritesBothKindsOfFiles) {
  const std::string image = "image=" + kDigitsCase + "/test_data_set_0/input_0.pb";
  const auto report = run_json({"onnx-run", kDigits, "--input", image, "--output-dir", "npy"});
  EXPECT_EQ(report["inputs"][0]["origin"], image.substr(image.find('=') + 1));
  EXPECT_EQ(report["guessed"], "");
  EXPECT_EQ(run({"onnx-run", kDigits, "--input", image, "--output-dir", "pb", "--pb"}).code, 0);
  const Tensor logits = tools::read_npy(folder_ / "npy/logits.npy");
  EXPECT_EQ(to_string(logits.shape()), "[1, 10]");
  // What it wrote is what the case expects.
  std::filesystem::create_directories(folder_ / "case/test_data_set_0");
  std::filesystem::copy(kDigits, folder_ / "case/model.onnx");
  std::filesystem::copy(kDigitsCase + "/test_data_set_0/input_0.pb", folder_ / "case/test_data_set_0/input_0.pb");
  std::filesystem::copy(folder_ / "pb/logits.pb", folder_ / "case/test_data_set_0/output_0.pb");
  EXPECT_EQ(run({"onnx-test", "case", "--rtol", "0", "--atol", "0"}).code, 0);
}

TEST_F(Run, ShapesAndDimensionsAreTheUsers) {
  EXPECT_EQ(run_json({"onnx-run", kDigits, "--dim", "batch=5"})["outputs"][0]["shape"], nlohmann::json::array({5, 10}));
  EXPECT_EQ(run_json({"onnx-run", kDigits, "--shape", "image:3,1,8,8"})["outputs"][0]["shape"],
            nlohmann::json::array({3, 10}));
  EXPECT_TRUE(contains(refused({"onnx-run", kDigits, "--dim", "bacth=5"}, 2), "\"batch\""));
  refused({"onnx-run", kDigits, "--shape", "image:3,2,8,8"}, 2);
  refused({"onnx-run", kDigits, "--shape", "image:3,1,8"}, 2);
  refused({"onnx-run", kDigits, "--shape", "image:-3,1,8,8"}, 2);
}

TEST_F(Run, RefusesInputsThatDoNotFit) {
  const std::string other = kDigitsCase + "/test_data_set_0/output_0.pb";
  EXPECT_TRUE(contains(refused({"onnx-run", kDigits, "--input", "imgae=" + other}, 2), "it has \"image\""));
  EXPECT_TRUE(contains(refused({"onnx-run", kDigits, "--input", "image=" + other}, 2), "float32[batch, 1, 8, 8]"));
  refused({"onnx-run", kDigits, "--input", "image=" + kDigitsCase + "/labels.pb"}, 2);
  refused({"onnx-run", kDigits, "--input", "image=" + kDigits}, 2);
  refused({"onnx-run", kDigits, "--input", "image"}, 2);
  refused({"onnx-run", kDigits, "--input", "image=nowhere.npy"}, 3);
  write_file(folder_ / "garbage.pb", "\xff\xff\xff\xff garbage");
  write_file(folder_ / "garbage.npy", "garbage");
  refused({"onnx-run", kDigits, "--input", "image=garbage.pb"}, 2);
  refused({"onnx-run", kDigits, "--input", "image=garbage.npy"}, 2);
}

TEST_F(Run, DimensionsThatDoNotFitAreTheUsersOrAGuess) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {4, std::string("n")});
  b.output(b.node("MatMul", {x, b.weights("w", {7, 5})}, "y"));
  const std::string model = save(b, "model.onnx");
  const std::string guess = refused({"onnx-run", model}, 2);
  EXPECT_TRUE(contains(guess, "for x float32[4, 32], which is a guess; give what fits, such as --dim n=224")) << guess;
  EXPECT_TRUE(contains(refused({"onnx-run", model, "--dim", "n=6"}, 2), "for x float32[4, 6]"));
  EXPECT_EQ(run({"onnx-run", model, "--dim", "n=7"}).code, 0);
  EXPECT_TRUE(contains(refused({"onnx-run", model, "--dim", "m=6"}, 2), "model.onnx: "));
}

TEST_F(Run, InputsLargerThanALimitAreNamed) {
  const std::string line = refused({"onnx-run", kDigits, "--dim", "batch=1000000000"}, 6);
  EXPECT_TRUE(contains(line, "\"image\" float32[1000000000, 1, 8, 8]")) << line;
}

TEST_F(Run, AnInputWithADefaultMayBeGiven) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {1});
  const ir::ValueId free = b.input("free", DataType::kFloat32, {1});
  b.graph().set_default(free, Tensor::copy<float>({1}, std::vector<float>{1}), {}, false);
  b.output(b.node("Sub", {b.node("Add", {x, free}, "sum"), x}, "y"));
  const std::string model = save(b, "model.onnx");
  write_file(folder_ / "v.npy", tools::npy_bytes(Tensor::copy<float>({1}, std::vector<float>{512})));
  EXPECT_NEAR(run_json({"onnx-run", model})["outputs"][0]["mean"], 1, 1e-3);
  EXPECT_NEAR(run_json({"onnx-run", model, "--input", "free=v.npy"})["outputs"][0]["mean"], 512, 1e-3);
}

TEST_F(Run, OutputNamesCanNotLeadOutOfTheFolder) {
  const std::string model = model_with_outputs({"../../evil", "/etc/passwd", "a:0", ".."});
  EXPECT_EQ(run({"onnx-run", model, "--output-dir", "out"}).code, 0);
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"model.onnx", "out"}));
  std::vector<std::string> written;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "out"))
    written.push_back(entry.path().filename());
  std::ranges::sort(written);
  EXPECT_EQ(written, (std::vector<std::string>{"...npy", ".._.._evil.npy", "_etc_passwd.npy", "a_0.npy"}));
}

TEST_F(Run, RefusesTwoNamesForOneFile) {
  const std::string model = model_with_outputs({"a/b", "a:b"});
  EXPECT_TRUE(contains(refused({"onnx-run", model, "--output-dir", "out"}, 2), "\"a/b\" and \"a:b\""));
  EXPECT_EQ(run({"onnx-run", model}).code, 0);
}

TEST_F(Run, SaysWhatItCanNotDo) {
  const std::string line = refused({"onnx-run", save(unknown_operator(), "model.onnx")}, 5);
  EXPECT_TRUE(contains(line, "com.example.Mystery")) << line;
  refused({"onnx-run", kDigits, "--pb"}, 2);
  write_file(folder_ / "file", "");
  refused({"onnx-run", kDigits, "-q", "--output-dir", "file"}, 3);
}

}  // namespace
}  // namespace pli::test
