#pragma once

#include "runtime/compute/kernel.h"

#include <pli/session.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace pli::exec {

/// What the steps of a plan see of a string: its address. 0 is an empty one.
inline constexpr DataType kStringAddress = DataType::kUint64;

/// The addresses of a tensor's strings, which has to outlive them.
Tensor addresses_of(const Tensor& strings);

/// Memory that steps read and write.
struct Buffer {
  enum class Kind { kArena, kInput, kOutput, kConstant };
  Kind kind = Kind::kArena;
  int64_t bytes = 0;
  int64_t offset = 0;                // kArena: from the arena's start
  size_t index = 0;                  // kInput, kOutput: of the graph's input or output
  const Tensor* constant = nullptr;  // kConstant: one of the plan's constants
};

/// An operand of a step: a place in a buffer. `buffer` -1: omitted.
struct Operand {
  int buffer = -1;
  int64_t byte_offset = 0;
  compute::TensorDesc desc;
};

/// One kernel call of a plan.
struct Step {
  std::string group;  // the operators that it stands for: "Conv + Add + Relu"
  std::string name;   // of the group's first node
  std::string node;   // the same in an error's words
  std::unique_ptr<compute::Kernel> kernel;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
};

/// An input of strings.
struct StringInput {
  size_t index = 0;  // of the graph's input
  size_t size = 0;   // elements
};

/// A graph compiled for concrete shapes: what was decided, as data. Immutable; `run` of an Execution walks it.
struct Plan {
  std::deque<Tensor> constants;  // addresses stay: buffers and kernels point to them
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<compute::TensorDesc> outputs;  // row-major, in the graph's order
  std::vector<int> output_buffers;           // kOutput; or a kConstant or kInput whose content is the output
  std::vector<StringInput> string_inputs;    // read as the addresses of their elements
  int64_t arena_bytes = 0;
  int64_t scratch_bytes = 0;
};

size_t memory_bytes(const OutputMemory& memory);

/// A plan as text, one line a step: group, implementation, shapes and layouts. `packed_weight_bytes`: what the
/// session's packed weights take.
std::string describe(const Plan& plan, int64_t packed_weight_bytes);

/// What one call is asked beside its inputs; each may be left out.
struct RunControl {
  std::span<double> step_ms;                     // takes the milliseconds of each step
  std::span<const OutputMemory* const> outputs;  // where to write each output; null: to memory of its own
  const RunOptions* limits = nullptr;            // stop and deadline
};

/// What one call needs beside the plan: the arena, the scratchpad, the kernels' states. Not thread-safe; a session
/// keeps a pool.
class Execution {
 public:
  explicit Execution(std::shared_ptr<const Plan> plan);

  /// `inputs`: addresses of the graph's inputs, row-major, those of strings being std::string. Outputs are made anew
  /// and own their memory, unless there is some for them.
  std::vector<Tensor> run(std::span<const void* const> inputs, const RunControl& control = {});

 private:
  /// A pointer that depends on the call's own inputs and outputs.
  struct Patch {
    size_t pointer;  // into pointers_
    int64_t byte_offset;
    size_t index;  // of the input or output
  };

  void place(const Operand& operand);
  void take_inputs(std::span<const void* const> inputs);
  void give_strings(std::vector<Tensor>& outputs) const;
  std::vector<Tensor> make_outputs(std::span<const void* const> inputs, std::span<const OutputMemory* const> memory);

  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<std::byte> arena_;
  std::shared_ptr<std::byte> scratch_;
  std::vector<std::unique_ptr<compute::KernelState>> states_;
  std::vector<void*> pointers_;  // of all operands, step after step: inputs, then outputs
  std::vector<Patch> input_patches_, output_patches_;
  std::vector<void*> output_data_;
  std::vector<const void*> inputs_;                       // of the call, strings as their addresses
  std::vector<std::vector<const std::string*>> strings_;  // parallel to the plan's string_inputs
};

}  // namespace pli::exec
