#pragma once

#include "runtime/exec/compile.h"

#include <pli/session.h>
#include <pli/value.h>

#include <atomic>
#include <list>
#include <map>
#include <mutex>

namespace pli::exec {

/// A symbol that the given sizes contradict.
struct Contradiction {
  std::string symbol;
  std::string text;  // "N" is 2 in input "x" and 3 in input "y"
};

/// A graph made ready to run for any input shapes: compiles a plan for each new set of shapes, keeps the most recently
/// used ones, and lends each call an execution of its own. Thread-safe.
class Executor {
 public:
  /// `graph`: as it will be run. kUnsupported: lists every operator that Pli can't run.
  Executor(ir::Graph graph, const SessionOptions& options);

  NamedValues run(const NamedValues& inputs, const RunOptions& options = {}) const;

  /// Runs `runs` times; the median time of each step.
  std::vector<StepTime> profile(const NamedValues& inputs, int runs) const;

  /// The plan for inputs of these shapes, without NaN or infinity; compiled when it is not there yet. Of the values
  /// only those count that decide shapes.
  std::shared_ptr<const Plan> plan(const NamedValues& inputs) const;

  const ir::Graph& graph() const { return graph_; }
  /// Whether the value of this input, not only its shape, is part of what a plan is compiled for.
  bool decides_shapes(ir::ValueId input) const { return value_inputs_.contains(input); }
  int threads() const { return compile_options_.threads->threads(); }
  /// What the plans and executions that are kept take; what packed weights take, of all plans.
  SessionStatistics statistics() const;
  int64_t packed_weight_bytes() const { return compute::packed_bytes(*compile_options_.weights); }

 private:
  using Key = std::vector<int64_t>;

  /// What a plan is for.
  struct Request {
    std::vector<const Tensor*> inputs;  // of the graph; null: the default
    Fusion fusion;
    std::vector<size_t> outputs;  // of the graph, in its order; empty: all
  };

  /// A plan and the executions of it that nobody uses at the moment.
  struct Entry {
    Key key;
    std::shared_ptr<const Plan> plan;
    std::mutex mutex;
    std::vector<std::unique_ptr<Execution>> idle;
  };

  size_t index_of_input(const std::string& name) const;
  std::vector<const Tensor*> match(const NamedValues& inputs) const;
  Fusion fusion_for(std::span<const Tensor* const> inputs) const;
  std::vector<size_t> select(const RunOptions& options) const;
  Key key_of(const Request& request) const;
  std::shared_ptr<Entry> find(const Key& key) const;
  template <class Use>
  auto with_execution(Entry& entry, Use&& use) const;
  std::shared_ptr<Entry> entry_for(const Request& request) const;
  std::string shapes_text(std::span<const Tensor* const> inputs) const;
  Plan compile_for(const Request& request, std::span<const Contradiction> contradictions) const;

  ir::Graph graph_;
  std::map<std::string, size_t> input_index_;  // into graph_.inputs()
  std::set<ir::ValueId> value_inputs_;
  CompileOptions compile_options_;
  LogFunction log_;
  bool watches_nan_ = false;           // a fused activation would make a number of NaN, or a fast convolution spread it
  std::set<size_t> special_defaults_;  // inputs whose defaults hold NaN or infinity
  bool trains_by_reading_ = false;     // that an output is read makes a BatchNormalization train: none may be left out
  size_t most_plans_;
  mutable std::mutex cache_mutex_;                   // guards the list
  mutable std::mutex compile_mutex_;                 // one compilation at a time; runs of other plans go on
  mutable std::list<std::shared_ptr<Entry>> cache_;  // most recently used first
  mutable std::atomic<int64_t> compiled_ = 0, reused_ = 0;
};

}  // namespace pli::exec
