#pragma once

#include "runtime/compute/kernel.h"

#include <pli/tensor.h>

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
  bool keeps_denormals = false;  // it computes in float64
};

/// An input of strings.
struct StringInput {
  size_t index = 0;  // of the graph's input
  size_t size = 0;   // elements
};

/// A graph compiled for concrete shapes: what was decided, as data. Immutable; an Execution runs it.
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

/// The memory of one call to run: the arena, then the scratchpad.
inline int64_t working_bytes(const Plan& plan) { return plan.arena_bytes + plan.scratch_bytes; }

/// What goes with the plan, in bytes: constants that nobody else has and what its steps take. Without packed weights,
/// which a session counts for all of its plans, and what oneDNN keeps.
int64_t own_bytes(const Plan& plan);

/// A plan as text, one line a step: group, implementation, shapes and layouts. `packed_weight_bytes`: what the
/// session's packed weights take.
std::string describe(const Plan& plan, int64_t packed_weight_bytes);

}  // namespace pli::exec
