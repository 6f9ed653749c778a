#include "runtime/compute/parallel.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace pli::compute {
namespace {

using namespace std::chrono_literals;

/// What the tasks of a job do to their own elements.
void expect_each_once(ThreadPool& pool, int64_t count) {
  const ThreadScope scope(&pool);
  std::vector<int> times(static_cast<size_t>(count), 0);
  parallel_tasks(count, [&](int64_t i) { ++times[static_cast<size_t>(i)]; });
  ASSERT_EQ(times, std::vector<int>(static_cast<size_t>(count), 1));
}

TEST(ThreadPool, RunsEachTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::mt19937 rng(5);
    for (int job = 0; job < 2500; ++job) expect_each_once(pool, static_cast<int64_t>(rng() % 20));
  }
}

TEST(ThreadPool, WaitsForWorkersThatAreHeldBack) {
  ThreadPool pool(3);
  const ThreadScope scope(&pool);
  const std::thread::id caller = std::this_thread::get_id();
  std::mt19937 rng(6);
  for (int job = 0; job < 1000; ++job) {
    const bool hold_back = rng() % 20 == 0;
    std::vector<int> times(7, 0);
    parallel_tasks(7, [&](int64_t i) {
      if (hold_back && std::this_thread::get_id() != caller) std::this_thread::sleep_for(1ms);
      ++times[static_cast<size_t>(i)];
    });
    ASSERT_EQ(times, std::vector<int>(7, 1));
  }
}

TEST(ThreadPool, GoesOnWithoutWorkersThatWereLate) {
  ThreadPool pool(2);
  const ThreadScope scope(&pool);
  const std::thread::id caller = std::this_thread::get_id();
  const auto job = [&](auto held_back) {  // how many tasks a worker took
    std::atomic<int> helped = 0;
    parallel_tasks(4, [&](int64_t) {
      std::this_thread::sleep_for(50us);
      if (std::this_thread::get_id() == caller) return;
      ++helped;
      std::this_thread::sleep_for(held_back);
    });
    return helped.load();
  };
  for (int attempt = 0; attempt < 1000; ++attempt)
    if (job(20ms) > 0 && job(0ms) == 0) return;
  FAIL() << "whoever was late is asked again at once";
}

TEST(ThreadPool, AsksWorkersAgainAfterAWhile) {
  ThreadPool pool(2);
  const ThreadScope scope(&pool);
  const std::thread::id caller = std::this_thread::get_id();
  int jobs_with_help = 0;
  for (int job = 0; job < 10000 && jobs_with_help < 3; ++job) {
    std::atomic<bool> helped = false;
    parallel_tasks(4, [&](int64_t) {
      const bool is_worker = std::this_thread::get_id() != caller;
      std::this_thread::sleep_for(is_worker ? 5ms : 100us);  // late each time
      if (is_worker) helped = true;
    });
    jobs_with_help += helped;
  }
  EXPECT_EQ(jobs_with_help, 3);
}

TEST(ThreadPool, ThrowsWhatATaskThrows) {
  ThreadPool pool(3);
  const ThreadScope scope(&pool);
  for (int64_t which = 0; which < 6; ++which) {
    EXPECT_THROW(parallel_tasks(6,
                                [&](int64_t i) {
                                  if (i == which) throw std::runtime_error("a task");
                                }),
                 std::runtime_error);
    expect_each_once(pool, 9);
  }
}

TEST(ThreadPool, TasksWithinTasksRunOneAfterTheOther) {
  ThreadPool pool(3);
  const ThreadScope scope(&pool);
  EXPECT_EQ(threads_here(), 3);
  std::vector<int> sums(5, 0);
  parallel_tasks(5, [&](int64_t i) {
    EXPECT_EQ(threads_here(), 1);
    parallel_for(100, 1, [&](int64_t begin, int64_t end) { sums[static_cast<size_t>(i)] += int(end - begin); });
  });
  EXPECT_EQ(sums, std::vector<int>(5, 100));
  EXPECT_EQ(threads_here(), 3);
}

TEST(ThreadPool, LoopsCoverTheirRangeOnce) {
  ThreadPool pool(3);
  const ThreadScope scope(&pool);
  for (const int64_t count : {0, 1, 5, 64, 1001})
    for (const int64_t grain : {0, 1, 7, 400, 5000}) {
      std::vector<int> times(static_cast<size_t>(count), 0);
      parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        EXPECT_LT(begin, end);
        for (int64_t i = begin; i < end; ++i) ++times[static_cast<size_t>(i)];
      });
      EXPECT_EQ(times, std::vector<int>(static_cast<size_t>(count), 1));
    }
}

TEST(ThreadPool, CallersShareTheWorkers) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&, caller] {
      for (int job = 0; job < 1000; ++job) expect_each_once(pool, 1 + (caller + job) % 9);
    });
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPool, AreMadeAndEndedInParallel) {
  std::vector<std::thread> makers;
  for (int maker = 0; maker < 8; ++maker)
    makers.emplace_back([] {
      for (int i = 0; i < 30; ++i) {
        ThreadPool pool(1 + i % 4);
        for (int job = 0; job < i % 3; ++job) expect_each_once(pool, 5);
      }
    });
  for (std::thread& maker : makers) maker.join();
}

/// Returns when so many workers have helped and lie idle.
void await_workers(ThreadPool& pool, size_t workers) {
  const ThreadScope scope(&pool);
  std::mutex mutex;
  std::set<std::thread::id> seen{std::this_thread::get_id()};
  for (int job = 0; job < 1000 && seen.size() <= workers; ++job)
    parallel_tasks(8, [&](int64_t) {
      std::this_thread::sleep_for(100us);
      const std::scoped_lock lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
  EXPECT_GT(seen.size(), workers);
  std::this_thread::sleep_for(20ms);
}

TEST(ThreadPool, AForkedChildHasWorkersOfItsOwn) {
  if (std::string(PLI_SANITIZE).find("thread") != std::string::npos)
    GTEST_SKIP() << "the thread sanitizer lets no child of a process with threads start others";
  ThreadPool pool(3);
  await_workers(pool, 2);  // one that is just starting could hold a lock of the system's that the child never gets
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    {
      const ThreadScope scope(&pool);
      std::atomic<bool> helped = false;
      const std::thread::id caller = std::this_thread::get_id();
      for (int job = 0; job < 1000 && !helped; ++job)
        parallel_tasks(8, [&](int64_t) {
          if (std::this_thread::get_id() != caller) helped = true;
          std::this_thread::sleep_for(100us);
        });
      ::_exit(helped ? 0 : 1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  expect_each_once(pool, 9);
}

/// With stacks that no system has memory for no thread begins.
TEST(ThreadPool, GoesOnWithoutThreadsThatTheSystemDoesNotGive) {
  pthread_attr_t before, huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 46), 0);
  ThreadPool pool(3);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  expect_each_once(pool, 20);
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  EXPECT_EQ(pool.take_missing(), 2);
  EXPECT_EQ(pool.take_missing(), 0);
  expect_each_once(pool, 20);
}

}  // namespace
}  // namespace pli::compute
