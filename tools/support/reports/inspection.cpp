#include "tools/support/reports/inspection.h"

#include "runtime/core/error.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/specialize.h"
#include "runtime/ops/operator.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

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

/// The tensors of initializers and Constant nodes, nested graphs included.
template <class Visit>
void for_each_weight(const ir::Graph& main, const Visit& visit) {
  ir::for_each_graph(main, [&](const ir::Graph& graph) {
    for (size_t i = 0; i < graph.value_limit(); ++i) {
      const ir::ValueId id{static_cast<int32_t>(i)};
      if (!graph.alive(id)) continue;
      const ir::ValueRecord& value = graph.value(id);
      if (value.payload)
        visit(*value.payload);
      else if (value.constant && value.producer && graph.node(value.producer).is("Constant"))
        visit(*value.constant);
    }
  });
}

ByteCounts count_bytes(const ir::Graph& graph, const ModelFacts& facts) {
  ByteCounts counts;
  std::set<const void*> known;
  int64_t weights = 0;
  for_each_weight(graph, [&](const Tensor& tensor) {
    const auto bytes = static_cast<int64_t>(tensor.bytes().size());
    if (bytes == 0 || !known.insert(tensor.bytes().data()).second) return;
    counts.weights[tensor.dtype()] += bytes;
    weights += bytes;
  });
  if (facts.path != kStandardStream) counts.external = facts.bytes - bytes_of(facts.path);
  counts.rest = std::max<int64_t>(facts.bytes - weights, 0);
  return counts;
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
    const NodeCost cost = in_node(ir::describe(graph, node), [&] { return cost_of(graph, node); });
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

Inspection inspect(const std::string& path, const ModelOptions& options, const InputOptions& input_options,
                   int threads) {
  int64_t bytes = 0;
  const Model model = read_model(path, options, &bytes);
  const ir::Model& ir = *model.ir();
  Inspection inspection;
  inspection.facts = facts_of(model, path, bytes);
  inspection.ir_version = ir.ir_version;
  inspection.opsets = *ir.opsets;
  for (const ir::ValueId id : ir.graph.inputs())
    if (!ir.graph.value(id).has_default())
      inspection.inputs.emplace_back(ir.graph.name(id), ir::to_string(ir.graph.type(id)));
  for (const ir::Output& output : ir.graph.outputs())
    inspection.outputs.emplace_back(output.name, ir::to_string(output.type));
  inspection.operators = count_operators(ir.graph);
  for_each_weight(ir.graph, [&](const Tensor& tensor) {
    inspection.parameters += static_cast<int64_t>(tensor.size());
    inspection.parameter_bytes += static_cast<int64_t>(tensor.bytes().size());
  });
  inspection.bytes_of_file = count_bytes(ir.graph, inspection.facts);
  inspection.metadata = model.metadata();
  for (const auto& function : ir.functions)
    inspection.functions.push_back(
        {function->domain + "." + function->name, static_cast<int64_t>(function->body.node_count())});

  Model optimized = model;
  inspection.report = in_file(path, [&] { return pli::optimize(optimized); });
  InputMaker inputs = in_file(path, [&] { return InputMaker(model, input_options); });
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
    inspection.guessed = inputs.guessed();
    measure_nodes(concrete, inspection);
  });
  return inspection;
}

}  // namespace pli::tools
