#pragma once

#include "runtime/compute/interrupt.h"
#include "runtime/exec/plan.h"
#include "runtime/exec/working_memory.h"

namespace pli::exec {

/// What one call is asked beside its inputs; each may be left out.
struct RunControl {
  std::span<double> step_ms;                      // takes the milliseconds of each step
  const compute::Interrupt* interrupt = nullptr;  // ends the call
};

/// What one call needs beside the plan: the kernels' states, and where its operands lie. Not thread-safe; a session
/// keeps some. A call allocates nothing by itself.
class Execution {
 public:
  explicit Execution(std::shared_ptr<const Plan> plan);

  /// `inputs`: addresses of the graph's inputs, row-major, those of strings being std::string. `outputs`: where to
  /// write its outputs, strings as their addresses (see give_strings); null: not at all, for one that needs no
  /// computation. `memory`: working_bytes(plan) bytes, aligned to 64. kCancelled.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs, std::byte* memory,
           const RunControl& control = {});

 private:
  /// A pointer that depends on where something of the call lies.
  struct Patch {
    size_t pointer;  // into pointers_
    int64_t byte_offset;
    size_t index;  // of the input or output
  };

  void place(const Operand& operand);
  void take_inputs(std::span<const void* const> inputs);
  void patch(std::span<void* const> outputs, std::byte* memory);

  std::shared_ptr<const Plan> plan_;
  std::vector<std::unique_ptr<compute::KernelState>> states_;
  std::vector<void*> pointers_;  // of all operands, step after step: inputs, then outputs
  std::vector<Patch> arena_patches_, input_patches_, output_patches_;
  std::byte* memory_ = nullptr;                           // of the last call
  std::vector<const void*> inputs_;                       // of the call, strings as their addresses
  std::vector<std::vector<const std::string*>> strings_;  // parallel to the plan's string_inputs
};

/// Whether output `index` of a plan is known before it runs.
bool is_constant_output(const Plan& plan, size_t index);

/// Memory for output `index` of a plan: a copy of the constant that it is, or what run is to write to.
Tensor make_output(const Plan& plan, size_t index);

/// Copies of the strings whose addresses a run wrote to `addresses`.
Tensor give_strings(const Tensor& addresses);

}  // namespace pli::exec
