#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <omp.h>

namespace pli::compute {

/// Processors that this process may run on. At least 1.
int usable_processors();

/// How many threads a session should use, and why: "affinity mask", "cgroup quota", ...
struct ThreadChoice {
  int threads = 1;
  std::string reason;
};
ThreadChoice available_threads();

/// As many of these threads as OpenMP can give (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS).
int possible_threads(int threads);

/// Sets the number of OpenMP threads of the calling thread while it lives, as many of `threads` as are possible: oneDNN
/// and parallel_for both follow it. oneDNN leaves out parts of the work when a team has fewer threads than it was made
/// for, so that their number must not follow the machine's load (OMP_DYNAMIC) either.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : threads_(omp_get_max_threads()), dynamic_(omp_get_dynamic()) {
    omp_set_dynamic(0);
    omp_set_num_threads(possible_threads(threads));
  }
  ~ThreadScope() {
    omp_set_num_threads(threads_);
    omp_set_dynamic(dynamic_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int threads_;  // as before
  int dynamic_;
};

/// Calls body(begin, end) on disjoint ranges that cover [0, count), in parallel when that is worth it: `grain` is the
/// least count a thread should get. The body must not throw.
template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  const int64_t most = omp_in_parallel() ? 1 : omp_get_max_threads();
  const int parts = static_cast<int>(std::min(most, count / std::max<int64_t>(grain, 1)));
  if (parts <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#pragma omp parallel num_threads(parts)
  {
    const int64_t team = omp_get_num_threads();
    const int64_t part = omp_get_thread_num();
    const int64_t begin = count * part / team;
    const int64_t end = count * (part + 1) / team;
    if (begin < end) body(begin, end);
  }
}

}  // namespace pli::compute
