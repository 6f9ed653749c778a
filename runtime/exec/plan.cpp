#include "runtime/exec/plan.h"

namespace pli::exec {

namespace {

std::string operand_text(const Operand& operand) {
  if (operand.buffer < 0) return "-";
  const compute::TensorDesc& desc = operand.desc;
  const char* layout = compute::is_plain(desc)           ? ""
                       : compute::is_channels_last(desc) ? " channels-last"
                       : compute::is_dense(desc)         ? " permuted"
                                                         : " strided";
  return fmt::format("{}{}{}", to_string(desc.dtype), to_string(desc.dims), layout);
}

}  // namespace

int64_t own_bytes(const Plan& plan) {
  constexpr size_t kKernel = 512;  // about: what most of them hold
  size_t sum = plan.buffers.size() * sizeof(Buffer);
  for (const Tensor& constant : plan.constants)
    if (constant.owners() == 1) sum += constant.bytes().size();
  for (const Step& step : plan.steps) {
    sum += sizeof(Step) + kKernel + step.group.size() + step.name.size() + step.node.size();
    sum += (step.inputs.size() + step.outputs.size()) * sizeof(Operand);
  }
  return static_cast<int64_t>(sum);
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

}  // namespace pli::exec
