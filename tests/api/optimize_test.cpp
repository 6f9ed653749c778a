#include <pli/optimize.h>

#include "runtime/ir/graph.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <pli/session.h>

#include <span>

namespace pli::test {
namespace {

const std::string kDigits = PLI_SOURCE_DIR "/models/digits.onnx";

TEST(Optimize, FoldsEveryBatchNormalizationOfDigits) {
  Model model = Model::load(kDigits);
  const Report report = optimize(model);
  EXPECT_EQ(report.batch_norms.size(), 10u);
  for (const Fold& fold : report.batch_norms) EXPECT_TRUE(fold.folded) << fold.output << ": " << fold.reason;
  EXPECT_LE(report.nodes_after, report.nodes_before - static_cast<int64_t>(report.batch_norms.size()));
}

TEST(Optimize, IsIdempotentAndDeterministicToTheByte) {
  const TemporaryFolder folder;
  for (const char* name : {"first", "second"}) {
    Model model = Model::load(kDigits);
    (void)optimize(model);
    model.save(folder.path() / name);
  }
  Model again = Model::load(folder.path() / "first");
  for (const PassRun& pass : optimize(again).passes) EXPECT_EQ(pass.changes, 0) << pass.name;
  again.save(folder.path() / "again");
  EXPECT_EQ(read_file(folder.path() / "first"), read_file(folder.path() / "second"));
  EXPECT_EQ(read_file(folder.path() / "first"), read_file(folder.path() / "again"));
}

TEST(Optimize, AModelThatNobodyNeedsAnyMoreGivesTheSame) {
  const TemporaryFolder folder;
  Model model = Model::load(kDigits);
  const Model shared = model;
  OptimizedModel result = optimize(Model::load(kDigits));
  const Report report = optimize(model);
  ASSERT_EQ(result.report.batch_norms.size(), report.batch_norms.size());
  EXPECT_EQ(result.report.nodes_after, report.nodes_after);
  model.save(folder / "kept");
  result.model.save(folder / "consumed");
  optimize(Model(shared)).model.save(folder / "shared");
  EXPECT_EQ(read_file(folder / "kept"), read_file(folder / "consumed"));
  EXPECT_EQ(read_file(folder / "kept"), read_file(folder / "shared"));
  shared.save(folder / "original");
  Model::load(kDigits).save(folder / "loaded");
  EXPECT_EQ(read_file(folder / "original"), read_file(folder / "loaded"));
}

TEST(Optimize, ReportsWhatIsInFunctions) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(read_file(kDigits)));
  auto& function = *proto.add_functions();
  function.set_domain("example.com");
  function.set_name("Block");
  for (const char* name : {"x", "s", "b", "m", "v"}) function.add_input(name);
  function.add_output("y");
  auto& import = *function.add_opset_import();
  import.set_domain("");
  import.set_version(15);
  auto& node = *function.add_node();
  node.set_op_type("BatchNormalization");
  node.set_name("inner");
  for (const char* name : {"x", "s", "b", "m", "v"}) node.add_input(name);
  node.add_output("y");
  const std::string bytes = proto.SerializeAsString();

  Model model = Model::parse(std::as_bytes(std::span(bytes)));
  const Report report = optimize(model, {.disable = {"inline_functions"}});
  EXPECT_EQ(model.ir()->functions.size(), 1u);
  const Fold& last = report.batch_norms.back();
  EXPECT_FALSE(last.folded);
  EXPECT_EQ(last.name, "inner");
  EXPECT_EQ(last.output, "y");
  EXPECT_EQ(last.graph, "example.com.Block");
  EXPECT_EQ(last.code, "function");
  for (const Fold& fold : optimize(model).batch_norms) EXPECT_NE(fold.name, "inner");
  EXPECT_TRUE(model.ir()->functions.empty()) << "nothing calls it";
}

/// They are run as the model has them; in what is written they stay, for runtimes may take their own operators.
TEST(Optimize, LeavesFunctionsThatAreNamedLikeOperators) {
  for (const char* domain : {"", "ai.onnx"}) {
    onnx::ModelProto proto;
    ASSERT_TRUE(proto.ParseFromString(read_file(kDigits)));
    auto& function = *proto.add_functions();
    function.set_domain(domain);
    function.set_name("BatchNormalization");
    for (const char* name : {"x", "s", "b", "m", "v"}) function.add_input(name);
    function.add_output("y");
    auto& import = *function.add_opset_import();
    import.set_domain("");
    import.set_version(17);
    auto& node = *function.add_node();
    node.set_op_type("Abs");
    node.add_input("x");
    node.add_output("y");
    const std::string bytes = proto.SerializeAsString();

    Model model = Model::parse(std::as_bytes(std::span(bytes)));
    Tensor x(DataType::kFloat32, {2, 1, 8, 8});
    for (size_t i = 0; i < x.size(); ++i) x.mutable_data<float>()[i] = static_cast<float>(i * 37 % 17) / 16.0f;
    std::vector<Tensor> results;
    const auto run = [&](const SessionOptions& options) {
      results.push_back(Session(model, options).run({{"image", x}}).at("logits").tensor());
    };
    for (const bool first : {false, true}) run({.optimize = first});
    EXPECT_TRUE(optimize(model).batch_norms.empty());
    run({});
    int calls = 0;
    for (const ir::NodeId id : model.ir()->graph.nodes()) calls += model.ir()->graph.node(id).function ? 1 : 0;
    EXPECT_EQ(calls, 10);
    for (const Tensor& result : results) {
      const auto found = result.data<float>(), wanted = results[0].data<float>();
      for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-4);
    }
  }
}

TEST(Optimize, ListsThePasses) {
  const std::vector<PassInfo> passes = list_passes();
  ASSERT_EQ(passes.size(), 19u);
  EXPECT_EQ(passes.front().name, "inline_functions");
  for (const PassInfo& pass : passes) EXPECT_FALSE(pass.summary.empty());
}

}  // namespace
}  // namespace pli::test
