#include "tests/tools/command.h"
#include "tools/support/data/values.h"

#include <filesystem>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

const std::string kNodeCases = PLI_TESTDATA "/node/";

class Cases : public CommandTest {
 protected:
  /// A copy of the digits case with one data set, to be spoilt.
  fs::path copy_case(const std::string& name) {
    const fs::path target = folder_ / name;
    fs::create_directories(target);
    fs::copy_file(kDigits, target / "model.onnx");
    fs::copy(kDigitsCase + "/test_data_set_0", target / "test_data_set_0");
    return target;
  }

  /// The only result line of a case that must end with this code.
  std::string result(const std::vector<std::string>& arguments, int code) {
    std::vector<std::string> command{"onnx-test"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Finished finished = run(command);
    EXPECT_EQ(finished.code, code) << finished.out << finished.err;
    EXPECT_EQ(finished.err, "");
    const auto lines = lines_of(finished.out);
    EXPECT_EQ(lines.size(), 2u) << finished.out;
    return lines.empty() ? "" : lines[0];
  }
};

TEST_F(Cases, PassesInOrderAndCounts) {
  const Finished finished =
      run({"onnx-test", kNodeCases + "test_relu", kDigitsCase + "/", kNodeCases + "test_matmul_2d"});
  EXPECT_EQ(finished.code, 0) << finished.out;
  EXPECT_EQ(finished.out, "pass test_relu\npass digits\npass test_matmul_2d\n3 passed, 0 failed, 0 unsupported\n");
}

/// oneDNN leaves out work when it gets fewer threads than it asked for.
TEST_F(Cases, PassesWithFewerThreadsThanAskedFor) {
  for (const char* setting : {"OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_MAX_ACTIVE_LEVELS=0"})
    EXPECT_EQ(run({"onnx-test", kDigitsCase, "--threads", "3"}, {setting}).out,
              "pass digits\n1 passed, 0 failed, 0 unsupported\n")
        << setting;
}

/// As on a processor without AVX2, or without AVX-512: both oneDNN and our own loops.
TEST_F(Cases, PassesOnProcessorsOfLess) {
  std::vector<std::string> command{"onnx-test", kDigitsCase};
  for (const char* name : {"basic_conv_with_padding", "conv_with_strides_padding", "convtranspose_pads",
                           "gemm_all_attributes", "matmul_4d", "averagepool_2d_pads", "maxpool_2d_dilations",
                           "batchnorm_epsilon", "layer_normalization_4d_axis2", "softmax_axis_1", "gelu_tanh_2",
                           "reduce_sum_keepdims_random", "resize_upsample_scales_cubic", "hardswish", "lrn"}) {
    command.push_back(kNodeCases + "test_" + name);
    if (!fs::exists(command.back())) command.pop_back();  // the version of the package lacks it
  }
  EXPECT_GT(command.size(), 12u);
  for (const auto& [most, isa] : {std::pair{"SSE41", "sse4.1"}, {"avx2", "avx2"}}) {
    const std::string variable = std::string("ONEDNN_MAX_CPU_ISA=") + most;
    const Finished finished = run(command, {variable});
    EXPECT_TRUE(contains(finished.out, " passed, 0 failed, 0 unsupported")) << finished.out;
    EXPECT_TRUE(contains(run({"onnx-test", "--version"}, {variable}).out, isa));
  }
}

/// ONNX's files hold the bits of a bfloat16 as uint16, cut off where Pli rounds.
TEST_F(Cases, ReadsTheBitsOfBfloat16) {
  for (const char* name : {"test_cast_BFLOAT16_to_FLOAT", "test_cast_FLOAT_to_BFLOAT16"})
    EXPECT_EQ(result({kNodeCases + name}, 0), std::string("pass ") + name);
}

TEST_F(Cases, NamesTheCaseByItsFolder) {
  copy_case("case");
  EXPECT_EQ(result({"case/./"}, 0), "pass case");
  const std::string program = PLI_BINARY_DIR "/bin/onnx-test";
  EXPECT_EQ(lines_of(run_program({program, "."}, folder_ / "case").out)[0], "pass case");
}

TEST_F(Cases, UnsupportedIsNotFailed) {
  const auto model = save(unknown_operator(), "model.onnx");
  const std::string line = result({"--model", model, kDigitsCase}, 5);
  EXPECT_TRUE(line.starts_with("unsupported digits: ")) << line;
  EXPECT_TRUE(contains(line, "com.example.Mystery")) << line;
}

TEST_F(Cases, OneFailureOutweighsTheRest) {
  const fs::path spoilt = copy_case("spoilt");
  fs::copy_file(kDigitsCase + "/test_data_set_1/output_0.pb", spoilt / "test_data_set_0/output_0.pb",
                fs::copy_options::overwrite_existing);
  fs::create_directories(folder_ / "strange");
  save(unknown_operator(), "strange/model.onnx");
  const Finished finished = run({"onnx-test", "strange", "spoilt", kDigitsCase});
  EXPECT_EQ(finished.code, 1);
  const auto lines = lines_of(finished.out);
  ASSERT_EQ(lines.size(), 4u) << finished.out;
  EXPECT_TRUE(lines[0].starts_with("unsupported strange: "));
  EXPECT_EQ(lines[1], "fail spoilt: test_data_set_0: output \"logits\": float32[1, 10] for float32[450, 10]");
  EXPECT_EQ(lines[2], "pass digits");
  EXPECT_EQ(lines[3], "1 passed, 1 failed, 1 unsupported");
}

TEST_F(Cases, EveryDefectIsALine) {
  const auto spoil = [&](const std::string& name, const std::string& file, const std::string& content) {
    const fs::path target = copy_case(name);
    if (content.empty())
      fs::remove_all(target / file);
    else
      write_file(target / file, content);
    return result({name}, 1);
  };
  EXPECT_TRUE(contains(spoil("a", "model.onnx", "garbage"), "fail a: a/model.onnx: "));
  EXPECT_TRUE(contains(spoil("b", "model.onnx", ""), "fail b: b/model.onnx: can't be opened"));
  EXPECT_TRUE(contains(spoil("c", "test_data_set_0/input_0.pb", ""), "0 input files for 1 inputs"));
  EXPECT_TRUE(contains(spoil("d", "test_data_set_0/output_0.pb", ""), "0 output files for 1 outputs"));
  EXPECT_TRUE(contains(spoil("e", "test_data_set_0/input_0.pb", "\xff\xff\xff"), "input_0.pb: "));
  EXPECT_TRUE(contains(spoil("f", "test_data_set_0", ""), "there is no test_data_set_0"));
}

TEST_F(Cases, AWeightThatIsDeclaredAsAnInputMayHaveAFileOfItsOwn) {
  const std::string folder = PLI_TESTDATA "/pytorch-converted/test_Conv2d_no_bias";
  fs::copy(folder, folder_ / "conv", fs::copy_options::recursive);
  const Model model = Model::load(folder + "/model.onnx");
  const ir::Graph& graph = model.ir()->graph;
  const Tensor weight = *graph.constant_of(graph.find("1"));
  const fs::path file = folder_ / "conv/test_data_set_0/input_1.pb";
  tools::save_value(file, weight, "1");
  EXPECT_EQ(result({"conv"}, 0), "pass conv");
  tools::save_value(file, Tensor(weight.dtype(), Shape(weight.shape().begin(), weight.shape().end())), "1");
  EXPECT_TRUE(contains(result({"conv"}, 1), "input_1.pb holds another \"1\" than the model"));
}

TEST_F(Cases, ToleranceIsTheUsers) {
  const std::string strict = result({"--rtol", "0", "--atol", "0", kDigitsCase}, 1);
  EXPECT_TRUE(contains(strict, "largest difference")) << strict;
  result({"--rtol", "0", "--atol", "1e-3", kDigitsCase}, 0);
  result({"--rtol", "0", "--atol-rms", "1e-4", kDigitsCase}, 0);
  refused({"onnx-test", "--atol", "1", "--atol-rms", "1", kDigitsCase}, 2);
  refused({"onnx-test", "--rtol", "-1", kDigitsCase}, 2);
}

TEST_F(Cases, RunsOnAnotherModel) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "optimized.onnx"}).code, 0);
  EXPECT_EQ(result({"--model", "optimized.onnx", "--atol-rms", "1e-3", kDigitsCase}, 0), "pass digits");
}

TEST_F(Cases, AModelThatIsNotThereIsFoundBeforeTheCases) {
  EXPECT_TRUE(contains(refused({"onnx-test", "--model", "nowhere.onnx", kDigitsCase}, 3), "nowhere.onnx: "));
}

TEST_F(Cases, TheRootHasAName) {
  const std::string line = result({"/"}, 1);
  EXPECT_TRUE(line.starts_with("fail /: ")) << line;
}

TEST_F(Cases, JsonHoldsEveryCase) {
  const auto document = run_json({"onnx-test", kDigitsCase, kNodeCases + "test_relu"});
  EXPECT_EQ(document["passed"], 2);
  EXPECT_EQ(document["failed"], 0);
  EXPECT_EQ(document["unsupported"], 0);
  ASSERT_EQ(document["cases"].size(), 2u);
  EXPECT_EQ(document["cases"][0]["name"], "digits");
  EXPECT_EQ(document["cases"][0]["status"], "pass");
  EXPECT_EQ(document["cases"][0]["data_sets"], 2);
  EXPECT_GT(document["cases"][0]["max_abs"], 0);
}

}  // namespace
}  // namespace pli::test
