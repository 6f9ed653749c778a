#include "runtime/compute/thread_pool.h"

#include "runtime/compute/float_control.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pli::compute {

namespace {

using Clock = std::chrono::steady_clock;

/// Turns of some tens of nanoseconds each: longer than what lies between two steps, shorter than all else that waits.
constexpr int kSpins = 10000;

/// A worker is late when a job ended so much later than if the caller had been alone with it.
constexpr auto kLate = std::chrono::microseconds(500);

/// How long the pool goes on without workers after one was late; twice as long each time, up to the last.
constexpr int64_t kFirstRest = 10'000'000, kLongestRest = 640'000'000;  // ns
/// Jobs in which nobody was late after which the next rest is the first again.
constexpr int kGoodJobs = 1000;

/// How many forks lie between this process and the one that was started.
std::atomic<int> forks = 0;
[[maybe_unused]] const int kAfterFork = ::pthread_atfork(nullptr, nullptr, [] { ++forks; });

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns when `holds`, or after some hundred microseconds.
template <class Condition>
bool spin_until(const Condition& holds) {
  for (int i = 0; i < kSpins; ++i) {
    if (holds()) return true;
    pause();
  }
  return holds();
}

struct Job {
  ThreadPool::Task task;
  const void* context;
  int64_t count;
  FloatControl floats = float_control();  // of the caller
  std::atomic<int64_t> claimed = 0, from_back = 0;
  std::atomic<int> helpers = 0;  // workers that may still touch this
  std::mutex mutex;              // guards the next
  std::exception_ptr thrown;

  bool claim() { return claimed.fetch_add(1, std::memory_order_relaxed) < count; }
  void perform(int64_t index) {
    try {
      task(context, index);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!thrown) thrown = std::current_exception();
      claimed.store(count, std::memory_order_relaxed);
    }
  }
};

}  // namespace

/// The workers of one process.
class ThreadPool::Crew {
 public:
  explicit Crew(int workers) {
    workers_.reserve(static_cast<size_t>(workers));
    try {
      for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // there are no more threads to be had
    }
  }

  ~Crew() {
    ending_ = true;
    call(static_cast<int64_t>(workers_.size()));
    for (std::thread& worker : workers_) worker.join();
  }

  int workers() const { return static_cast<int>(workers_.size()); }
  bool is_of_this_process() const { return forks_ == forks; }

  bool has_help() {
    const int64_t until = rests_until_.load(std::memory_order_relaxed);
    return !workers_.empty() && (until == 0 || Clock::now().time_since_epoch().count() >= until);
  }

  void run(Job& job) {
    const auto start = Clock::now();
    {
      const std::scoped_lock lock(mutex_);
      jobs_.push_back(&job);
    }
    call(job.count - 1);
    int64_t own = 0;
    while (job.claim()) job.perform(own++);
    const auto done = Clock::now();
    {
      const std::scoped_lock lock(mutex_);  // from here on nobody begins to help
      std::erase(jobs_, &job);
    }
    const auto alone = [&] { return job.helpers.load(std::memory_order_acquire) == 0; };
    if (!spin_until(alone))
      while (!alone()) std::this_thread::yield();
    note(own > 0 && Clock::now() - start > (done - start) * job.count / own + kLate);
  }

 private:
  void work() {
    omp_set_num_threads(1);  // for oneDNN
    for (;;) {
      const uint32_t before = calls_.load(std::memory_order_acquire);
      if (Job* job = next_job()) {
        set_float_control(job->floats);
        while (job->claim()) job->perform(job->count - 1 - job->from_back.fetch_add(1, std::memory_order_relaxed));
        job->helpers.fetch_sub(1, std::memory_order_release);
      } else if (ending_) {
        return;
      } else if (!spin_until([&] { return calls_.load(std::memory_order_relaxed) != before; })) {
        calls_.wait(before);
      }
    }
  }

  Job* next_job() {
    const std::scoped_lock lock(mutex_);
    for (Job* job : jobs_)
      if (job->claimed.load(std::memory_order_relaxed) < job->count) {
        job->helpers.fetch_add(1, std::memory_order_relaxed);
        return job;
      }
    return nullptr;
  }

  void call(int64_t helpers) {
    calls_.fetch_add(1);
    for (int64_t i = std::min(helpers, static_cast<int64_t>(workers_.size())); i > 0; --i) calls_.notify_one();
  }

  void note(bool late) {
    if (!late) {
      if (good_jobs_.fetch_add(1, std::memory_order_relaxed) == kGoodJobs) rest_ = kFirstRest;
      return;
    }
    good_jobs_ = 0;
    const int64_t rest = rest_;
    rests_until_ = Clock::now().time_since_epoch().count() + rest;
    rest_ = std::min(2 * rest, kLongestRest);
  }

  const int forks_ = forks;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::vector<Job*> jobs_;           // that may have something to do; guarded by the mutex
  std::atomic<uint32_t> calls_ = 0;  // of jobs, and of the end
  std::atomic<bool> ending_ = false;
  std::atomic<int64_t> rests_until_ = 0, rest_ = kFirstRest;  // ns
  std::atomic<int> good_jobs_ = 0;
};

ThreadPool::~ThreadPool() {
  Crew* crew = crew_.load();
  if (crew && crew->is_of_this_process()) delete crew;
}

/// One that a fork left without threads can't be ended; its few bytes stay.
ThreadPool::Crew& ThreadPool::crew() {
  Crew* there = crew_.load(std::memory_order_acquire);
  while (!there || !there->is_of_this_process()) {
    auto made = std::make_unique<Crew>(threads_ - 1);
    if (!crew_.compare_exchange_strong(there, made.get())) continue;
    there = made.release();
    missing_ = threads_ - 1 - there->workers();
  }
  return *there;
}

void ThreadPool::run(int64_t count, Task task, const void* context) {
  Crew* helping = count > 1 && threads_ > 1 ? &crew() : nullptr;
  if (!helping || !helping->has_help()) {
    for (int64_t i = 0; i < count; ++i) task(context, i);
    return;
  }
  Job job{task, context, count};
  helping->run(job);
  if (job.thrown) std::rethrow_exception(job.thrown);
}

}  // namespace pli::compute
