#include "runtime/ops/evaluate.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/halves.h"
#include "runtime/compute/parallel.h"
#include "runtime/ops/shape/shape.h"

#include <algorithm>

namespace pli::ops {

namespace {

/// A graph of this one node, its outputs those that somebody reads: what inference and preparation look at. Inputs of
/// which only the type counts are its inputs.
ir::Graph graph_of(const ir::Graph& origin, const ir::Node& node, std::span<const Tensor* const> inputs) {
  ir::Graph graph(origin.opsets());
  ir::NodeSpec spec{node.op_type, node.domain, node.name, {}, {}, node.attributes, {}, node.function};
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "input" + std::to_string(i);
    if (inputs[i])
      spec.inputs.push_back(graph.add_initializer(name, *inputs[i]));
    else
      spec.inputs.push_back(node.inputs[i] ? graph.add_input(name, origin.type(node.inputs[i])) : ir::ValueId{});
  }
  for (size_t i = 0; i < node.outputs.size(); ++i)
    spec.outputs.push_back({node.outputs[i] ? "output" + std::to_string(i) : std::string(), {}, {}});
  const ir::Node& made = graph.node(graph.add_node(std::move(spec)));
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (origin.is_used(node.outputs[i])) graph.add_output({graph.name(made.outputs[i]), made.outputs[i], {}, {}});
  return graph;
}

/// Of a type that infer() has given, so that its size is within the limits.
Tensor output_tensor(const ir::Type& type) {
  const auto shape = type.shape();
  if (!shape || type.dtype == DataType::kUndefined) fail(ErrorCode::kUnsupported, "the output's shape depends on data");
  if (bit_width(type.dtype) == 0) fail(ErrorCode::kUnsupported, "the output has no size");
  return Tensor(type.dtype, *shape);
}

struct Cost {
  int64_t operand_bytes = 0;
  int64_t bytes = 0;  // of the results
  int64_t work = 0;   // multiply-adds, an upper bound
};

/// Multiply-adds, at most, for each element of the node's results, or as many as it has operands.
int64_t work_for_each(const ir::Graph& graph, const ir::Node& node) {
  const auto operand = [&](size_t index) { return graph.constant_of(node.input(index)); };
  if (node.is("MatMul") || node.is("Gemm"))  // some dimension is what the sum runs over
    return operand(0) && !operand(0)->shape().empty() ? std::ranges::max(operand(0)->shape()) : 1;
  if (node.is("Conv") || node.is("ConvTranspose")) return operand(1) ? static_cast<int64_t>(operand(1)->size()) : 1;
  if (node.is("MaxPool") || node.is("AveragePool") || node.is("LpPool"))  // a window does not pass its input
    return operand(0) ? static_cast<int64_t>(operand(0)->size()) : 1;
  return 1;
}

/// What computing the node takes; nothing when the sizes of the results are not known.
std::optional<Cost> cost_of(const ir::Graph& graph, const ir::Node& node, const Limits& limits) {
  int64_t operand_elements = 0;
  Cost cost;
  for (const ir::ValueId input : node.inputs)
    if (const Tensor* tensor = graph.constant_of(input)) {
      cost.operand_bytes += static_cast<int64_t>(tensor->bytes().size());
      operand_elements += static_cast<int64_t>(tensor->size());
    }
  int64_t results = 0;
  for (const ir::ValueId output : node.outputs) {
    if (!output) continue;
    const ir::Type& type = graph.type(output);
    const auto shape = type.shape();
    const auto bytes = shape ? packed_bytes(type.dtype, *shape) : std::nullopt;
    if (!bytes || *bytes > limits.tensor_bytes) return std::nullopt;
    cost.bytes += *bytes;
    results += *checked_size(*shape);
  }
  const int64_t work = checked_mul(results, work_for_each(graph, node)).value_or(INT64_MAX);
  cost.work = std::max(work, operand_elements);  // a reduction reads more than it makes
  return cost;
}

TensorDesc row_major(const TensorDesc& desc) { return compute::plain(desc.dtype, desc.dims); }

void copy(const void* from, const TensorDesc& from_desc, void* to, const TensorDesc& to_desc) {
  compute::StridedCopy(from_desc.dtype, from_desc.dims, from_desc.strides, to_desc.strides).run(from, to);
}

/// Row-major; not present where the input is omitted, or its dimensions are not known and do not count.
TensorDesc input_desc(const ir::Graph& graph, ir::ValueId input) {
  const auto shape = input ? graph.type(input).shape() : std::nullopt;
  return shape ? compute::plain(graph.type(input).dtype, *shape) : TensorDesc{};
}

/// The outputs when they are input 0 with other dimensions.
std::optional<std::vector<Tensor>> outputs_as_views(const Operator& op, const PrepareContext& context,
                                                    std::span<const Tensor* const> inputs) {
  if (inputs.empty() || !inputs[0]) return std::nullopt;
  const auto views = op.view ? op.view(context) : std::nullopt;
  if (!views || views->size() != context.outputs.size()) return std::nullopt;
  std::vector<Tensor> outputs;
  for (const auto& [desc, offset] : *views) {
    if (offset != 0 || !compute::is_plain(desc) || desc.size() != context.inputs[0].size()) return std::nullopt;
    outputs.push_back(inputs[0]->reshaped(desc.dims));
  }
  return outputs;
}

/// Runs a kernel that takes and gives the layouts of `context` on row-major tensors.
void run_in_layouts(const Kernel& kernel, const PrepareContext& context, std::span<const Tensor* const> inputs,
                    std::span<Tensor> outputs) {
  std::vector<Tensor> copies;  // of operands that the kernel takes or gives in another layout
  copies.reserve(inputs.size() + outputs.size());
  std::vector<const void*> in;
  std::vector<void*> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const void* data = inputs[i] ? inputs[i]->bytes().data() : nullptr;
    if (inputs[i] && !compute::is_plain(context.inputs[i])) {
      copies.emplace_back(inputs[i]->dtype(), context.inputs[i].dims);
      copy(data, row_major(context.inputs[i]), copies.back().mutable_raw(), context.inputs[i]);
      data = copies.back().bytes().data();
    }
    in.push_back(data);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorDesc& desc = context.outputs[i];
    if (!desc.present())
      out.push_back(nullptr);
    else if (compute::is_plain(desc))
      out.push_back(outputs[i].mutable_raw());
    else
      out.push_back(copies.emplace_back(outputs[i].dtype(), desc.dims).mutable_raw());
  }
  Tensor scratch(DataType::kUint8, {static_cast<int64_t>(kernel.scratch_bytes())});
  const std::unique_ptr<compute::KernelState> state = kernel.make_state();
  kernel.run({in, out, scratch.mutable_raw(), state.get()});
  for (size_t i = 0; i < outputs.size(); ++i)
    if (const TensorDesc& desc = context.outputs[i]; desc.present() && !compute::is_plain(desc))
      copy(out[i], desc, outputs[i].mutable_raw(), row_major(desc));
}

/// Operands and results that are halves, as float32: what computes_wide() asks for.
class WidenedHalves {
 public:
  WidenedHalves(const Operator& op, const PrepareContext& context, std::span<const Tensor* const> inputs)
      : widens_(op.computes_wide() && reads_halves(op, context.graph, context.node.inputs)) {
    operands_.assign(inputs.begin(), inputs.end());
    tensors_.reserve(inputs.size());
    for (const Tensor*& operand : operands_)
      if (operand && widens(operand->dtype())) operand = &tensors_.emplace_back(compute::widened(*operand));
  }

  void describe(PrepareContext& context, std::span<Tensor> outputs) {
    for (size_t i = 0; i < operands_.size(); ++i)
      if (operands_[i] && widens(context.inputs[i].dtype)) context.inputs[i].dtype = DataType::kFloat32;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!widens(context.outputs[i].dtype)) continue;
      rounded_.emplace_back(i, context.outputs[i].dtype);
      context.outputs[i].dtype = DataType::kFloat32;
      outputs[i] = Tensor(DataType::kFloat32, context.outputs[i].dims);
    }
  }

  std::span<const Tensor* const> operands() const { return operands_; }

  void round(std::span<Tensor> outputs) const {
    for (const auto& [i, dtype] : rounded_) outputs[i] = compute::narrowed(outputs[i], dtype);
  }

 private:
  bool widens(DataType dtype) const { return widens_ && is_half(dtype); }

  bool widens_;
  std::vector<Tensor> tensors_;
  std::vector<const Tensor*> operands_;
  std::vector<std::pair<size_t, DataType>> rounded_;  // outputs that are float32 until they are rounded
};

}  // namespace

std::vector<Tensor> evaluate(const ir::Graph& origin, const ir::Node& original, std::span<const Tensor* const> inputs,
                             const Limits& limits) {
  bool nested = false;
  ir::for_each_subgraph(original, [&](const ir::Subgraph&) { nested = true; });
  if (nested) fail(ErrorCode::kUnsupported, "operator {} holds a graph", original.op_type);

  const ir::Graph graph = graph_of(origin, original, inputs);
  const ir::Node& node = graph.node(graph.nodes().front());
  if (const auto why = why_unsupported(graph, node)) fail(ErrorCode::kUnsupported, "{}", *why);
  const Operator& op = *find_operator(graph, node);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (node.input(i) && !inputs[i] && !op.reads_only_type(i))
      fail(ErrorCode::kUnsupported, "the value of input {} is not known", i);
  const int64_t opset = graph.opset("");

  const std::vector<ir::Type> types = infer(op, graph, node, limits);
  std::vector<Tensor> outputs;
  PrepareContext context{graph, node, limits, opset, {}, {}, {}, {}, 1};
  context.exact = true;  // whatever becomes of a constant, what it holds is exact
  for (size_t i = 0; i < inputs.size(); ++i) {
    context.constants.push_back(inputs[i]);
    context.inputs.push_back(input_desc(graph, node.input(i)));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const bool wanted = static_cast<bool>(node.outputs[i]) && i < types.size();
    outputs.push_back(wanted ? output_tensor(types[i]) : Tensor());
    context.outputs.push_back(wanted ? compute::plain(outputs[i].dtype(), *types[i].shape()) : TensorDesc{});
  }

  if (auto seen = outputs_as_views(op, context, inputs)) return std::move(*seen);
  if (!op.prepare) fail(ErrorCode::kInternal, "operator {} has no kernel", node.op_type);

  const compute::ThreadScope one_thread(nullptr);
  WidenedHalves halves(op, context, inputs);
  halves.describe(context, outputs);
  if (op.layout) {
    Layouts layouts = op.layout(context);
    context.inputs = std::move(layouts.inputs);
    context.outputs = std::move(layouts.outputs);
  }
  run_in_layouts(*op.prepare(context), context, halves.operands(), outputs);
  halves.round(outputs);
  return outputs;
}

bool has_constant_inputs(const ir::Graph& graph, const ir::Node& node) {
  if (node.op_type.starts_with("Random") || node.is("Multinomial") || node.is("Bernoulli")) return false;
  const Operator* op = find_operator(graph, node);
  if (!op || !op->prepare) return false;
  if (!value_of_shape(graph, node)) {
    if (node.is("Shape") || node.is("Size")) return false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ir::ValueId input = node.inputs[i];
      const Tensor* constant = input ? graph.constant_of(input) : nullptr;
      if (constant && constant->dtype() != graph.type(input).dtype) return false;  // a half that was kept as float32
      if (!input || constant) continue;
      if (!op->reads_only_type(i) || graph.type(input).dtype == DataType::kUndefined) return false;
    }
  }
  return !why_unsupported(graph, node);
}

namespace {

FoldingLimit passed_limit(const Cost& cost, const Limits& limits, const FoldingBudget& budget) {
  if (cost.bytes > std::max(cost.operand_bytes, limits.folded_bytes)) return FoldingLimit::kNode;
  if (cost.bytes > budget.bytes) return FoldingLimit::kAllNodes;
  return cost.work > budget.work ? FoldingLimit::kWork : FoldingLimit::kNone;
}

}  // namespace

FoldingBudget FoldingBudget::of(const ir::Graph& graph, const Limits& limits) {
  constexpr int64_t kSmallResults = 64;
  constexpr int64_t kWorkPerByte = int64_t{1} << 14;
  const int64_t folded_bytes = std::clamp<int64_t>(limits.folded_bytes, 0, int64_t{1} << 40);
  FoldingBudget budget{kSmallResults * folded_bytes, kWorkPerByte * folded_bytes};
  const auto count = [&](ir::ValueId id) {
    if (const Tensor* constant = graph.constant_of(id))
      budget.bytes += kForEachByte * static_cast<int64_t>(constant->bytes().size());
  };
  std::ranges::for_each(graph.initializers(), count);
  std::ranges::for_each(graph.inputs(), count);  // before IR version 4 initializers are inputs as well
  for (const ir::NodeId id : graph.nodes())
    if (graph.node(id).is("Constant")) std::ranges::for_each(graph.node(id).outputs, count);
  return budget;
}

std::optional<std::vector<Tensor>> fold_constant(const ir::Graph& graph, const ir::Node& node, const Limits& limits,
                                                 FoldingBudget& budget, FoldingLimit* passed) {
  if (!has_constant_inputs(graph, node)) return std::nullopt;
  const auto cost = cost_of(graph, node, limits);
  if (!cost) return std::nullopt;
  const FoldingLimit limit = passed_limit(*cost, limits, budget);
  if (passed) *passed = limit;
  if (limit != FoldingLimit::kNone) return std::nullopt;
  std::vector<Tensor> results;
  if (auto value = value_of_shape(graph, node)) {
    if (node.outputs.size() != 1) return std::nullopt;
    results.push_back(std::move(*value));
  } else {
    std::vector<const Tensor*> inputs;
    for (const ir::ValueId input : node.inputs) inputs.push_back(graph.constant_of(input));
    results = evaluate(graph, node, inputs, limits);
  }
  budget.bytes -= cost->bytes;
  budget.work -= cost->work;
  return results;
}

BrokenNodes infer_types(ir::Graph& graph, const Limits& limits) {
  BrokenNodes broken;
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    const Operator* op = find_operator(graph, node);
    if (!op) continue;
    std::vector<ir::Type> types;
    try {
      types = infer(*op, graph, node, limits);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kInvalidModel) throw in_context(Place::kNode, ir::describe(graph, node), e);
      broken.emplace(id, e.what());
    }
    for (size_t i = 0; i < std::min(types.size(), node.outputs.size()); ++i) {
      const ir::ValueId output = node.outputs[i];
      if (!output || graph.constant_of(output)) continue;
      ir::Type type = types[i];
      const ir::Type& declared = graph.type(output);
      if (type.dtype == DataType::kUndefined) type.dtype = declared.dtype;
      if (!type.dims && !node.is("If")) type.dims = declared.dims;  // exporters declare one branch's shape
      graph.set_type(output, std::move(type));
    }
    if (!node.output(0)) continue;
    std::optional<ir::Dims> elements;
    try {
      if (!broken.contains(id)) elements = elements_of(graph, node);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kInvalidModel) throw;  // what is not known of its inputs may make it valid
    }
    graph.set_elements(node.outputs[0], std::move(elements));
  }
  return broken;
}

}  // namespace pli::ops
