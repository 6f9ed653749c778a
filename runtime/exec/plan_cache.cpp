#include "runtime/exec/plan_cache.h"

#include <algorithm>

namespace pli::exec {

std::shared_ptr<CachedPlan> PlanCache::find(std::span<const int64_t> key) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(plans_, [&](const auto& plan) { return std::ranges::equal(plan->key, key); });
  if (found == plans_.end()) return nullptr;
  plans_.splice(plans_.begin(), plans_, found);
  ++statistics_.plans_reused;
  return plans_.front();
}

void PlanCache::add(std::shared_ptr<CachedPlan> plan) {
  std::list<std::shared_ptr<CachedPlan>> leaving;  // destroyed with no lock held
  const std::scoped_lock lock(mutex_);
  statistics_.plan_bytes += plan->bytes;
  ++statistics_.plans_compiled;
  plans_.push_front(std::move(plan));
  while (plans_.size() > 1 && (plans_.size() > most_plans_ || statistics_.plan_bytes > most_bytes_)) {
    statistics_.plan_bytes -= plans_.back()->bytes;
    leaving.splice(leaving.begin(), plans_, std::prev(plans_.end()));
  }
}

int64_t PlanCache::most_working_bytes() const {
  const std::scoped_lock lock(mutex_);
  int64_t most = 0;
  for (const auto& plan : plans_) most = std::max(most, working_bytes(*plan->plan));
  return most;
}

SessionStatistics PlanCache::statistics() const {
  const std::scoped_lock lock(mutex_);
  SessionStatistics statistics = statistics_;
  statistics.plans = static_cast<int64_t>(plans_.size());
  return statistics;
}

}  // namespace pli::exec
