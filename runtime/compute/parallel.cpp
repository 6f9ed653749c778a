#include "runtime/compute/parallel.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <thread>

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

/// OpenMP's threads do not survive a fork, but what the forking thread remembers of them does, and its child would wait
/// for them without end: so they end before, and are made anew when they are needed.
[[maybe_unused]] const int kBeforeFork =
    ::pthread_atfork([] { omp_pause_resource_all(omp_pause_soft); }, nullptr, nullptr);

}  // namespace

int usable_processors() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

ThreadChoice available_threads() {
  const int online = usable_processors();
  ThreadChoice choice{online, fmt::format("{} processors", online)};
  if (const auto allowed = affinity_count(); allowed && *allowed > 0 && *allowed <= choice.threads)
    choice = {*allowed, fmt::format("affinity mask of {} processors", *allowed)};
  if (const auto quota = quota_count(); quota && *quota < choice.threads)
    choice = {std::max(1, *quota), fmt::format("cgroup quota of {} processors", std::max(1, *quota))};
  if (const int possible = possible_threads(choice.threads); possible < choice.threads)
    choice = {possible, "all that OpenMP's settings allow"};
  return choice;
}

int possible_threads(int threads) {
  return omp_get_max_active_levels() < 1 ? 1 : std::min(threads, omp_get_thread_limit());
}

}  // namespace pli::compute
