#pragma once

#include <atomic>
#include <cstdint>

namespace pli::compute {

/// Workers that help whoever calls run(). A job is a number of tasks: the caller claims one after the other from the
/// front, workers that are awake from the back, so that a thread without a processor delays at most the task that it
/// has. Where that happens, the pool goes on without workers for a while, then tries again: beside a busy process one
/// thread is faster than two of which one waits. Workers that find nothing to do spin for some hundred microseconds,
/// then sleep.
///
/// Workers take the floating-point state of whom they help. Thread-safe: callers share the workers. A forked child gets
/// workers of its own.
class ThreadPool {
 public:
  /// The caller and `threads` - 1 workers, which start with the first job that has something for them; fewer where the
  /// system gives no more.
  explicit ThreadPool(int threads) : threads_(threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  /// Workers that the system did not give since this was last asked.
  int take_missing() { return missing_.load(std::memory_order_relaxed) ? missing_.exchange(0) : 0; }

  using Task = void (*)(const void* context, int64_t index);

  /// Calls task(context, i) for each i in [0, count), once each, and returns when all have ended. What a task throws is
  /// thrown here, the first of it, and tasks that have not begun are left out.
  void run(int64_t count, Task task, const void* context);

 private:
  class Crew;
  Crew& crew();

  int threads_;
  std::atomic<int> missing_ = 0;
  std::atomic<Crew*> crew_ = nullptr;
};

}  // namespace pli::compute
