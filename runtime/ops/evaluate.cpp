#include "runtime/ops/evaluate.h"

#include "runtime/compute/copy.h"
#include "runtime/compute/parallel.h"

#include <utility>

namespace pli::ops {

namespace {

/// A graph of this one node, its inputs constant: what inference and preparation read.
ir::Graph graph_of(const ir::Graph& origin, const ir::Node& node, std::span<const Tensor* const> inputs) {
  ir::Graph graph(origin.opsets());
  ir::NodeSpec spec{node.op_type, node.domain, node.name, {}, {}, node.attributes, {}};
  for (size_t i = 0; i < inputs.size(); ++i)
    spec.inputs.push_back(inputs[i] ? graph.add_initializer("input" + std::to_string(i), *inputs[i]) : ir::ValueId{});
  for (size_t i = 0; i < node.outputs.size(); ++i)
    spec.outputs.push_back({node.outputs[i] ? "output" + std::to_string(i) : std::string(), {}, {}});
  graph.add_node(std::move(spec));
  return graph;
}

Tensor output_tensor(const ir::Type& type, const Limits& limits) {
  const auto shape = type.shape();
  if (!shape || type.dtype == DataType::kUndefined) fail(ErrorCode::kUnsupported, "the output's shape depends on data");
  const auto elements = checked_size(*shape);
  const auto bytes = elements ? packed_bytes(type.dtype, *elements) : std::nullopt;
  if (!bytes) fail(ErrorCode::kUnsupported, "the output has no size");
  if (*bytes > limits.tensor_bytes) fail(ErrorCode::kResourceLimit, "an output of {} bytes passes the limit", *bytes);
  return Tensor(type.dtype, *shape);
}

void copy(const void* from, const TensorDesc& from_desc, void* to, const TensorDesc& to_desc) {
  compute::StridedCopy(from_desc.dtype, from_desc.dims, from_desc.strides, to_desc.strides).run(from, to);
}

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
  const int64_t opset = graph.opset(node.domain);

  const std::vector<ir::Type> types = op.infer(InferContext{graph, node, limits, opset});
  std::vector<Tensor> outputs;
  PrepareContext context{graph, node, limits, opset, {}, {}, {}, {}, 1};
  for (const Tensor* input : inputs) {
    context.constants.push_back(input);
    context.inputs.push_back(input ? compute::plain(input->dtype(), Shape(input->shape().begin(), input->shape().end()))
                                   : TensorDesc{});
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const bool wanted = static_cast<bool>(node.outputs[i]) && i < types.size();
    outputs.push_back(wanted ? output_tensor(types[i], limits) : Tensor());
    context.outputs.push_back(wanted ? compute::plain(outputs[i].dtype(), *types[i].shape()) : TensorDesc{});
  }

  if (op.view) {
    if (const auto views = op.view(context)) {
      bool same = views->size() == outputs.size();
      for (size_t i = 0; same && i < views->size(); ++i)
        same = (*views)[i].offset == 0 && compute::is_plain((*views)[i].desc) &&
               (*views)[i].desc.size() == context.inputs[0].size();
      if (same) {
        for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = reshaped(*inputs[0], (*views)[i].desc.dims);
        return outputs;
      }
    }
  }
  if (!op.prepare) fail(ErrorCode::kInternal, "operator {} has no kernel", node.op_type);

  const compute::ThreadScope one_thread(1);
  const Layouts layouts = op.layout ? op.layout(context) : Layouts{context.inputs, context.outputs};
  const std::vector<TensorDesc> plain_inputs = std::exchange(context.inputs, layouts.inputs);
  const std::vector<TensorDesc> plain_outputs = std::exchange(context.outputs, layouts.outputs);
  const std::unique_ptr<Kernel> kernel = op.prepare(context);

  std::vector<Tensor> copies;  // of operands that the kernel takes or gives in another layout
  copies.reserve(inputs.size() + outputs.size());
  std::vector<const void*> in;
  std::vector<void*> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const void* data = inputs[i] ? inputs[i]->bytes().data() : nullptr;
    if (inputs[i] && !same_layout(plain_inputs[i], layouts.inputs[i])) {
      copies.emplace_back(inputs[i]->dtype(), plain_inputs[i].dims);
      copy(data, plain_inputs[i], copies.back().mutable_raw(), layouts.inputs[i]);
      data = copies.back().bytes().data();
    }
    in.push_back(data);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!plain_outputs[i].present())
      out.push_back(nullptr);
    else if (same_layout(plain_outputs[i], layouts.outputs[i]))
      out.push_back(outputs[i].mutable_raw());
    else
      out.push_back(copies.emplace_back(outputs[i].dtype(), plain_outputs[i].dims).mutable_raw());
  }
  Tensor scratch(DataType::kUint8, {static_cast<int64_t>(kernel->scratch_bytes())});
  const std::unique_ptr<compute::KernelState> state = kernel->make_state();
  kernel->run({in, out, scratch.mutable_raw(), state.get()});
  for (size_t i = 0; i < outputs.size(); ++i)
    if (plain_outputs[i].present() && !same_layout(plain_outputs[i], layouts.outputs[i]))
      copy(out[i], layouts.outputs[i], outputs[i].mutable_raw(), plain_outputs[i]);
  return outputs;
}

std::optional<std::vector<Tensor>> evaluate_constant(const ir::Graph& graph, const ir::Node& node,
                                                     const Limits& limits) {
  if (node.op_type.starts_with("Random") || node.is("Multinomial") || node.is("Bernoulli")) return std::nullopt;
  std::vector<Tensor> stand_ins;
  std::vector<const Tensor*> inputs;
  if ((node.is("Shape") || node.is("Size")) && node.input(0) && !graph.constant_of(node.input(0))) {
    // Only the dimensions count, so a tensor without a payload will do.
    const ir::Type& type = graph.type(node.input(0));
    const auto shape = type.shape();
    const auto elements = shape ? checked_size(*shape) : std::nullopt;
    const auto bytes = elements ? packed_bytes(type.dtype, *elements) : std::nullopt;
    if (!bytes) return std::nullopt;
    stand_ins.push_back(Tensor::adopt(type.dtype, *shape, nullptr, nullptr, static_cast<size_t>(*bytes)));
    inputs.push_back(&stand_ins.back());
  } else {
    for (const ir::ValueId input : node.inputs) {
      inputs.push_back(graph.constant_of(input));
      if (input && !inputs.back()) return std::nullopt;
    }
  }
  return evaluate(graph, node, inputs, limits);
}

void infer_types(ir::Graph& graph, const Limits& limits) {
  for (const ir::NodeId id : graph.nodes()) {
    const ir::Node& node = graph.node(id);
    const Operator* op = find_operator(graph, node);
    if (!op) continue;
    const auto types = with_context(ir::describe(graph, node), [&] {
      return op->infer(InferContext{graph, node, limits, graph.opset(node.domain)});
    });
    for (size_t i = 0; i < std::min(types.size(), node.outputs.size()); ++i) {
      const ir::ValueId output = node.outputs[i];
      if (!output || graph.constant_of(output)) continue;
      ir::Type type = types[i];
      const ir::Type& declared = graph.type(output);
      if (type.dtype == DataType::kUndefined) type.dtype = declared.dtype;
      if (!type.dims) type.dims = declared.dims;
      graph.set_type(output, std::move(type));
    }
  }
}

}  // namespace pli::ops
