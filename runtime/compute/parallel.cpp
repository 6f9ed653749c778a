#include "runtime/compute/parallel.h"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

namespace pli::compute {

namespace {

std::optional<int> affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::nullopt;
  return CPU_COUNT(&set);
}

/// The processors that the cgroup's quota amounts to, rounded up; nothing when there is none. Version 2, then
/// version 1.
std::optional<int> quota_count() {
  double quota = 0;
  double period = 0;
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file >> quota >> period) {
    if (quota > 0 && period > 0) return static_cast<int>(std::ceil(quota / period));
    return std::nullopt;
  }
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0)
    return static_cast<int>(std::ceil(quota / period));
  return std::nullopt;
}

thread_local ThreadPool* pool_here = nullptr;
thread_local const Interrupt* interrupt_here = nullptr;

void run_here(int64_t count, ThreadPool::Task task, const void* context) {
  ThreadPool* const pool = std::exchange(pool_here, nullptr);
  struct Restore {
    ThreadPool* pool;
    ~Restore() { pool_here = pool; }
  } const restore{pool};
  if (pool)
    pool->run(count, task, context);
  else
    for (int64_t i = 0; i < count; ++i) task(context, i);
}

}  // namespace

int usable_processors() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

ThreadChoice available_threads() {
  const int online = usable_processors();
  ThreadChoice choice{online, fmt::format("{} processors", online)};
  if (const auto allowed = affinity_count(); allowed && *allowed > 0 && *allowed <= choice.threads)
    choice = {*allowed, fmt::format("affinity mask of {} processors", *allowed)};
  if (const auto quota = quota_count(); quota && *quota < choice.threads)
    choice = {std::max(1, *quota), fmt::format("cgroup quota of {} processors", std::max(1, *quota))};
  return choice;
}

ThreadScope::ThreadScope(ThreadPool* pool) : pool_(pool_here), openmp_threads_(omp_get_max_threads()) {
  pool_here = pool;
  omp_set_num_threads(1);
}

ThreadScope::~ThreadScope() {
  pool_here = pool_;
  omp_set_num_threads(openmp_threads_);
}

int threads_here() { return pool_here ? pool_here->threads() : 1; }

InterruptScope::InterruptScope(const Interrupt* interrupt) : interrupt_(std::exchange(interrupt_here, interrupt)) {}
InterruptScope::~InterruptScope() { interrupt_here = interrupt_; }

void check_interrupt() {
  if (interrupt_here) interrupt_here->check();
}

void run_tasks(int64_t count, ThreadPool::Task task, const void* context) {
  if (!interrupt_here) return run_here(count, task, context);
  struct Watched {
    const Interrupt* interrupt;
    ThreadPool::Task task;
    const void* context;
  } const watched{interrupt_here, task, context};
  run_here(
      count,
      [](const void* all, int64_t i) {
        const auto& [interrupt, of_it, its_context] = *static_cast<const Watched*>(all);
        interrupt->check();
        const InterruptScope scope(interrupt);  // of a worker, too
        of_it(its_context, i);
      },
      &watched);
}

}  // namespace pli::compute
