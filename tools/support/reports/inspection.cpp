#include "tools/support/reports/inspection.h"

#include "runtime/core/error.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/specialize.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <map>

namespace pli::tools {

namespace {

std::vector<OperatorCount> count_operators(const ir::Graph& main) {
  std::map<std::string, OperatorCount> by_type;
  ir::for_each_graph(main, [&](const ir::Graph& graph) {
    for (const ir::NodeId id : graph.nodes()) {
      const ir::Node& node = graph.node(id);
      const std::string type = node.is_onnx() ? node.op_type : node.domain + "." + node.op_type;
      OperatorCount& entry = by_type.try_emplace(type, OperatorCount{type, 0, {}}).first->second;
      ++entry.count;
      if (entry.unsupported.empty()) entry.unsupported = ops::why_unsupported(graph, node).value_or("");
    }
  });
  std::vector<OperatorCount> counts;
  for (auto& [type, count] : by_type) counts.push_back(std::move(count));
  std::ranges::stable_sort(counts, std::greater(), &OperatorCount::count);
  return counts;
}

void count_parameters(const ir::Graph& main, Inspection& inspection) {
  ir::for_each_graph(main, [&](const ir::Graph& graph) {
    const auto add = [&](const Tensor& tensor) {
      inspection.parameters += static_cast<int64_t>(tensor.size());
      inspection.parameter_bytes += static_cast<int64_t>(tensor.bytes().size());
    };
    for (size_t i = 0; i < graph.value_limit(); ++i) {
      const ir::ValueId id{static_cast<int32_t>(i)};
      if (!graph.alive(id)) continue;
      const ir::ValueRecord& value = graph.value(id);
      if (value.payload)
        add(*value.payload);
      else if (value.constant && value.producer && graph.node(value.producer).is("Constant"))
        add(*value.constant);
    }
  });
}

/// The graph with the types that follow from these inputs.
ir::Graph with_types(const ir::Graph& graph, const NamedValues& inputs) {
  ir::Graph concrete = graph;
  for (const auto& [name, value] : inputs) concrete.set_type(concrete.find(name), ir::Type::of(value.tensor()));
  exec::infer_and_fold(concrete, Limits());
  return concrete;
}

void measure_nodes(const ir::Graph& graph, Inspection& inspection) {
  inspection.flops = 0;
  inspection.bytes = 0;
  const auto add = [](std::optional<int64_t>& total, const std::optional<int64_t>& part) {
    total = total && part ? checked_add(*total, *part) : std::nullopt;
  };
  for (const ir::NodeId id : exec::needed_nodes(graph)) {
    const ir::Node& node = graph.node(id);
    const NodeCost cost = with_context(ir::describe(graph, node), [&] { return cost_of(graph, node); });
    add(inspection.flops, cost.flops);
    add(inspection.bytes, cost.bytes);
    inspection.nodes.push_back(
        {node.op_type, node.name, node.output(0) ? ir::to_string(graph.type(node.output(0))) : "", cost});
  }
}

MemoryNeed memory_of(const exec::Executor& executor, const NamedValues& inputs) {
  const auto plan = executor.plan(inputs);
  const int64_t packed = executor.packed_weight_bytes();
  return {plan->arena_bytes, plan->scratch_bytes, packed, static_cast<int64_t>(plan->steps.size()),
          exec::describe(*plan, packed)};
}

/// The error when it says something about the model, not about Pli.
template <class Body>
std::optional<Error> reason_why_not(Body&& body) {
  try {
    body();
    return std::nullopt;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kInternal) throw;
    return e;
  }
}

}  // namespace

Inspection inspect(const Model& model, const std::string& path, const InputOptions& options, int threads) {
  const ir::Model& ir = *model.ir();
  Inspection inspection;
  inspection.facts = facts_of(model, path, model.ir()->has_external_data);
  inspection.ir_version = ir.ir_version;
  inspection.opsets = *ir.opsets;
  for (const ir::ValueId id : ir.graph.inputs())
    if (!ir.graph.value(id).has_default())
      inspection.inputs.emplace_back(ir.graph.name(id), ir::to_string(ir.graph.type(id)));
  for (const ir::Output& output : ir.graph.outputs())
    inspection.outputs.emplace_back(output.name, ir::to_string(output.type));
  inspection.operators = count_operators(ir.graph);
  count_parameters(ir.graph, inspection);

  Model optimized = model;
  inspection.report = with_context(path, [&] { return pli::optimize(optimized); });
  InputMaker inputs = with_context(path, [&] { return InputMaker(model, options); });
  inspection.no_memory = reason_why_not([&] {
    SessionOptions session;
    session.threads = threads;
    const exec::Executor executor(optimized.ir()->graph, session);
    inputs.settle([&](const NamedValues& values) { inspection.memory = memory_of(executor, values); });
  });
  inspection.no_shapes = reason_why_not([&] {
    ir::Graph concrete;
    const auto infer = [&](const NamedValues& values) { concrete = with_types(ir.graph, values); };
    if (inspection.memory)
      infer(inputs.make(0));
    else
      inputs.settle(infer);
    inspection.shapes = inputs.describe();
    measure_nodes(concrete, inspection);
  });
  return inspection;
}

}  // namespace pli::tools
