#include "passes/pass.h"

#include "runtime/core/tensor.h"

namespace pli::passes {

DataType Context::folded_type(DataType dtype) const {
  return purpose == Purpose::kRunning && is_half(dtype) ? DataType::kFloat32 : dtype;
}

ir::NodeId Context::only_maker(ir::ValueId value) const {
  const ir::NodeId maker = value ? graph.producer(value) : ir::NodeId{};
  const bool goes = maker && graph.has_single_use(value) && !graph.is_pinned(value) && !stays(maker);
  return goes ? maker : ir::NodeId{};
}

ir::ValueId Context::typed(ir::ValueId constant, DataType dtype) {
  if (graph.type(constant).dtype != dtype) graph.set_type(constant, ir::Type::tensor(dtype, graph.type(constant).dims));
  return constant;
}

ScaledWeight Context::scaled_weight(ir::ValueId constant) const {
  if (const auto known = scaled.find(constant); known != scaled.end()) return known->second;
  const Tensor& tensor = *graph.constant_of(constant);
  const DataType dtype = folded_type(tensor.dtype());
  if (dtype == tensor.dtype()) return ScaledWeight(tensor);
  return ScaledWeight(from_doubles(dtype, Shape(tensor.shape().begin(), tensor.shape().end()), to_doubles(tensor)));
}

std::vector<double> Context::exact_numbers(ir::ValueId constant) const {
  const auto known = exact.find(constant);
  return known != exact.end() ? known->second : to_doubles(*graph.constant_of(constant));
}

}  // namespace pli::passes
