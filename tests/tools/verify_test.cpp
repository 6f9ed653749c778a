#include "tools/support/verification/verify.h"

#include "tests/tools/models.h"

#include <gtest/gtest.h>

#include <pli/optimize.h>
#include <pli/session.h>

#include <algorithm>
#include <cmath>
#include <new>
#include <set>

namespace pli::tools {
namespace {

using Status = Verification::Status;
using Names = std::vector<std::string>;

/// Looks for `bad` among a to h; gives what was found and counts the questions.
std::optional<Names> search(const std::set<std::string>& bad, int& questions) {
  return find_what_breaks({"a", "b", "c", "d", "e", "f", "g", "h"}, [&](const Names& keep) {
    ++questions;
    return std::ranges::all_of(bad,
                               [&](const std::string& name) { return std::ranges::find(keep, name) != keep.end(); });
  });
}

TEST(FindWhatBreaks, FindsEachOneAlone) {
  for (const char* one : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    int questions = 0;
    EXPECT_EQ(search({one}, questions), Names{one});
    EXPECT_LE(questions, 6);
  }
}

TEST(FindWhatBreaks, FindsSeveral) {
  int questions = 0;
  auto found = search({"b", "c", "h"}, questions);
  ASSERT_TRUE(found);
  std::ranges::sort(*found);
  EXPECT_EQ(*found, (Names{"b", "c", "h"}));
  found = search({"a", "b", "c", "d", "e", "f", "g", "h"}, questions);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), 8u);
}

TEST(FindWhatBreaks, FindsNothingWhereNothingBreaks) {
  int questions = 0;
  EXPECT_EQ(search({}, questions), Names{});
}

TEST(FindWhatBreaks, GivesUpWhenNoFoldIsToBlame) {
  EXPECT_EQ(find_what_breaks({"a", "b"}, [](const Names&) { return false; }), std::nullopt);
  EXPECT_EQ(find_what_breaks({}, [](const Names&) { return false; }), std::nullopt);
}

TEST(Verifier, PassesWhatIsEqual) {
  const Model original = test::two_folds().build();
  Model optimized = original;
  pli::optimize(optimized);
  const Verifier verifier(original, {});
  const Verification result = verifier.check(optimized);
  EXPECT_EQ(result.status, Status::kPassed) << result.reason;
  EXPECT_EQ(result.samples, 3);
  EXPECT_EQ(result.inputs, "image float32[1, 3, 32, 32], the last image float32[2, 3, 32, 32]");
  EXPECT_EQ(result.guessed, "--dim batch=1 --dim h=32 --dim w=32");
  EXPECT_LT(result.max_rel_rms, 1e-5);
  EXPECT_GT(result.max_of_allowed, 0);
  EXPECT_LT(result.max_of_allowed, 0.01);
}

TEST(Verifier, TellsHowFarItIs) {
  std::vector<double> told;
  VerifyOptions options;
  options.samples = 2;
  options.progress = [&](double done) { told.push_back(done); };
  const Model model = test::two_folds().build();
  (void)Verifier(model, options).check(model);
  EXPECT_EQ(told, (std::vector<double>{0.25, 0.5, 0.75, 1}));
}

TEST(Verifier, AModelOfOneBatchIsComparedOnThat) {
  test::ModelBuilder b;  // the Reshape takes 12 elements
  const ir::ValueId x = b.input("x", DataType::kFloat32, {std::string("N"), 12});
  const ir::ValueId grid = b.node("Reshape", {x, b.constant<int64_t>("s", {2}, {3, 4})}, "grid");
  b.output(b.node("Relu", {grid}, "y"));
  const Verification result = Verifier(b.build(), {}).check(b.build());
  EXPECT_EQ(result.status, Status::kPassed) << result.reason;
  EXPECT_EQ(result.inputs, "x float32[1, 12]");
  EXPECT_EQ(result.samples, 3);
}

TEST(Verifier, FailsWhatIsDifferent) {
  const Model original = test::two_folds().build();
  test::ModelBuilder other = test::two_folds();
  ir::Graph& graph = other.graph();
  const ir::ValueId old = graph.find("b1");
  Tensor moved(DataType::kFloat32, {4});
  std::ranges::copy(graph.constant_of(old)->data<float>(), moved.mutable_data<float>().begin());
  moved.mutable_data<float>()[2] += 0.2f;
  graph.replace_all_uses(old, graph.add_constant(moved, "moved"));
  const Verification result = Verifier(original, {}).check(other.build());
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_NE(result.reason.find("output \"bn2\""), std::string::npos) << result.reason;
  EXPECT_GT(result.max_abs, 0);

  VerifyOptions wide;
  wide.atol = 100;
  EXPECT_EQ(Verifier(original, wide).check(other.build()).status, Status::kPassed);
}

TEST(Verifier, NaNMayBecomeANumberByFusionOnly) {
  test::ModelBuilder b;
  const ir::ValueId root = b.node("Sqrt", {b.input("x", DataType::kFloat32, {2, 3, 8, 9})}, "root");
  const ir::ValueId conv =  // by oneDNN, whose Relu drops NaN: groups of few filters are none of ours
      b.node("Conv", {root, b.weights("w", {6, 1, 1, 1})}, "conv", {{"group", int64_t{3}, {}}});
  b.output(b.node("Relu", {b.batch_norm(conv, "bn", 6)}, "y"));
  const Model original = b.build();
  Model optimized = original;
  ASSERT_TRUE(pli::optimize(optimized).batch_norms.at(0).folded);
  const Verification fused = Verifier(original, {}).check(optimized);
  EXPECT_EQ(fused.status, Status::kPassed) << fused.reason;
  EXPECT_NE(fused.note.find("NaN in the original"), std::string::npos) << fused.note;

  const Execute without_nan = [](const Model& model, bool, std::span<const NamedValues> inputs) {
    const Session session(model, {.optimize = false});
    std::vector<NamedValues> outputs;
    for (const NamedValues& values : inputs) {
      Tensor y = session.run(values).at("y").tensor();
      for (float& element : y.mutable_data<float>()) element = std::isnan(element) ? 0 : element;
      outputs.push_back({{"y", y}});
    }
    return outputs;
  };
  EXPECT_EQ(Verifier(original, {}, without_nan).check(optimized).status, Status::kFailed);
}

TEST(Verifier, FailsWhatDoesNotRunAnyMore) {
  const Model original = test::two_folds().build();
  const Verification result = Verifier(original, {}).check(test::unknown_operator().build());
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_NE(result.reason.find("the original runs, the result does not"), std::string::npos) << result.reason;
}

TEST(Verifier, SkipsWhatCanNotRun) {
  const Model original = test::unknown_operator().build();
  const Verification result = Verifier(original, {}).check(original);
  EXPECT_EQ(result.status, Status::kSkipped);
  EXPECT_NE(result.reason.find("Mystery"), std::string::npos) << result.reason;
}

/// Runs models with a Session, and spoils what runs fused.
Execute execute_with(const std::function<void(std::span<float>, const Model&)>& spoil_fused) {
  return [=](const Model& model, bool fuse, std::span<const NamedValues> inputs) {
    SessionOptions options;
    options.optimize = false;
    options.fuse = fuse;
    const Session session(model, options);
    std::vector<NamedValues> outputs;
    for (const NamedValues& values : inputs) {
      const NamedValues run = session.run(values);
      NamedValues result;
      for (const auto& [name, value] : run) {
        Tensor tensor(value.dtype(), Shape(value.shape().begin(), value.shape().end()));
        std::ranges::copy(value.data<float>(), tensor.mutable_data<float>().begin());
        if (fuse) spoil_fused(tensor.mutable_data<float>(), model);
        result.add(name, tensor);
      }
      outputs.push_back(std::move(result));
    }
    return outputs;
  };
}

TEST(Verifier, AWrongFusionIsNoFoldsFault) {
  const Model original = test::two_folds().build();
  Model optimized = original;
  pli::optimize(optimized);
  const auto spoil = execute_with([](std::span<float> values, const Model&) { values[5] += 0.3f; });
  const Verification result = Verifier(original, {}, spoil).check(optimized);
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_TRUE(result.folds_hold);
  EXPECT_NE(result.reason.find("no fold is to blame, but how operators are fused while running"), std::string::npos)
      << result.reason;
  EXPECT_NE(result.reason.find(" as well"), std::string::npos) << result.reason;
}

TEST(Verifier, AWrongFusionOfTheResultAloneIsNoFoldsFault) {
  const Model original = test::two_folds().build();
  Model optimized = original;
  pli::optimize(optimized);
  const size_t nodes = optimized.ir()->graph.node_count();
  const auto spoil = execute_with([=](std::span<float> values, const Model& model) {
    if (model.ir()->graph.node_count() == nodes) values[5] += 0.3f;
  });
  const Verification result = Verifier(original, {}, spoil).check(optimized);
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_TRUE(result.folds_hold);
  EXPECT_NE(result.reason.find("no fold is to blame"), std::string::npos) << result.reason;
  EXPECT_EQ(result.reason.find(" as well"), std::string::npos) << result.reason;
}

TEST(Verifier, AWrongFoldIsNotExcusedByFusion) {
  const Model original = test::fold_that_differs().build();
  Model optimized = original;
  pli::optimize(optimized);
  const auto spoil = execute_with([](std::span<float> values, const Model&) { values[5] += 0.3f; });
  const Verification result = Verifier(original, {}, spoil).check(optimized);
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_FALSE(result.folds_hold);
  EXPECT_EQ(result.reason.find("fus"), std::string::npos) << result.reason;
}

/// The difference of two large sums that are nearly equal; `by` is what they differ by, for an input of ones.
Model ill_conditioned(float by) {
  test::ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {4, 16});
  const ir::ValueId w = b.weights("w", {16, 5}, 0, 1e5f);
  const auto large = b.graph().constant_of(w)->data<float>();
  std::vector<float> larger(large.begin(), large.end());
  for (float& value : larger) value += by;
  const ir::ValueId left = b.node("MatMul", {x, b.constant("v", {16, 5}, larger)}, "left");
  b.output(b.node("Sub", {left, b.node("MatMul", {x, w}, "right")}, "y"));
  return b.build();
}

/// Inputs that make noise of everything are no proof of anything: the user is told.
TEST(Verifier, AFoldOfAnIllConditionedModelNeedsOtherInputs) {
  const Verification result = Verifier(ill_conditioned(1), {}).check(ill_conditioned(1.02f));
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_FALSE(result.folds_hold);
  EXPECT_NE(result.reason.find("give real ones with --input"), std::string::npos) << result.reason;
}

TEST(Verifier, RoundingOfAnIllConditionedModelIsAccepted) {
  const Model original = ill_conditioned(1);
  const auto spoil = execute_with([](std::span<float> values, const Model&) { values[5] += 0.1f; });
  const Verification result = Verifier(original, {}, spoil).check(original);
  EXPECT_EQ(result.status, Status::kPassed) << result.reason;
  EXPECT_TRUE(result.folds_hold);
  EXPECT_EQ(result.reason, "");
  EXPECT_NE(result.note.find("rounding"), std::string::npos) << result.note;
  EXPECT_NE(result.note.find(" as well"), std::string::npos) << result.note;
  EXPECT_GT(result.max_rel_rms, 0.01);
}

TEST(Verifier, AComparisonOfNothingIsNone) {
  VerifyOptions options;
  options.inputs.dims = {"batch=0"};
  const Model original = test::two_folds().build();
  const Verification result = Verifier(original, options).check(original);
  EXPECT_EQ(result.status, Status::kSkipped);
  EXPECT_NE(result.reason.find("image float32[0, 3, "), std::string::npos) << result.reason;
}

TEST(Verifier, WhatDoesNotFitIntoMemoryIsNotVerified) {
  const Model original = test::two_folds().build();
  VerifyOptions options;
  options.inputs.dims = {"batch=1000000000"};
  Verification result = Verifier(original, options).check(original);
  EXPECT_EQ(result.status, Status::kSkipped);
  EXPECT_NE(result.reason.find("input \"image\" float32[1000000000, 3, 32, 32]"), std::string::npos) << result.reason;
  const auto too_much = [](const Model&, bool, std::span<const NamedValues>) -> std::vector<NamedValues> {
    throw std::bad_alloc();
  };
  result = Verifier(original, {}, too_much).check(original);
  EXPECT_EQ(result.status, Status::kSkipped);
  EXPECT_NE(result.reason.find("memory"), std::string::npos) << result.reason;
}

TEST(Verifier, IntegersThatRoundOtherwiseAreLeftToTheUser) {
  test::ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {4, 50});
  const ir::ValueId whole = b.node("Cast", {x}, "whole", {{"to", int64_t{6}, {}}});
  b.output(whole, DataType::kInt32);
  test::ModelBuilder c;
  const ir::ValueId cx = c.input("x", DataType::kFloat32, {4, 50});
  const ir::ValueId shifted = c.node("Add", {cx, c.constant<float>("c", {}, {0.1f})}, "shifted");
  c.output(c.node("Cast", {shifted}, "whole", {{"to", int64_t{6}, {}}}), DataType::kInt32);
  const Verification result = Verifier(b.build(), {}).check(c.build());
  EXPECT_EQ(result.status, Status::kFailed);
  EXPECT_NE(result.reason.find("--atol"), std::string::npos) << result.reason;
  VerifyOptions options;
  options.atol = 3;
  EXPECT_EQ(Verifier(b.build(), options).check(c.build()).status, Status::kPassed);
}

TEST(Verifier, ToleranceFollowsTheDataType) {
  EXPECT_EQ(default_tolerance(DataType::kFloat32).rtol, 1e-3);
  EXPECT_EQ(default_tolerance(DataType::kFloat32).atol_rms, 1e-3);
  EXPECT_GT(default_tolerance(DataType::kFloat16).rtol, default_tolerance(DataType::kFloat32).rtol);
  EXPECT_EQ(default_tolerance(DataType::kInt64).rtol, 0);
  EXPECT_EQ(default_tolerance(DataType::kBool).atol_rms, 0);
}

}  // namespace
}  // namespace pli::tools
