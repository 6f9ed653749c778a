#pragma once

#include "runtime/exec/execution.h"

#include <pli/session.h>

#include <list>
#include <mutex>

namespace pli::exec {

/// A plan, what it is for, and its executions that nobody uses at the moment.
struct CachedPlan {
  std::vector<int64_t> key;
  std::shared_ptr<const Plan> plan;
  int64_t bytes = 0;  // see own_bytes
  std::mutex mutex;   // guards the rest
  std::vector<std::unique_ptr<Execution>> idle;
};

/// The plans that a session keeps: the most recently used ones. Thread-safe.
class PlanCache {
 public:
  /// The last one is kept whatever it takes.
  PlanCache(size_t most_plans, int64_t most_bytes) : most_plans_(most_plans), most_bytes_(most_bytes) {}

  /// Null when there is none for this key.
  std::shared_ptr<CachedPlan> find(std::span<const int64_t> key);

  /// Keeps a new one, and lets those go for which there is no room.
  void add(std::shared_ptr<CachedPlan> plan);

  /// The most that one call of a kept plan works in.
  int64_t most_working_bytes() const;

  /// The plans, how often they served, and their bytes.
  SessionStatistics statistics() const;

 private:
  size_t most_plans_;
  int64_t most_bytes_;
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<CachedPlan>> plans_;  // most recently used first
  SessionStatistics statistics_;
};

}  // namespace pli::exec
