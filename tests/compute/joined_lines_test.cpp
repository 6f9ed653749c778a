#include "runtime/compute/joined_lines.h"

#include "runtime/compute/convolution.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/work_shares.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"
#include "tests/compute/simd_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

namespace pli::compute {
namespace {

using Kind = PostOp::Kind;
using Numbers = std::vector<float>;

constexpr int64_t kUnlimited = int64_t{1} << 40;

/// A convolution of a chain.
struct Stage {
  int64_t filters, kernel, stride = 1, groups = 1, pad_top = 0, pad_bottom = 0;
  PostOps ops;
};

Stage pointwise(int64_t filters, PostOps ops = {}) { return {filters, 1, 1, 1, 0, 0, std::move(ops)}; }
Stage depthwise(int64_t channels, int64_t kernel, int64_t stride, PostOps ops = {}) {
  return {channels, kernel, stride, channels, kernel / 2, kernel / 2, std::move(ops)};
}

const PostOp kClip{Kind::kClip, 0, 6, 0, {}};
const PostOp kSwish{Kind::kSwish, 1, 0, 0, {}};
const PostOp kAdd{Kind::kAdd, 0, 0, 0, {}};
const PostOp kAddInPlace{Kind::kAddInPlace, 0, 0, 0, {}};

/// A chain of convolutions, one kernel each, and what they compute on.
class Chain {
 public:
  Chain(Shape source, std::vector<Stage> stages, unsigned seed) : stages_(std::move(stages)), rng_(seed) {
    dims_.push_back(std::move(source));
    for (const Stage& stage : stages_) {
      const Shape from = dims_.back();
      const int64_t side = stage.kernel / 2;
      dims_.push_back({from[0], stage.filters,
                       (from[2] + stage.pad_top + stage.pad_bottom - stage.kernel) / stage.stride + 1,
                       (from[3] + 2 * side - stage.kernel) / stage.stride + 1});
      weights_.push_back(random({stage.filters, from[1] / stage.groups, stage.kernel, stage.kernel}));
      biases_.push_back(random({stage.filters}));
      summands_.push_back(numbers(dims_.back()));
    }
    source_ = numbers(dims_[0]);
    before_ = numbers(dims_.back());
  }

  std::unique_ptr<Kernel> kernel(size_t i) const {
    const Stage& stage = stages_[i];
    ConvolutionProblem problem;
    problem.source = channels_last(DataType::kFloat32, dims_[i]);
    problem.result = channels_last(DataType::kFloat32, dims_[i + 1]);
    problem.weight_dims = PerAxis(weights_[i].shape().begin(), weights_[i].shape().end());
    problem.weight = &weights_[i];
    problem.has_bias = true;
    problem.bias = &biases_[i];
    problem.groups = stage.groups;
    problem.strides = {stage.stride, stage.stride};
    problem.dilations = {1, 1};
    problem.pads_begin = {stage.pad_top, stage.kernel / 2};
    problem.pads_end = {stage.pad_bottom, stage.kernel / 2};
    problem.exact = true;  // no Winograd
    problem.post_ops = stage.ops;
    for (PostOp& op : problem.post_ops) {
      op.operand = kInputs - 1;
      op.description = problem.result;
    }
    return make_convolution(problem);
  }

  /// One after the other.
  Numbers result() const {
    Numbers current = source_;
    for (size_t i = 0; i < stages_.size(); ++i) {
      Numbers made = i + 1 == stages_.size() ? before_ : Numbers(summands_[i].size());
      const void* inputs[kInputs] = {current.data(), nullptr, nullptr, summands_[i].data()};
      run(*kernel(i), inputs, made);
      current = std::move(made);
    }
    return current;
  }

  Numbers joined_result() const {
    KernelWithInputs joined{kernel(0), kInputs};
    for (size_t i = 1; i < stages_.size(); ++i)
      joined = {join_lines(std::move(joined), {kernel(i), kInputs}), (i + 1) * kInputs};
    std::vector<const void*> inputs;
    for (const Numbers& summand : summands_) inputs.insert(inputs.end(), {nullptr, nullptr, nullptr, summand.data()});
    inputs[0] = source_.data();
    Numbers made = before_;
    run(*joined.kernel, inputs, made);
    return made;
  }

  void expect_equal(const std::string& what) const {
    const Numbers expected = result(), made = joined_result();
    ASSERT_EQ(made.size(), expected.size());
    for (size_t i = 0; i < made.size(); ++i)
      if (made[i] != expected[i]) {
        ADD_FAILURE() << what << ": element " << i << " is " << made[i] << ", not " << expected[i];
        return;
      }
  }

 private:
  static constexpr size_t kInputs = 4;

  Numbers numbers(const Shape& shape) {
    std::uniform_real_distribution<float> distribution(-1, 1);
    Numbers made(static_cast<size_t>(*checked_size(shape)));
    for (float& number : made) number = distribution(rng_);
    return made;
  }
  Tensor random(const Shape& shape) { return Tensor::copy<float>(shape, numbers(shape)); }

  static void run(const Kernel& kernel, std::span<const void* const> inputs, Numbers& result) {
    const auto scratch = allocate(kernel.scratch_bytes());
    const auto state = kernel.make_state();
    void* outputs[] = {result.data()};
    kernel.run({inputs, outputs, scratch.get(), state.get()});
  }

  std::vector<Stage> stages_;
  std::mt19937 rng_;
  std::vector<Shape> dims_;
  std::vector<Tensor> weights_, biases_;
  std::vector<Numbers> summands_;
  Numbers source_, before_;
};

class JoinedLines : public testing::TestWithParam<SimdLevel> {
 protected:
  SimdLimit limit_{GetParam()};
};

TEST_P(JoinedLines, HaveTheBitsOfTheirKernels) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const ThreadScope scope(&pool);
    const auto check = [&](Shape source, std::vector<Stage> stages, unsigned seed) {
      Chain(source, std::move(stages), seed).expect_equal(to_string(source) + " threads " + std::to_string(threads));
    };
    // An inverted residual, a stem before it, and what is behind one.
    check({1, 13, 19, 23}, {pointwise(37, {kClip}), depthwise(37, 3, 1, {kClip}), pointwise(11)}, 1);
    check({2, 13, 19, 23}, {pointwise(37, {kClip}), depthwise(37, 3, 2, {kClip}), pointwise(11, {kAdd})}, 2);
    check({3, 12, 14, 9}, {pointwise(40, {kSwish}), depthwise(40, 5, 2, {kSwish})}, 3);
    check({1, 3, 33, 31}, {{16, 3, 2, 1, 1, 1, {kClip}}, depthwise(16, 3, 1), pointwise(9), pointwise(21)}, 4);
    // In place, with loops behind the sum; in the middle of a chain.
    check({2, 9, 17, 8}, {depthwise(9, 5, 1, {kAdd, kSwish}), pointwise(24, {kAddInPlace, kSwish})}, 5);
    // Groups; more padding above than below; filters that skip lines; lines that meet nothing but padding.
    check({1, 10, 20, 12}, {pointwise(32), {48, 3, 1, 4, 2, 0, {kClip}}, {24, 3, 2, 2, 0, 1, {}}}, 6);
    check({1, 10, 20, 12}, {pointwise(32), {52, 3, 1, 4, 2, 0, {kClip}}, {26, 5, 2, 2, 0, 2, {}}}, 12);
    check({2, 8, 16, 7}, {pointwise(17), {17, 1, 3, 17, 0, 0, {kClip}}, pointwise(5)}, 7);
    check({1, 6, 5, 4}, {pointwise(19), {19, 3, 1, 19, 4, 4, {}}, {8, 3, 1, 1, 3, 2, {}}}, 8);
    // One line, one pixel.
    check({2, 7, 1, 9}, {pointwise(16), depthwise(16, 3, 1), pointwise(3)}, 9);
    check({5, 7, 1, 1}, {pointwise(16), depthwise(16, 3, 1)}, 10);
    // Strips of a line at a time, since more do not fit into the cache.
    check({1, 8, 40, 190}, {pointwise(96, {kClip}), depthwise(96, 5, 1), pointwise(12)}, 11);
  }
}

INSTANTIATE_TEST_SUITE_P(, JoinedLines, testing::ValuesIn(kSimdLevels), level_name);

TEST(JoiningLines, IsDoneWhereItPays) {
  const ThreadScope scope(nullptr);
  const Chain large({1, 16, 80, 80}, {pointwise(64), depthwise(64, 3, 1), pointwise(16)}, 1);
  EXPECT_TRUE(can_join(*large.kernel(0), *large.kernel(1), kUnlimited));
  EXPECT_FALSE(can_join(*large.kernel(0), *large.kernel(1), 1000));
  const KernelWithInputs joined{join_lines({large.kernel(0), 4}, {large.kernel(1), 4}), 8};
  EXPECT_EQ(joined.kernel->implementation(), "product, depthwise");
  EXPECT_LT(joined.kernel->scratch_bytes(), 512u << 10);
  EXPECT_TRUE(can_join(*joined.kernel, *large.kernel(2), kUnlimited));

  const Chain small({1, 16, 8, 8}, {pointwise(64), depthwise(64, 3, 1)}, 2);
  EXPECT_FALSE(can_join(*small.kernel(0), *small.kernel(1), kUnlimited));
  // One line takes more than the cache, and so do the weights.
  const Chain wide({1, 8, 4, 3000}, {pointwise(128), depthwise(128, 3, 1)}, 3);
  EXPECT_FALSE(can_join(*wide.kernel(0), *wide.kernel(1), kUnlimited));
  const Chain heavy({1, 512, 30, 30}, {pointwise(512), depthwise(512, 3, 1)}, 4);
  EXPECT_FALSE(can_join(*heavy.kernel(0), *heavy.kernel(1), kUnlimited));
}

TEST(WorkShares, GiveEachNumberOnce) {
  constexpr int64_t kCount = 20000;
  for (const size_t threads : {1u, 2u, 5u}) {
    std::vector<WorkShares::Share> shares(threads);
    WorkShares work(shares, kCount);
    std::vector<std::atomic<int>> times(kCount);
    const auto take_all = [&](size_t own, int64_t most) {
      for (Range range = work.take(own, most); range.size() > 0; range = work.take(own, most)) {
        EXPECT_LE(range.size(), most);
        for (int64_t i = range.begin; i < range.end; ++i) ++times[static_cast<size_t>(i)];
      }
    };
    std::vector<std::thread> workers;
    for (size_t i = 0; i < threads; ++i) workers.emplace_back(take_all, i, static_cast<int64_t>(i) + 1);
    for (std::thread& worker : workers) worker.join();
    for (const auto& count : times) ASSERT_EQ(count, 1);
  }
}

TEST(WorkShares, AreTakenOverFromThoseWhoDoNotCome) {
  std::vector<WorkShares::Share> shares(4);
  WorkShares work(shares, 100);
  std::vector<int> times(100, 0);
  for (Range range = work.take(2, 7); range.size() > 0; range = work.take(2, 7))
    for (int64_t i = range.begin; i < range.end; ++i) ++times[static_cast<size_t>(i)];
  EXPECT_EQ(times, std::vector<int>(100, 1));
  EXPECT_EQ(work.take(0, 1).size(), 0);
}

}  // namespace
}  // namespace pli::compute
