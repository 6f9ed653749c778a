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
  const Report report = optimize(model);
  const Fold& last = report.batch_norms.back();
  EXPECT_FALSE(last.folded);
  EXPECT_EQ(last.name, "inner");
  EXPECT_EQ(last.output, "y");
  EXPECT_EQ(last.graph, "example.com.Block");
  EXPECT_EQ(last.code, "function");
}

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
    import.set_version(15);
    auto& node = *function.add_node();
    node.set_op_type("Neg");
    node.add_input("x");
    node.add_output("y");
    const std::string bytes = proto.SerializeAsString();

    Model model = Model::parse(std::as_bytes(std::span(bytes)));
    EXPECT_TRUE(optimize(model).batch_norms.empty());
    int calls = 0;
    for (const ir::NodeId id : model.ir()->graph.nodes()) calls += model.ir()->graph.node(id).calls_function ? 1 : 0;
    EXPECT_EQ(calls, 10);
    for (const bool first : {false, true})
      EXPECT_TRUE(fails_with(ErrorCode::kUnsupported,
                             "not supported: function BatchNormalization of the model (BatchNormalization",
                             [&] { Session(model, {.optimize = first}); }));
  }
}

TEST(Optimize, ListsThePasses) {
  const std::vector<PassInfo> passes = list_passes();
  ASSERT_EQ(passes.size(), 11u);
  EXPECT_EQ(passes.front().name, "eliminate_nop");
  for (const PassInfo& pass : passes) EXPECT_FALSE(pass.summary.empty());
}

}  // namespace
}  // namespace pli::test
