#include "runtime/exec/plan.h"

#include "runtime/core/memory.h"

#include <chrono>

namespace pli::exec {

namespace {

using Clock = std::chrono::steady_clock;

std::string operand_text(const Operand& operand) {
  if (operand.buffer < 0) return "-";
  const compute::TensorDesc& desc = operand.desc;
  const char* layout = compute::is_plain(desc)           ? ""
                       : compute::is_channels_last(desc) ? " channels-last"
                       : compute::is_dense(desc)         ? " permuted"
                                                         : " strided";
  return fmt::format("{}{}{}", to_string(desc.dtype), to_string(desc.dims), layout);
}

/// A tensor over the caller's memory, which has to be what the output takes.
Tensor borrow(const OutputMemory& memory, const compute::TensorDesc& desc) {
  const auto elements = checked_size(desc.dims);
  if (memory.dtype != desc.dtype || !elements || static_cast<size_t>(*elements) != memory.size)
    fail(ErrorCode::kInvalidArgument, "output \"{}\" is {}{}, its memory is for {} elements of {}", memory.name,
         to_string(desc.dtype), to_string(desc.dims), memory.size, to_string(memory.dtype));
  return Tensor::adopt(desc.dtype, desc.dims, nullptr, memory.data, memory_bytes(memory));
}

void check_limits(const RunOptions& options) {
  if (options.stop.stop_requested()) fail(ErrorCode::kCancelled, "the run was stopped by its token");
  if (options.deadline && Clock::now() >= *options.deadline) fail(ErrorCode::kCancelled, "the run passed its deadline");
}

}  // namespace

size_t memory_bytes(const OutputMemory& memory) {
  return memory.size * static_cast<size_t>(bit_width(memory.dtype)) / 8;
}

std::string describe(const Plan& plan, int64_t packed_weight_bytes) {
  std::string text = fmt::format("{} steps, arena {} bytes, scratch {} bytes, packed weights {} bytes\n",
                                 plan.steps.size(), plan.arena_bytes, plan.scratch_bytes, packed_weight_bytes);
  const auto varies = [&](const Operand& operand) {
    return operand.buffer >= 0 && plan.buffers[static_cast<size_t>(operand.buffer)].kind != Buffer::Kind::kConstant;
  };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    text += fmt::format("{:4}  {}", i, step.group);
    if (!step.name.empty()) text += fmt::format(" \"{}\"", step.name);
    text += fmt::format("  [{}] ", step.kernel->implementation());
    for (const Operand& input : step.inputs)
      if (varies(input)) text += " " + operand_text(input);
    text += " ->";
    for (const Operand& output : step.outputs) text += " " + operand_text(output);
    text += "\n";
  }
  return text;
}

Tensor addresses_of(const Tensor& strings) {
  Tensor addresses(kStringAddress, Shape(strings.shape().begin(), strings.shape().end()));
  auto to = addresses.mutable_data<uint64_t>().begin();
  for (const std::string& text : strings.data<std::string>()) *to++ = reinterpret_cast<uintptr_t>(&text);
  return addresses;
}

Execution::Execution(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      arena_(allocate(static_cast<size_t>(plan_->arena_bytes))),
      scratch_(allocate(static_cast<size_t>(plan_->scratch_bytes))) {
  for (const Step& step : plan_->steps) {
    states_.push_back(step.kernel->make_state());
    for (const Operand& input : step.inputs) place(input);
    for (const Operand& output : step.outputs) place(output);
  }
}

void Execution::place(const Operand& operand) {
  const size_t pointer = pointers_.size();
  pointers_.push_back(nullptr);
  if (operand.buffer < 0) return;
  const Buffer& buffer = plan_->buffers[static_cast<size_t>(operand.buffer)];
  switch (buffer.kind) {
    case Buffer::Kind::kArena:
      pointers_[pointer] = arena_.get() + buffer.offset + operand.byte_offset;
      break;
    case Buffer::Kind::kConstant:
      pointers_[pointer] = const_cast<std::byte*>(buffer.constant->bytes().data()) + operand.byte_offset;
      break;
    case Buffer::Kind::kInput:
      input_patches_.push_back({pointer, operand.byte_offset, buffer.index});
      break;
    case Buffer::Kind::kOutput:
      output_patches_.push_back({pointer, operand.byte_offset, buffer.index});
      break;
  }
}

std::vector<Tensor> Execution::make_outputs(std::span<const void* const> inputs,
                                            std::span<const OutputMemory* const> memory) {
  std::vector<Tensor> outputs;
  outputs.reserve(plan_->outputs.size());
  output_data_.clear();
  for (size_t i = 0; i < plan_->outputs.size(); ++i) {
    const compute::TensorDesc& desc = plan_->outputs[i];
    const Buffer& buffer = plan_->buffers[static_cast<size_t>(plan_->output_buffers[i])];
    const OutputMemory* place = memory.empty() ? nullptr : memory[i];
    if (place) {
      outputs.push_back(borrow(*place, desc));
      output_data_.push_back(place->data);
    } else if (buffer.kind == Buffer::Kind::kConstant) {
      outputs.push_back(deep_copy(*buffer.constant));
      output_data_.push_back(nullptr);
      continue;
    } else {
      outputs.emplace_back(desc.dtype == DataType::kString ? kStringAddress : desc.dtype, desc.dims);
      output_data_.push_back(outputs.back().mutable_raw());
    }
    const void* content = buffer.kind == Buffer::Kind::kInput      ? inputs[buffer.index]
                          : buffer.kind == Buffer::Kind::kConstant ? buffer.constant->bytes().data()
                                                                   : nullptr;
    if (content && outputs.back().size() > 0) std::memcpy(output_data_.back(), content, outputs.back().bytes().size());
  }
  return outputs;
}

void Execution::take_inputs(std::span<const void* const> inputs) {
  inputs_.assign(inputs.begin(), inputs.end());
  strings_.resize(plan_->string_inputs.size());
  for (size_t i = 0; i < strings_.size(); ++i) {
    const auto& [index, size] = plan_->string_inputs[i];
    const auto* text = static_cast<const std::string*>(inputs[index]);
    strings_[i].clear();
    for (size_t element = 0; element < size; ++element) strings_[i].push_back(text + element);
    inputs_[index] = strings_[i].data();
  }
}

/// Copies of the strings that the outputs hold the addresses of.
void Execution::give_strings(std::vector<Tensor>& outputs) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (plan_->outputs[i].dtype != DataType::kString || outputs[i].dtype() == DataType::kString) continue;
    Tensor strings(DataType::kString, plan_->outputs[i].dims);
    auto to = strings.mutable_data<std::string>().begin();
    for (const uint64_t address : outputs[i].data<uint64_t>()) {
      if (address != 0) *to = *reinterpret_cast<const std::string*>(static_cast<uintptr_t>(address));
      ++to;
    }
    outputs[i] = std::move(strings);
  }
}

std::vector<Tensor> Execution::run(std::span<const void* const> given, const RunControl& control) {
  take_inputs(given);
  const std::span<const void* const> inputs = inputs_;
  std::vector<Tensor> outputs = make_outputs(inputs, control.outputs);
  for (const Patch& patch : input_patches_)
    pointers_[patch.pointer] = static_cast<std::byte*>(const_cast<void*>(inputs[patch.index])) + patch.byte_offset;
  for (const Patch& patch : output_patches_)
    pointers_[patch.pointer] = static_cast<std::byte*>(output_data_[patch.index]) + patch.byte_offset;

  void** next = pointers_.data();
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Step& step = plan_->steps[i];
    const std::span<const void* const> in(next, step.inputs.size());
    next += step.inputs.size();
    const std::span<void* const> out(next, step.outputs.size());
    next += step.outputs.size();
    const compute::RunArgs args{in, out, scratch_.get(), states_[i].get()};
    if (control.limits) check_limits(*control.limits);
    const bool timed = !control.step_ms.empty();
    const auto start = timed ? Clock::now() : Clock::time_point();
    in_node(step.node, [&] { step.kernel->run(args); });
    if (timed) control.step_ms[i] = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  give_strings(outputs);
  return outputs;
}

}  // namespace pli::exec
