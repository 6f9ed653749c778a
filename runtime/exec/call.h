#pragma once

#include "runtime/compute/tensor_desc.h"
#include "runtime/ir/graph.h"

#include <pli/session.h>

#include <array>
#include <memory_resource>
#include <span>

// What a call to run brings, against what the model declares.

namespace pli::exec {

/// The small arrays of one call, so that it allocates nothing.
class CallMemory {
 public:
  std::pmr::memory_resource* resource() { return &resource_; }

 private:
  std::array<std::byte, 4096> bytes_;
  std::pmr::monotonic_buffer_resource resource_{bytes_.data(), bytes_.size()};
};

/// kInvalidArgument where the tensor is not what the input is declared as. A symbol stands for any number.
void check_input(const std::string& name, const ir::Type& declared, const Tensor& given);

/// A symbol that the given sizes contradict.
struct Contradiction {
  std::string symbol;
  std::string text;  // "N" is 2 in input "x" and 3 in input "y"
};

/// `inputs`: of the graph, null where there is none.
std::vector<Contradiction> find_contradictions(const ir::Graph& graph, std::span<const Tensor* const> inputs);

/// The index of a graph's output. kInvalidArgument, with the right names, when there is none of this name.
size_t index_of_output(const ir::Graph& graph, const std::string& name);

/// kInvalidArgument where the memory is not what the output takes.
void check_fits(const OutputMemory& memory, const compute::TensorDesc& output);

/// kInvalidArgument where what is written in a run is an input's, or another output's.
void check_overlaps(std::span<const OutputMemory> outputs, std::span<const Tensor* const> inputs);

/// Where the elements are, strings being std::string. Null: of none.
const void* address_of(const Tensor* tensor);

}  // namespace pli::exec
