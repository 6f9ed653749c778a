#include "tests/tools/command.h"
#include "tools/support/reports/cost.h"

#include "runtime/ops/evaluate.h"

namespace pli::test {
namespace {

class Inspect : public CommandTest {};

TEST_F(Inspect, SaysWhatIsInDigits) {
  const auto model = run_json({"onnx-inspect", kDigits})["models"][0];
  EXPECT_EQ(model["ir_version"], 8);
  EXPECT_EQ(model["opsets"][""], 17);
  EXPECT_EQ(model["inputs"][0]["name"], "image");
  EXPECT_EQ(model["inputs"][0]["type"], "float32[batch, 1, 8, 8]");
  EXPECT_EQ(model["outputs"][0]["type"], "float32[batch, 10]");
  EXPECT_EQ(model["batch_norms"]["found"], 10);
  EXPECT_EQ(model["batch_norms"]["folded"], 10);
  EXPECT_EQ(model["node_count"], 35);
  const auto& operators = model["operators"];
  const auto conv = std::ranges::find_if(operators, [](const auto& one) { return one["type"] == "Conv"; });
  ASSERT_NE(conv, operators.end());
  EXPECT_EQ((*conv)["count"], 10);
  EXPECT_EQ((*conv)["unsupported"], "");
  EXPECT_GT(model["flops"], 1000000);
  EXPECT_GT(model["memory"]["arena_bytes"], 0);
  EXPECT_TRUE(contains(run({"onnx-inspect", kDigits}).out, "/grouped/grouped.0/Conv"));
}

TEST_F(Inspect, CountsOperationsForTheShapesAskedFor) {
  const auto flops = [&](const std::string& batch) -> int64_t {
    return run_json({"onnx-inspect", kDigits, "--dim", "batch=" + batch})["models"][0]["flops"];
  };
  EXPECT_EQ(flops("6"), 3 * flops("2"));
  EXPECT_EQ(run_json({"onnx-inspect", kDigits})["models"][0]["flops"], flops("1"));
  refused({"onnx-inspect", kDigits, "--dim", "channels=3"}, 2);
}

TEST_F(Inspect, RefusesWhatMakesNoSense) {
  refused({"onnx-inspect", "--operators", kDigits}, 2);
  EXPECT_TRUE(contains(refused({"onnx-inspect", "-", "-"}, 2), "can be read once"));
}

TEST_F(Inspect, ListsWhatIsUnsupported) {
  save(unknown_operator(), "model.onnx");
  const Finished finished = run({"onnx-inspect", "model.onnx"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, "unsupported: operator com.example.Mystery")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "can't be run: ")) << finished.out;
  const auto model = run_json({"onnx-inspect", "model.onnx"})["models"][0];
  EXPECT_TRUE(model["memory"].is_null());
  EXPECT_TRUE(contains(model["no_memory"], "Mystery"));
  refused({"onnx-inspect", "--plan", "model.onnx"}, 5);
}

TEST_F(Inspect, SaysWhoMadeTheModelAndWhereItsBytesAre) {
  const auto model = run_json({"onnx-inspect", kDigits})["models"][0];
  EXPECT_EQ(model["metadata"]["producer_name"], "pytorch");
  const int64_t weights = model["bytes_of_file"]["weights"]["float32"];
  EXPECT_EQ(
      weights + int64_t{model["bytes_of_file"]["weights"].value("int64", 0)} + int64_t{model["bytes_of_file"]["rest"]},
      model["bytes"]);
  EXPECT_EQ(model["bytes_of_file"]["external"], 0);
  EXPECT_TRUE(contains(run({"onnx-inspect", kDigits}).out, "\nmade by pytorch ")) << run({"onnx-inspect", kDigits}).out;
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "two.onnx", "--external-data", "always"}).code, 0);
  EXPECT_EQ(run_json({"onnx-inspect", "two.onnx"})["models"][0]["bytes_of_file"]["external"],
            std::filesystem::file_size(folder_ / "two.onnx.data"));
  EXPECT_TRUE(contains(run({"onnx-inspect", "two.onnx"}).out, " of it external data\n"));
}

TEST_F(Inspect, ShowsMetadataAndFunctions) {
  // Fields of ONNX's messages by their tags, behind those that are there.
  const auto field = [](const std::string& tag, const std::string& bytes) {
    return tag + static_cast<char>(bytes.size()) + bytes;
  };
  const auto relu = [&](const std::string& from, const std::string& to) {
    return field("\x3a", field("\x0a", from) + field("\x12", to) + field("\x22", "Relu"));
  };
  const std::string function = field("\x0a", "twice") + field("\x22", "x") + field("\x2a", "z") + relu("x", "y") +
                               relu("y", "z") + field("\x4a", "\x10\x11") + field("\x52", "my.own");
  const std::string property = field("\x0a", "author") + field("\x12", "me");
  write_file(folder_ / "model.onnx", read_file(kDigits) + field("\x32", "reads digits") + field("\x72", property) +
                                         field("\xca\x01", function));
  const auto model = run_json({"onnx-inspect", "model.onnx"})["models"][0];
  EXPECT_EQ(model["metadata"]["doc_string"], "reads digits");
  EXPECT_EQ(model["metadata"]["properties"]["author"], "me");
  EXPECT_EQ(model["functions"], nlohmann::json::parse(R"([{"name": "my.own.twice", "nodes": 2}])"));
  const std::string text = run({"onnx-inspect", "model.onnx"}).out;
  EXPECT_TRUE(contains(text, "\ndescription: reads digits\nmetadata author: me\n")) << text;
  EXPECT_TRUE(contains(text, "\nfunction my.own.twice: 2 nodes\n")) << text;
}

TEST_F(Inspect, ShowsModelsSideBySide) {
  EXPECT_EQ(run({"onnx-optimize", kDigits, "-q", "-o", "optimized.onnx"}).code, 0);
  const Finished finished = run({"onnx-inspect", kDigits, "optimized.onnx"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  const auto lines = lines_of(finished.out);
  EXPECT_TRUE(contains(lines[0], "digits.onnx") && contains(lines[0], "optimized.onnx")) << lines[0];
  EXPECT_TRUE(contains(finished.out, "10 of 10")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "0 of 0")) << finished.out;
  EXPECT_EQ(run_json({"onnx-inspect", kDigits, "optimized.onnx"})["models"].size(), 2u);
}

TEST_F(Inspect, PlanEndsAsRunningWould) {
  ModelBuilder b;
  const ir::ValueId depth = b.input("depth", DataType::kFloat32, {});
  const ir::ValueId indices = b.input("indices", DataType::kInt64, {4});
  b.output(b.node("OneHot", {indices, depth, b.constant<float>("values", {2}, {0, 1})}, "y"));
  const std::string model = save(b, "one_hot.onnx");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"onnx-run", model}, std::vector<std::string>{"onnx-inspect", "--plan", model}})
    EXPECT_TRUE(contains(refused(command, 2), "one_hot.onnx: ")) << command.front();
  EXPECT_TRUE(
      contains(refused({"onnx-inspect", "--plan", model}, 2), "give what fits, such as onnx-run's --input depth="));
  refused({"onnx-inspect", "--plan", save(unknown_operator(), "unknown.onnx")}, 5);
  EXPECT_EQ(run({"onnx-inspect", model}).code, 0);
}

TEST_F(Inspect, PlanShowsFusedGroups) {
  const Finished finished = run({"onnx-inspect", "--plan", kDigits});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, "Conv + Add + Relu")) << finished.out;
  EXPECT_TRUE(contains(run_json({"onnx-inspect", "--plan", kDigits})["models"][0]["plan"], "Conv + Relu"));
}

TEST_F(Inspect, EveryNodeUnderVerbose) {
  const Finished finished = run({"onnx-inspect", "-v", kDigits});
  EXPECT_TRUE(contains(finished.out, "/stem/stem.1/BatchNormalization"));
  EXPECT_TRUE(contains(finished.out, "float32[1, 10]"));
}

/// The FLOPs of the node that makes `y`, of a graph whose types are inferred.
std::optional<int64_t> flops_of(ModelBuilder& b, ir::ValueId y) {
  EXPECT_TRUE(ops::infer_types(b.graph(), Limits()).empty());
  return tools::cost_of(b.graph(), b.graph().node(b.graph().producer(y))).flops;
}

TEST(Cost, OfConvolutions) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {2, 6, 9, 11});
  // 2 x 8 x 7 x 9 results of 3 channels a group and 3 x 3 places.
  const ir::ValueId grouped = b.node("Conv", {x, b.weights("w1", {8, 3, 3, 3})}, "y1", {{"group", int64_t{2}, {}}});
  EXPECT_EQ(flops_of(b, grouped), 2 * (2 * 8 * 7 * 9) * (3 * 3 * 3));
  // 2 x 6 x 9 x 11 operands, each going to 5 filters in 2 x 4 places.
  const ir::ValueId transposed = b.node("ConvTranspose", {x, b.weights("w2", {6, 5, 2, 4})}, "y2");
  EXPECT_EQ(flops_of(b, transposed), 2 * (2 * 6 * 9 * 11) * (5 * 2 * 4));
}

TEST(Cost, OfProducts) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {3, 5, 7});
  EXPECT_EQ(flops_of(b, b.node("MatMul", {x, b.weights("w", {7, 4})}, "y")), 2 * 3 * 5 * 7 * 4);
  const ir::ValueId a = b.input("a", DataType::kFloat32, {7, 5});
  const ir::ValueId gemm =
      b.node("Gemm", {a, b.weights("g", {4, 7})}, "z", {{"transA", int64_t{1}, {}}, {"transB", int64_t{1}, {}}});
  EXPECT_EQ(flops_of(b, gemm), 2 * 5 * 7 * 4);
}

TEST(Cost, OfEverythingElseIsBytes) {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {3, 5});
  const ir::ValueId y = b.node("Relu", {x}, "y");
  EXPECT_EQ(flops_of(b, y), 0);
  EXPECT_EQ(tools::cost_of(b.graph(), b.graph().node(b.graph().producer(y))).bytes, 2 * 4 * 15);
  const ir::ValueId unknown = b.input("u", DataType::kFloat32, {std::string("N"), 5});
  const ir::ValueId z = b.node("MatMul", {unknown, b.weights("w", {5, 2})}, "z");
  EXPECT_EQ(flops_of(b, z), std::nullopt);
}

}  // namespace
}  // namespace pli::test
