// Models and files that are wrong: one line that says what and where, the documented exit code, nothing written.

#include "tests/tools/command.h"

#include <sys/stat.h>

#include <filesystem>
#include <functional>

namespace pli::test {
namespace {

using Ints = std::vector<int64_t>;

struct BadModel {
  std::string name;
  std::function<ir::ValueId(ModelBuilder&)> make;  // gives the output
  std::string says;
  int code = 4;
};

ir::Attribute attribute(const std::string& name, ir::AttributeValue value) { return {name, std::move(value), {}}; }

ir::ValueId image(ModelBuilder& b) { return b.input("image", DataType::kFloat32, {2, 6, 9, 11}); }

/// A Conv of the image whose weights have this shape.
ir::ValueId conv(ModelBuilder& b, const Shape& weight, std::vector<ir::Attribute> attributes) {
  return b.node("Conv", {image(b), b.weights("w", weight)}, "y", std::move(attributes));
}

/// A node of this type whose first input is the image and whose others are these integers.
ir::ValueId node(ModelBuilder& b, const std::string& type, const std::vector<Ints>& integers,
                 std::vector<ir::Attribute> attributes = {}) {
  std::vector<ir::ValueId> inputs{image(b)};
  for (const Ints& one : integers)
    inputs.push_back(b.constant<int64_t>("c" + std::to_string(inputs.size()), {static_cast<int64_t>(one.size())}, one));
  return b.node(type, std::move(inputs), "y", std::move(attributes));
}

ir::ValueId batch_norm(ModelBuilder& b, const std::vector<int64_t>& lengths) {
  std::vector<ir::ValueId> inputs{image(b)};
  for (const int64_t length : lengths) inputs.push_back(b.weights("p" + std::to_string(inputs.size()), {length}));
  return b.node("BatchNormalization", std::move(inputs), "y");
}

const std::vector<BadModel> kBadModels{
    {"ConvGroupZero",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("group", int64_t{0})});
     },
     "group"},
    {"ConvGroupNegative",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("group", int64_t{-2})});
     },
     "group"},
    {"ConvGroupThatDoesNotDivide",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("group", int64_t{4})});
     },
     "group 4"},
    {"ConvChannelsOfWeights",
     [](auto& b) {
       return conv(b, {4, 5, 3, 3}, {});
     },
     "channels"},
    {"ConvStrideZero",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("strides", Ints{1, 0})});
     },
     "stride"},
    {"ConvStrideHuge",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("strides", Ints{INT64_MAX, -1})});
     },
     "stride"},
    {"ConvDilationZero",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("dilations", Ints{0, 1})});
     },
     "dilation"},
    {"ConvDilationHuge",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("dilations", Ints{INT64_MAX, 1})});
     },
     ""},
    {"ConvPadsTooFew",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("pads", Ints{1, 1})});
     },
     "pads"},
    {"ConvPadsHuge",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("pads", Ints{INT64_MAX, 0, INT64_MAX, 0})});
     },
     ""},
    {"ConvKernelTooLarge",
     [](auto& b) {
       return conv(b, {4, 6, 12, 3}, {});
     },
     ""},
    {"ConvKernelShapeThatLies",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("kernel_shape", Ints{5, 5})});
     },
     "kernel"},
    {"ConvWeightOfRankTwo",
     [](auto& b) {
       return conv(b, {4, 6}, {});
     },
     ""},
    {"ConvWeightEmpty",
     [](auto& b) {
       return conv(b, {4, 6, 0, 3}, {});
     },
     ""},
    {"ConvBiasOfWrongLength",
     [](auto& b) {
       return b.node("Conv", {image(b), b.weights("w", {4, 6, 3, 3}), b.weights("b", {5})}, "y");
     },
     ""},
    {"ConvWithoutWeights", [](auto& b) { return b.node("Conv", {image(b)}, "y"); }, "input"},
    {"ConvAttributeOfWrongType",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("strides", 2.0f)});
     },
     "strides"},
    {"ConvAutoPadUnknown",
     [](auto& b) {
       return conv(b, {4, 6, 3, 3}, {attribute("auto_pad", std::string("SOMETIMES"))});
     },
     "auto_pad"},
    {"ConvOfIntegersAndFloats",
     [](auto& b) {
       return b.node("Conv", {image(b), b.template constant<double>("w", {1, 6, 1, 1}, std::vector<double>(6))}, "y");
     },
     ""},
    {"BatchNormalizationScaleOfWrongLength",
     [](auto& b) {
       return batch_norm(b, {5, 6, 6, 6});
     },
     "5"},
    {"BatchNormalizationVarianceOfWrongLength",
     [](auto& b) {
       return batch_norm(b, {6, 6, 6, 7});
     },
     "7"},
    {"BatchNormalizationWithoutVariance",
     [](auto& b) {
       return batch_norm(b, {6, 6, 6});
     },
     "input"},
    {"MaxPoolKernelZero",
     [](auto& b) {
       return node(b, "MaxPool", {}, {attribute("kernel_shape", Ints{0, 2})});
     },
     "kernel"},
    {"MaxPoolWithoutKernel", [](auto& b) { return node(b, "MaxPool", {}); }, "kernel_shape"},
    {"MatMulThatDoesNotFit",
     [](auto& b) {
       return b.node("MatMul", {image(b), b.weights("w", {10, 3})}, "y");
     },
     ""},
    {"GemmOfRankFour",
     [](auto& b) {
       return b.node("Gemm", {image(b), b.weights("w", {11, 3})}, "y");
     },
     ""},
    {"AddThatDoesNotBroadcast",
     [](auto& b) {
       return b.node("Add", {image(b), b.weights("w", {10})}, "y");
     },
     ""},
    {"ConcatOfDifferentSizes",
     [](auto& b) {
       return b.node("Concat", {image(b), b.weights("w", {2, 6, 8, 11})}, "y", {attribute("axis", int64_t{1})});
     },
     ""},
    {"ReshapeToAnotherSize",
     [](auto& b) {
       return node(b, "Reshape", {{7, 7}});
     },
     ""},
    {"ReshapeWithTwoUnknowns",
     [](auto& b) {
       return node(b, "Reshape", {{-1, -1}});
     },
     "-1"},
    {"ReshapeNegative",
     [](auto& b) {
       return node(b, "Reshape", {{-5, 2}});
     },
     "-5"},
    {"TransposeTwice",
     [](auto& b) {
       return node(b, "Transpose", {}, {attribute("perm", Ints{0, 1, 1, 3})});
     },
     "perm"},
    {"SoftmaxAxisOutside", [](auto& b) { return node(b, "Softmax", {}, {attribute("axis", int64_t{4})}); }, "axis"},
    {"UnsqueezeTwice",
     [](auto& b) {
       return node(b, "Unsqueeze", {{1, 1}});
     },
     ""},
    {"SqueezeOfMoreThanOne", [](auto& b) { return node(b, "Squeeze", {{1}}); }, ""},
    {"GatherAxisOutside", [](auto& b) { return node(b, "Gather", {{0}}, {attribute("axis", int64_t{-5})}); }, "axis"},
    {"GatherIndexOutside", [](auto& b) { return node(b, "Gather", {{2}}, {}); }, "index"},
    {"SplitThatDoesNotAddUp",
     [](auto& b) {
       return node(b, "Split", {{1, 2}});
     },
     ""},
    {"SliceStepZero",
     [](auto& b) {
       return node(b, "Slice", {{0}, {1}, {0}, {0}});
     },
     "step"},
    {"ExpandToEverything",
     [](auto& b) {
       return node(b, "Expand", {{1 << 20, 1 << 20, 2, 6, 9, 11}});
     },
     "", 6},
    {"TileBeyondCounting",
     [](auto& b) {
       return node(b, "Tile", {{INT64_MAX, 1, 1, 2}});
     },
     ""},
    {"PadThatTakesMoreThanThereIs",
     [](auto& b) {
       return node(b, "Pad", {{0, 0, -9, 0, 0, 0, -9, 0}});
     },
     ""},
};

class BadModels : public CommandTest, public testing::WithParamInterface<BadModel> {};

INSTANTIATE_TEST_SUITE_P(All, BadModels, testing::ValuesIn(kBadModels),
                         [](const auto& model) { return model.param.name; });

TEST_P(BadModels, AreRefused) {
  ModelBuilder b;
  b.output(GetParam().make(b));
  save(b, "bad.onnx");
  const std::string line = refused({"onnx-run", "bad.onnx"}, GetParam().code);
  EXPECT_TRUE(line.starts_with("onnx-run: bad.onnx: ")) << line;
  EXPECT_TRUE(contains(line, "y_node")) << line;
  EXPECT_TRUE(contains(line, GetParam().says)) << line;
  // The optimizer leaves it as it is, whether it sees what is wrong or not: it need not know every size.
  const Finished optimized = run({"onnx-optimize", "bad.onnx", "-o", "left.onnx"});
  EXPECT_TRUE(optimized.code == 0 || optimized.code == GetParam().code) << optimized.code << optimized.err;
  EXPECT_EQ(optimized.code == 0, optimized.err.empty()) << optimized.err;
  if (GetParam().code != 4) return;
  EXPECT_EQ(optimized.code, 0);
  const bool unchanged = contains(optimized.out, "nothing to verify");
  EXPECT_TRUE(unchanged || contains(optimized.out, "not verified")) << optimized.out;
  EXPECT_EQ(refused({"onnx-run", "left.onnx"}, 4).substr(std::string_view("onnx-run: left.onnx").size()),
            line.substr(std::string_view("onnx-run: bad.onnx").size()));
  EXPECT_EQ(run({"onnx-inspect", "bad.onnx"}).code, 0);
}

class BadFiles : public CommandTest {
 protected:
  void refused_by_all(const std::string& file, int code) {
    refused({"onnx-optimize", file, "-o", "never.onnx"}, code);
    for (const char* command : {"onnx-run", "onnx-inspect", "onnx-bench"}) refused({command, file}, code);
  }
};

TEST_F(BadFiles, NoModels) {
  write_file(folder_ / "empty.onnx", "");
  write_file(folder_ / "text.onnx", "This is not the model that you are looking for.\n");
  write_file(folder_ / "zeros.onnx", std::string(4096, '\0'));
  for (const char* file : {"empty.onnx", "text.onnx", "zeros.onnx"}) refused_by_all(file, 4);
}

TEST_F(BadFiles, CutModels) {
  const std::string whole = read_file(kDigits);
  for (size_t tenth = 1; tenth < 10; ++tenth) {
    write_file(folder_ / "cut.onnx", whole.substr(0, whole.size() * tenth / 10));
    refused({"onnx-optimize", "cut.onnx", "-o", "never.onnx"}, 4);
  }
}

TEST_F(BadFiles, NoRegularFiles) {
  std::filesystem::create_directory(folder_ / "folder.onnx");
  ASSERT_EQ(::mkfifo((folder_ / "pipe.onnx").c_str(), 0600), 0);
  for (const char* file : {"folder.onnx", "pipe.onnx", "/dev/zero", "/dev/stdin", "/proc/self/fd/0"})
    refused_by_all(file, 3);
}

TEST_F(BadFiles, TooLargeModels) {
  write_file(folder_ / "large.onnx", "");
  std::filesystem::resize_file(folder_ / "large.onnx", uintmax_t{3} << 30);  // takes no space
  refused_by_all("large.onnx", 6);
}

TEST_F(BadFiles, SpoiltBytesNeverCrash) {
  const std::string whole = read_file(kDigits);
  std::mt19937 random(3);
  for (int i = 0; i < 40; ++i) {
    std::string spoilt = whole;
    for (int change = 0; change <= i % 4; ++change) {
      // Half of the changes go to the first 4 kB, where nodes and attributes are.
      const size_t range = random() % 2 ? 4096 : spoilt.size();
      spoilt[random() % range] = static_cast<char>(random());
    }
    write_file(folder_ / "spoilt.onnx", spoilt);
    const Finished finished = run({"onnx-run", "spoilt.onnx", "-q"});
    EXPECT_EQ(finished.signal, 0) << "change " << i;
    EXPECT_NE(finished.code, 70) << "change " << i << ": " << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), finished.code ? 1u : 0u) << finished.err;
  }
}

}  // namespace
}  // namespace pli::test
