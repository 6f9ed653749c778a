#pragma once

#include "runtime/compute/float_control.h"
#include "runtime/compute/interrupt.h"
#include "runtime/compute/thread_pool.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace pli::compute {

/// Processors that this process may run on. At least 1.
int usable_processors();

/// How many threads a session should use, and why: "affinity mask", "cgroup quota", ...
struct ThreadChoice {
  int threads = 1;
  std::string reason;
};
ThreadChoice available_threads();

/// What the calling thread does in parallel is done with this pool while it lives; null: by itself. oneDNN, which
/// would start OpenMP's threads, uses the calling thread only. Its floating-point state is the usual one meanwhile.
class ThreadScope {
 public:
  explicit ThreadScope(ThreadPool* pool);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  ThreadPool* pool_;    // as before
  int openmp_threads_;  // likewise
  FloatScope floats_;
};

/// Ends what the calling thread does in parallel while it lives, between two tasks, where `interrupt` says so; null:
/// nothing does.
class InterruptScope {
 public:
  explicit InterruptScope(const Interrupt* interrupt);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  const Interrupt* interrupt_;  // as before
};

/// Within a task that takes long: ends it where somebody has asked for that.
void check_interrupt();

/// Threads that a parallel loop of the calling thread can have. Within a task of such a loop: 1.
int threads_here();

/// See ThreadPool::run. Without threads, or within such a task, one after the other.
void run_tasks(int64_t count, ThreadPool::Task task, const void* context);

/// Calls body(i) for each i in [0, count), in parallel.
template <class Body>
void parallel_tasks(int64_t count, const Body& body) {
  run_tasks(
      count, [](const void* context, int64_t i) { (*static_cast<const Body*>(context))(i); }, &body);
}

/// Calls body(begin, end) on disjoint ranges that cover [0, count), in parallel when that is worth it: `grain` is the
/// least count a thread should get.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  const int64_t ranges = std::min<int64_t>(threads_here(), count / std::max<int64_t>(grain, 1));
  if (ranges > 1)
    parallel_tasks(ranges, [&](int64_t i) { body(count * i / ranges, count * (i + 1) / ranges); });
  else if (count > 0)
    body(int64_t{0}, count);
}

}  // namespace pli::compute
