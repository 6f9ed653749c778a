#include "tools/support/verify.h"

#include "tests/tools/models.h"

#include <gtest/gtest.h>

#include <pli/optimize.h>

#include <algorithm>
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
  EXPECT_EQ(result.inputs, "image float32[2, 3, 32, 32]");
  EXPECT_LT(result.max_rel_rms, 1e-5);
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

TEST(Verifier, ToleranceFollowsTheDataType) {
  EXPECT_EQ(default_tolerance(DataType::kFloat32).rtol, 1e-3);
  EXPECT_EQ(default_tolerance(DataType::kFloat32).atol_rms, 1e-3);
  EXPECT_GT(default_tolerance(DataType::kFloat16).rtol, default_tolerance(DataType::kFloat32).rtol);
  EXPECT_EQ(default_tolerance(DataType::kInt64).rtol, 0);
  EXPECT_EQ(default_tolerance(DataType::kBool).atol_rms, 0);
}

}  // namespace
}  // namespace pli::tools
