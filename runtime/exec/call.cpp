#include "runtime/exec/call.h"

#include "runtime/core/checked.h"
#include "runtime/core/error.h"

#include <algorithm>
#include <map>

namespace pli::exec {

namespace {

size_t memory_bytes(const OutputMemory& memory) {
  return memory.size * static_cast<size_t>(bit_width(memory.dtype)) / 8;
}

}  // namespace

void check_input(const std::string& name, const ir::Type& declared, const Tensor& given) {
  const auto refuse = [&] {
    fail(ErrorCode::kInvalidArgument, "input \"{}\" is {}{}, expected {}", name, to_string(given.dtype()),
         to_string(given.shape()), ir::to_string(declared));
  };
  if (declared.dtype != DataType::kUndefined && given.dtype() != declared.dtype) refuse();
  if (!declared.dims) return;
  if (declared.dims->size() != given.shape().size()) refuse();
  for (size_t i = 0; i < declared.dims->size(); ++i) {
    const ir::Dim& dim = (*declared.dims)[i];
    if (dim.known() && dim.value() != given.shape()[i]) refuse();
  }
}

std::vector<Contradiction> find_contradictions(const ir::Graph& graph, std::span<const Tensor* const> inputs) {
  struct Size {
    int64_t size;
    std::string input;
  };
  std::map<std::string, Size> symbols;
  std::vector<Contradiction> found;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::ValueRecord& record = graph.value(graph.inputs()[i]);
    if (!inputs[i] || !record.type.dims) continue;
    for (size_t axis = 0; axis < record.type.dims->size(); ++axis) {
      const ir::Dim& dim = (*record.type.dims)[axis];
      if (!dim.symbolic()) continue;
      const int64_t size = inputs[i]->shape()[axis];
      const auto [known, first] = symbols.emplace(dim.symbol(), Size{size, record.name});
      if (first || known->second.size == size) continue;
      found.push_back({dim.symbol(), fmt::format("\"{}\" is {} in input \"{}\" and {} in input \"{}\"", dim.symbol(),
                                                 known->second.size, known->second.input, size, record.name)});
    }
  }
  return found;
}

size_t index_of_output(const ir::Graph& graph, const std::string& name) {
  const auto found = std::ranges::find(graph.outputs(), name, &ir::Output::name);
  if (found != graph.outputs().end()) return static_cast<size_t>(found - graph.outputs().begin());
  std::vector<std::string> names;
  for (const ir::Output& output : graph.outputs()) names.push_back(output.name);
  fail(ErrorCode::kInvalidArgument, "the model has no output \"{}\"; its outputs are {}", name, suggest(name, names));
}

void check_fits(const OutputMemory& memory, const compute::TensorDesc& output) {
  const auto elements = checked_size(output.dims);
  if (memory.dtype != output.dtype || !elements || static_cast<size_t>(*elements) != memory.size)
    fail(ErrorCode::kInvalidArgument, "output \"{}\" is {}{}, its memory is for {} elements of {}", memory.name,
         to_string(output.dtype), to_string(output.dims), memory.size, to_string(memory.dtype));
}

void check_overlaps(std::span<const OutputMemory> outputs, std::span<const Tensor* const> inputs) {
  const auto overlap = [](const OutputMemory& output, const void* data, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(output.data), other = reinterpret_cast<uintptr_t>(data);
    return begin < other + bytes && other < begin + memory_bytes(output);
  };
  for (size_t i = 0; i < outputs.size(); ++i) {
    bool found = std::ranges::any_of(inputs, [&](const Tensor* tensor) {
      return tensor && overlap(outputs[i], tensor->bytes().data(), tensor->bytes().size());
    });
    for (const OutputMemory& other : outputs.subspan(i + 1))
      found = found || other.name == outputs[i].name || overlap(outputs[i], other.data, memory_bytes(other));
    if (found)
      fail(ErrorCode::kInvalidArgument, "the memory for output \"{}\" overlaps an input's or another output's",
           outputs[i].name);
  }
}

const void* address_of(const Tensor* tensor) {
  if (!tensor) return nullptr;
  if (tensor->dtype() == DataType::kString) return tensor->data<std::string>().data();
  return tensor->bytes().data();
}

}  // namespace pli::exec
