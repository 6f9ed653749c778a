#include "tests/ops/op_test.h"

#include "runtime/compute/parallel.h"
#include "runtime/ops/evaluate.h"

#include <cmath>
#include <cstring>

namespace pli::test {

namespace {

using compute::Kernel;
using compute::TensorDesc;

std::shared_ptr<const ir::OpsetImports> opsets(int64_t version) {
  return std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", version}});
}

ir::Graph graph_of(const NodeCase& node) {
  ir::Graph graph(opsets(node.opset));
  ir::NodeSpec spec{node.op_type, "", "node", {}, {}, node.attributes, {}};
  for (size_t i = 0; i < node.inputs.size(); ++i)
    spec.inputs.push_back(node.inputs[i] ? graph.add_initializer("input" + std::to_string(i), *node.inputs[i])
                                         : ir::ValueId{});
  for (size_t i = 0; i < node.outputs; ++i) spec.outputs.push_back({"output" + std::to_string(i), {}, {}});
  graph.add_node(std::move(spec));
  return graph;
}

/// Copies every element of `from` to its place in `to`, whatever the layouts.
void copy_elements(const TensorDesc& from, const std::byte* source, const TensorDesc& to, std::byte* target) {
  const auto width = static_cast<size_t>(bit_width(from.dtype) / 8);
  const int64_t count = from.size();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    int64_t source_at = 0;
    int64_t target_at = 0;
    for (size_t axis = from.dims.size(); axis-- > 0;) {
      const int64_t index = rest % from.dims[axis];
      rest /= from.dims[axis];
      source_at += index * from.strides[axis];
      target_at += index * to.strides[axis];
    }
    std::memcpy(target + static_cast<size_t>(target_at) * width, source + static_cast<size_t>(source_at) * width,
                width);
  }
}

TensorDesc spatial(const Tensor& tensor) {
  Shape dims(tensor.shape().begin(), tensor.shape().end());
  const bool image = dims.size() >= 3 && dims.size() <= 5;
  return image ? compute::channels_last(tensor.dtype(), std::move(dims))
               : compute::plain(tensor.dtype(), std::move(dims));
}

TensorDesc plain_of(const Tensor& tensor) {
  return compute::plain(tensor.dtype(), Shape(tensor.shape().begin(), tensor.shape().end()));
}

/// The inputs in the layouts that the context asks for.
std::vector<Tensor> laid_out(const NodeCase& node, const ops::PrepareContext& context) {
  std::vector<Tensor> memory;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    memory.emplace_back(DataType::kUint8, Shape{node.inputs[i] ? compute::span_bytes(context.inputs[i]) : 0});
    if (node.inputs[i])
      copy_elements(plain_of(*node.inputs[i]), node.inputs[i]->bytes().data(), context.inputs[i],
                    static_cast<std::byte*>(memory.back().mutable_raw()));
  }
  return memory;
}

/// The memory of the outputs, which holds what a reused arena may hold before.
std::vector<Tensor> run_kernel(const Kernel& kernel, const ops::PrepareContext& context,
                               std::span<const Tensor> inputs) {
  std::vector<Tensor> memory;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (size_t i = 0; i < inputs.size(); ++i)
    in.push_back(context.inputs[i].present() ? inputs[i].bytes().data() : nullptr);
  for (const TensorDesc& desc : context.outputs) {
    memory.emplace_back(DataType::kUint8, Shape{compute::span_bytes(desc)});
    std::ranges::fill(memory.back().mutable_data<uint8_t>(), uint8_t{0xAB});
    out.push_back(memory.back().mutable_raw());
  }
  const auto state = kernel.make_state();
  Tensor scratch(DataType::kUint8, {static_cast<int64_t>(kernel.scratch_bytes())});
  kernel.run({in, out, scratch.mutable_raw(), state.get()});
  return memory;
}

}  // namespace

std::vector<Tensor> run(const NodeCase& node) {
  const ir::Graph graph = graph_of(node);
  std::vector<const Tensor*> inputs;
  for (const auto& input : node.inputs) inputs.push_back(input ? &*input : nullptr);
  return ops::evaluate(graph, graph.node(graph.nodes().front()), inputs, {});
}

std::vector<Tensor> run_channels_last(const NodeCase& node, int threads) {
  std::vector<TensorDesc> layouts;
  for (const auto& input : node.inputs) layouts.push_back(input ? spatial(*input) : TensorDesc{});
  return run_laid_out(node, std::move(layouts), threads, false).outputs;
}

double tolerance_of(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat64:
      return 1e-13;
    case DataType::kFloat16:
      return 0x1p-10;
    case DataType::kBfloat16:
      return 0x1p-7;
    default:
      return 1e-5;
  }
}

Tensor as(const Tensor& tensor, DataType dtype) {
  return from_doubles(dtype, Shape(tensor.shape().begin(), tensor.shape().end()), to_doubles(tensor));
}

LaidOut run_laid_out(const NodeCase& test_case, std::vector<TensorDesc> arriving, int threads, bool use_views) {
  const ir::Graph graph = graph_of(test_case);
  const ir::Node& node = graph.node(graph.nodes().front());
  if (const auto why = ops::why_unsupported(graph, node)) fail(ErrorCode::kUnsupported, "{}", *why);
  const ops::Operator& op = *ops::find_operator(graph, node);
  const Limits limits;
  const auto types = ops::infer(op, graph, node, limits);

  ops::PrepareContext context{graph, node, limits, test_case.opset, {}, {}, {}, {}, threads};
  context.inputs = std::move(arriving);
  context.constants.resize(context.inputs.size());
  for (size_t i = 0; i < test_case.inputs.size() && i < 32; ++i)
    if ((op.value_inputs >> i) & 1u) context.constants[i] = test_case.inputs[i] ? &*test_case.inputs[i] : nullptr;
  for (size_t i = 0; i < test_case.outputs; ++i)
    context.outputs.push_back(compute::plain(types[i].dtype, *types[i].shape()));
  const auto views = use_views && op.view ? op.view(context) : std::nullopt;
  ops::Layouts layouts;
  if (views) {
    layouts.inputs = context.inputs;
    for (const ops::View& view : *views) layouts.outputs.push_back(view.desc);
  } else if (op.layout) {
    layouts = op.layout(context);
  } else {
    for (const auto& input : test_case.inputs) layouts.inputs.push_back(input ? plain_of(*input) : TensorDesc{});
    layouts.outputs = context.outputs;
  }
  context.inputs = layouts.inputs;
  context.outputs = layouts.outputs;

  const std::vector<Tensor> inputs = laid_out(test_case, context);
  compute::ThreadPool pool(threads);
  const compute::ThreadScope scope(&pool);
  const std::vector<Tensor> memory = views ? std::vector<Tensor>() : run_kernel(*op.prepare(context), context, inputs);
  LaidOut result{{}, context.outputs, views.has_value()};
  for (size_t i = 0; i < context.outputs.size(); ++i) {
    const TensorDesc& desc = context.outputs[i];
    const std::byte* source = (views ? inputs[0] : memory[i]).bytes().data();
    if (views) source += (*views)[i].offset * (bit_width(desc.dtype) / 8);
    Tensor output(desc.dtype, desc.dims);
    copy_elements(desc, source, plain_of(output), static_cast<std::byte*>(output.mutable_raw()));
    result.outputs.push_back(std::move(output));
  }
  return result;
}

std::vector<ir::Type> infer(const std::string& op_type, int64_t opset, const std::vector<ir::Type>& inputs,
                            const std::vector<ir::Attribute>& attributes,
                            const std::vector<std::optional<Tensor>>& constants, size_t outputs) {
  ir::Graph graph(opsets(opset));
  ir::NodeSpec spec{op_type, "", "node", {}, {}, attributes, {}};
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "input" + std::to_string(i);
    if (i < constants.size() && constants[i])
      spec.inputs.push_back(graph.add_initializer(name, *constants[i]));
    else
      spec.inputs.push_back(graph.add_input(name, inputs[i]));
  }
  for (size_t i = 0; i < outputs; ++i) spec.outputs.push_back({"output" + std::to_string(i), {}, {}});
  const ir::NodeId id = graph.add_node(std::move(spec));
  const ops::Operator* op = ops::find_operator(graph, graph.node(id));
  if (!op) fail(ErrorCode::kUnsupported, "operator {} of opset {}", op_type, opset);
  return ops::infer(*op, graph, graph.node(id), Limits{});
}

Tensor random_tensor(Shape shape, uint32_t seed, float low, float high) {
  Tensor result(DataType::kFloat32, std::move(shape));
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  for (float& value : result.mutable_data<float>()) value = distribution(generator);
  return result;
}

void expect_near(const Tensor& actual, const Shape& shape, std::span<const double> expected, double rtol, double atol) {
  ASSERT_EQ(Shape(actual.shape().begin(), actual.shape().end()), shape);
  ASSERT_EQ(actual.size(), expected.size());
  const std::vector<double> values = is_float(actual.dtype()) ? to_doubles(actual) : [&] {
    const auto integers = to_int64s(actual);
    return std::vector<double>(integers.begin(), integers.end());
  }();
  int wrong = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const bool equal = values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i]));
    if (equal || std::abs(values[i] - expected[i]) <= atol + rtol * std::abs(expected[i])) continue;
    if (++wrong <= 5)
      ADD_FAILURE() << "element " << i << ": " << values[i] << " where " << expected[i] << " is expected";
  }
  EXPECT_EQ(wrong, 0) << "of " << values.size() << " elements";
}

}  // namespace pli::test
