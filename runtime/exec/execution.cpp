#include "runtime/exec/execution.h"

#include "runtime/compute/float_control.h"
#include "runtime/compute/parallel.h"
#include "runtime/core/memory.h"
#include "runtime/core/tensor.h"

#include <chrono>

namespace pli::exec {

namespace {

using Clock = std::chrono::steady_clock;

std::byte* moved(const void* address, int64_t bytes) {
  return const_cast<std::byte*>(static_cast<const std::byte*>(address)) + bytes;
}

/// Writes to the outputs that no step makes what they are.
void copy_known(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Buffer& buffer = plan.buffers[static_cast<size_t>(plan.output_buffers[i])];
    const void* content = buffer.kind == Buffer::Kind::kInput      ? inputs[buffer.index]
                          : buffer.kind == Buffer::Kind::kConstant ? buffer.constant->bytes().data()
                                                                   : nullptr;
    const auto bytes = content && outputs[i] ? compute::span_bytes(plan.outputs[i]) : 0;
    if (bytes > 0) std::memcpy(outputs[i], content, static_cast<size_t>(bytes));
  }
}

}  // namespace

Execution::Execution(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {
  size_t operands = 0;
  for (const Step& step : plan_->steps) operands += step.inputs.size() + step.outputs.size();
  pointers_.reserve(operands);
  arena_patches_.reserve(operands);
  states_.reserve(plan_->steps.size());
  for (const Step& step : plan_->steps) {
    states_.push_back(step.kernel->make_state());
    for (const Operand& input : step.inputs) place(input);
    for (const Operand& output : step.outputs) place(output);
  }
  strings_.resize(plan_->string_inputs.size());
}

void Execution::place(const Operand& operand) {
  const size_t pointer = pointers_.size();
  pointers_.push_back(nullptr);
  if (operand.buffer < 0) return;
  const Buffer& buffer = plan_->buffers[static_cast<size_t>(operand.buffer)];
  switch (buffer.kind) {
    case Buffer::Kind::kArena:
      arena_patches_.push_back({pointer, buffer.offset + operand.byte_offset, 0});
      break;
    case Buffer::Kind::kConstant:
      pointers_[pointer] = moved(buffer.constant->bytes().data(), operand.byte_offset);
      break;
    case Buffer::Kind::kInput:
      input_patches_.push_back({pointer, operand.byte_offset, buffer.index});
      break;
    case Buffer::Kind::kOutput:
      output_patches_.push_back({pointer, operand.byte_offset, buffer.index});
      break;
  }
}

void Execution::take_inputs(std::span<const void* const> inputs) {
  inputs_.assign(inputs.begin(), inputs.end());
  for (size_t i = 0; i < strings_.size(); ++i) {
    const auto& [index, size] = plan_->string_inputs[i];
    const auto* text = static_cast<const std::string*>(inputs[index]);
    strings_[i].clear();
    for (size_t element = 0; element < size; ++element) strings_[i].push_back(text + element);
    inputs_[index] = strings_[i].data();
  }
}

void Execution::patch(std::span<void* const> outputs, std::byte* memory) {
  if (std::exchange(memory_, memory) != memory)
    for (const Patch& patch : arena_patches_) pointers_[patch.pointer] = memory + patch.byte_offset;
  for (const Patch& patch : input_patches_) pointers_[patch.pointer] = moved(inputs_[patch.index], patch.byte_offset);
  for (const Patch& patch : output_patches_) pointers_[patch.pointer] = moved(outputs[patch.index], patch.byte_offset);
}

void Execution::run(std::span<const void* const> inputs, std::span<void* const> outputs, std::byte* memory,
                    const RunControl& control) {
  take_inputs(inputs);
  patch(outputs, memory);
  copy_known(*plan_, inputs, outputs);
  const compute::InterruptScope interrupt(control.interrupt);
  compute::FloatScope floats;
  void** next = pointers_.data();
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    const std::span<const void* const> in(next, step.inputs.size());
    next += step.inputs.size();
    const std::span<void* const> out(next, step.outputs.size());
    next += step.outputs.size();
    const compute::RunArgs args{in, out, memory + plan_->arena_bytes, states_[i].get()};
    if (control.interrupt) control.interrupt->check();
    const bool timed = !control.step_ms.empty();
    const auto start = timed ? Clock::now() : Clock::time_point();
    floats.flush_denormals(!step.keeps_denormals);
    in_node(step.node, [&] { step.kernel->run(args); });
    if (timed) control.step_ms[i] = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
}

bool is_constant_output(const Plan& plan, size_t index) {
  return plan.buffers[static_cast<size_t>(plan.output_buffers[index])].kind == Buffer::Kind::kConstant;
}

Tensor make_output(const Plan& plan, size_t index) {
  const compute::TensorDesc& desc = plan.outputs[index];
  if (is_constant_output(plan, index))
    return deep_copy(*plan.buffers[static_cast<size_t>(plan.output_buffers[index])].constant);
  if (desc.dtype == DataType::kString) return Tensor(kStringAddress, desc.dims);
  // Not filled with zeros, since the steps write every element.
  const auto bytes = static_cast<size_t>(compute::span_bytes(desc));
  return Tensor::adopt(desc.dtype, desc.dims, allocate(bytes), bytes);
}

Tensor give_strings(const Tensor& addresses) {
  Tensor strings(DataType::kString, Shape(addresses.shape().begin(), addresses.shape().end()));
  auto to = strings.mutable_data<std::string>().begin();
  for (const uint64_t address : addresses.data<uint64_t>()) {
    if (address != 0) *to = *reinterpret_cast<const std::string*>(static_cast<uintptr_t>(address));
    ++to;
  }
  return strings;
}

}  // namespace pli::exec
