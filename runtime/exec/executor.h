#pragma once

#include "runtime/exec/call.h"
#include "runtime/exec/compile.h"
#include "runtime/exec/plan_cache.h"

#include <pli/session.h>
#include <pli/value.h>

#include <map>
#include <mutex>

namespace pli::exec {

/// A graph made ready to run for any input shapes: compiles a plan for each new set of shapes, keeps the most recently
/// used ones, and lends each call an execution and memory of its own. Thread-safe.
class Executor {
 public:
  /// `graph`: as it will be run. kUnsupported: lists every operator that Pli can't run.
  Executor(ir::Graph graph, const SessionOptions& options);

  NamedValues run(const NamedValues& inputs, const RunOptions& options = {}) const;
  void run(const NamedValues& inputs, std::span<const OutputMemory> outputs, const RunOptions& options) const;

  /// Runs `runs` times; the median time of each step.
  std::vector<StepTime> profile(const NamedValues& inputs, int runs) const;

  /// The plan for inputs of these shapes, without NaN or infinity; compiled when it is not there yet. Of the values
  /// only those count that decide shapes.
  std::shared_ptr<const Plan> plan(const NamedValues& inputs) const;

  /// The same, and has ready all that a run of it needs.
  void prepare(const NamedValues& inputs) const;

  const ir::Graph& graph() const { return graph_; }
  /// Whether the value of this input, not only its shape, is part of what a plan is compiled for.
  bool decides_shapes(ir::ValueId input) const { return value_inputs_.contains(input); }
  int threads() const { return compile_options_.threads->threads(); }
  /// What the plans and executions that are kept take; what packed weights take, of all plans.
  SessionStatistics statistics() const;
  int64_t packed_weight_bytes() const { return compute::packed_bytes(*compile_options_.weights); }

 private:
  template <class T>
  using Array = std::pmr::vector<T>;

  /// What is asked in a call.
  struct Request {
    Array<const Tensor*> inputs;  // of the graph; null: the default
    Fusion fusion;
    Array<size_t> outputs;  // of the graph, in its order; empty: all
  };

  size_t index_of_input(const std::string& name) const;
  Array<const Tensor*> match(const NamedValues& inputs, CallMemory& memory) const;
  Fusion fusion_for(std::span<const Tensor* const> inputs) const;
  Array<size_t> select(std::span<const std::string> names, std::span<const OutputMemory> written,
                       CallMemory& memory) const;
  Array<int64_t> key_of(const Request& request, CallMemory& memory) const;
  std::shared_ptr<CachedPlan> plan_for(const Request& request, CallMemory& memory) const;
  std::shared_ptr<CachedPlan> compile_new(const Request& request, std::span<const int64_t> key) const;
  std::string shapes_text(std::span<const Tensor* const> inputs) const;
  std::shared_ptr<const Plan> compile_for(const Request& request, std::span<const Contradiction> contradictions) const;
  Array<void*> places_of(std::span<const OutputMemory> written, const Plan& plan, CallMemory& memory) const;
  template <class Use>
  void with_execution(CachedPlan& plan, const Use& use) const;
  void run_plan(CachedPlan& plan, const Request& request, std::span<void* const> outputs, const RunOptions& options,
                CallMemory& memory) const;
  void warn_of_missing_threads() const;

  ir::Graph graph_;
  std::map<std::string, size_t> input_index_;  // into graph_.inputs()
  std::set<ir::ValueId> value_inputs_;
  CompileOptions compile_options_;
  LogFunction log_;
  bool watches_nan_ = false;           // a fused activation would make a number of NaN, or a fast convolution spread it
  std::set<size_t> special_defaults_;  // inputs whose defaults hold NaN or infinity
  bool trains_by_reading_ = false;     // that an output is read makes a BatchNormalization train: none may be left out
  mutable std::mutex compile_mutex_;   // one compilation at a time; runs of other plans go on
  mutable std::optional<ir::Graph> copy_;  // of graph_, for the next one: guarded by that
  mutable PlanCache plans_;
  mutable WorkingMemory memory_;
};

}  // namespace pli::exec
