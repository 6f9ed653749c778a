#include "passes/pipeline.h"
#include "tests/expect_error.h"
#include "tests/passes/reference.h"

#include <pli/model.h>

#include <gtest/gtest.h>

namespace pli::test {
namespace {

using ir::ValueId;

/// Conv -> Identity -> BatchNormalization -> Mul by a constant: work for three passes.
Net layered_net() {
  Net net;
  ValueId v = net.node("Conv", {net.input("x", {-1, 3, 8, 9}), net.weight("w", {5, 3, 3, 2})}, {}, "c");
  v = net.node("Identity", {v}, {}, "i");
  v = net.batch_norm(v, 5, "bn");
  net.output(net.node("Mul", {v, net.weight("k", {5, 1, 1})}, {}, "y"));
  return net;
}

TEST(Pipeline, RunsUntilNothingChanges) {
  const Net net = layered_net();
  const Optimized result = optimize(net.model());
  EXPECT_EQ(result.model.graph.node_count(), 1u);
  EXPECT_EQ(result.report.nodes_before, 4);
  EXPECT_EQ(result.report.nodes_after, 1);
  ASSERT_EQ(result.report.passes.size(), list_passes().size());
  for (size_t i = 0; i < result.report.passes.size(); ++i)
    EXPECT_EQ(result.report.passes[i].name, list_passes()[i].name);
  expect_equal_results(net.model(), result.model);
}

TEST(Pipeline, OnlyDisableAndStopAfter) {
  const Net net = layered_net();
  EXPECT_EQ(optimize(net.model(), {.only = {"eliminate_nop"}}).model.graph.node_count(), 3u);
  EXPECT_EQ(optimize(net.model(), {.disable = {"fold_channel_affine"}}).model.graph.node_count(), 2u);
  const Optimized none = optimize(net.model(), {.only = {"fold_batch_norm"}, .disable = {"fold_batch_norm"}});
  EXPECT_EQ(none.model.graph.node_count(), 4u);
  EXPECT_EQ(none.fold("bn").code, "disabled");
  EXPECT_TRUE(none.report.passes.empty());

  ir::Model model =
      net.model();  // fold_batch_norm has its first turn after the Identity has gone and before the Mul can
  const Report report = passes::run(model, {.stop_after = "fold_batch_norm"});
  EXPECT_EQ(model.graph.node_count(), 2u);
  EXPECT_TRUE(report.batch_norms.at(0).folded);
}

TEST(Pipeline, WrongPassNamesAreToldTheRightOnes) {
  for (const OptimizeOptions& options :
       {OptimizeOptions{.only = {"fold_batchnorm"}}, OptimizeOptions{.disable = {"fold_batchnorm"}},
        OptimizeOptions{.stop_after = "fold_batchnorm"}}) {
    try {
      (void)optimize(layered_net().model(), options);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(e.what()).find("did you mean \"fold_batch_norm\"?"), std::string::npos) << e.what();
    }
  }
}

TEST(Pipeline, TheLastPassHasToRun) {
  for (const OptimizeOptions& options :
       {OptimizeOptions{.disable = {"fold_constants"}, .stop_after = "fold_constants"},
        OptimizeOptions{.only = {"eliminate_nop", "fold_batch_norm"}, .stop_after = "fold_constants"}}) {
    ir::Model model = layered_net().model();
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "\"fold_constants\" is to be the last",
                           [&] { passes::run(model, options); }));
  }
}

TEST(Pipeline, RemovesDeadCodeOfAnEmptySelection) {
  Net net = layered_net();
  (void)net.node("Relu", {net.graph().find("c")}, {}, "unused");
  (void)net.weight("unused_weight", {3});
  const Optimized result =
      optimize(net.model(), {.disable = {"eliminate_nop", "fold_batch_norm", "fold_channel_affine", "fold_constants"}});
  EXPECT_EQ(result.model.graph.node_count(), 4u);
  EXPECT_FALSE(result.model.graph.find("unused_weight"));
}

TEST(Pipeline, ErrorsLeaveTheModelAsItWas) {
  Net net;
  const Tensor huge = int64_tensor(std::vector<int64_t>{1 << 20, 1 << 20, 8, 9});
  const ValueId large = net.node("Expand", {net.input("x", {1, 1, 8, 9}), net.constant("shape", huge)}, {}, "c");
  net.output(net.node("Identity", {large}, {}, "y"));
  Model model(std::make_shared<const ir::Model>(net.model()));
  const auto before = model.ir();
  try {
    (void)pli::optimize(model);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kResourceLimit);
    EXPECT_EQ(std::string_view(e.what()).substr(0, 16), "Expand \"n_c\": an");
  }
  EXPECT_EQ(model.ir(), before);
}

TEST(Pipeline, ModelsShareNothingThatChanges) {
  Model model(std::make_shared<const ir::Model>(layered_net().model()));
  const Model copy = model;
  const std::string before = ir::dump(copy.ir()->graph);
  (void)pli::optimize(model);
  EXPECT_EQ(ir::dump(copy.ir()->graph), before);
  EXPECT_NE(ir::dump(model.ir()->graph), before);
}

TEST(Pipeline, UnknownOperatorsPassThrough) {
  Net net = layered_net();
  ir::NodeSpec custom{.op_type = "Mystery",
                      .domain = "example.com",
                      .name = "m",
                      .inputs = {net.graph().find("y"), {}},
                      .attributes = {attribute("level", 3)},
                      .extra = "opaque"};
  custom.outputs = {{"z", {}, {}}};
  net.output(net.graph().node(net.graph().add_node(std::move(custom))).outputs[0]);
  const Optimized result = optimize(net.model());
  const ir::NodeId last = result.model.graph.nodes().back();
  EXPECT_EQ(result.model.graph.node(last).domain, "example.com");
  EXPECT_EQ(result.model.graph.node(last).extra, "opaque");
}

TEST(Pipeline, ModelWithoutNodes) {
  Net net;
  net.output(net.input("x", {2, 3}));
  EXPECT_EQ(optimize(net.model()).report.nodes_after, 0);
}

}  // namespace
}  // namespace pli::test
