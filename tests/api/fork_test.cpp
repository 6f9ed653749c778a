// Children of a process that has used Pli: they run, or end with an error, but do not wait for threads that are not
// there.

#include <gtest/gtest.h>

#include <pli/pli.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include <omp.h>

namespace pli::test {
namespace {

const std::string kDigits = PLI_SOURCE_DIR "/models/digits.onnx";

Tensor images() { return load_tensor(PLI_SOURCE_DIR "/models/digits/test_data_set_1/input_0.pb"); }

Tensor run(const Session& session) { return session.run({{"image", images()}}).at("logits").tensor(); }

/// How a forked child ends that does `work`, which says whether it went well: 0, 1, or minus a signal; the alarm's when
/// it hangs.
template <class Work>
int end_of_child(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    bool well = false;
    try {
      well = work();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child: %s\n", e.what());
    }
    ::_exit(well ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class Fork : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(PLI_SANITIZE).find("thread") != std::string::npos)
      GTEST_SKIP() << "the thread sanitizer lets no child of a process with threads start others";
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one processor, so no threads";
  }

  static bool right(const Tensor& logits) { return std::ranges::equal(logits.data<float>(), expected().data<float>()); }

  static const Tensor& expected() {
    static const Tensor logits = run(Session::load(kDigits, {.threads = 1}));
    return logits;
  }
};

TEST_F(Fork, AChildRunsWhatItsParentHasRun) {
  ASSERT_TRUE(right(expected()));
  const Session session = Session::load(kDigits, {.threads = 2});
  ASSERT_TRUE(right(run(session)));
  EXPECT_EQ(end_of_child([&] { return right(run(session)); }), 0);
  EXPECT_TRUE(right(run(session)));  // and so does the parent, further on
  EXPECT_EQ(end_of_child([&] { return end_of_child([&] { return right(run(session)); }) == 0 && right(run(session)); }),
            0);
}

TEST_F(Fork, AChildLoadsItsOwn) {
  ASSERT_TRUE(right(run(Session::load(kDigits, {.threads = 2}))));
  EXPECT_EQ(end_of_child([] { return right(run(Session::load(kDigits, {.threads = 2}))); }), 0);
  EXPECT_EQ(end_of_child([] {
              Model model = Model::load(kDigits);
              return optimize(model).batch_norms.size() == 10;
            }),
            0);
}

TEST_F(Fork, AnyThreadMayFork) {
  const Session session = Session::load(kDigits, {.threads = 2});
  std::thread([&] {
    ASSERT_TRUE(right(run(session)));
    EXPECT_EQ(end_of_child([&] { return right(run(session)); }), 0);
  }).join();
  EXPECT_TRUE(right(run(session)));
}

TEST_F(Fork, WhatTheProgramItselfDidInParallelDoesNotMatter) {
  const Session session = Session::load(kDigits, {.threads = 2});
  int sum = 0;
#pragma omp parallel num_threads(2) reduction(+ : sum)
  sum += omp_get_num_threads();
  ASSERT_GT(sum, 0);
  EXPECT_EQ(end_of_child([&] { return right(run(session)); }), 0);
}

}  // namespace
}  // namespace pli::test
