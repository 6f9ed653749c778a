#pragma once

#include "tests/ops/op_test.h"

#include <string>
#include <vector>

namespace pli::test {

// What the tests of the operators that move elements share.

using namespace std::string_literals;  // NOLINT: symbols of dimensions

inline Tensor int64s(const std::vector<int64_t>& values) { return int64_tensor(values); }

inline Shape shape_of(const Tensor& tensor) { return Shape(tensor.shape().begin(), tensor.shape().end()); }

inline ir::Type f32(std::optional<ir::Dims> dims) { return ir::Type::tensor(DataType::kFloat32, std::move(dims)); }

inline ir::Type int64_type(std::optional<ir::Dims> dims) { return ir::Type::tensor(DataType::kInt64, std::move(dims)); }

/// Row-major elements as doubles, whatever the type.
inline std::vector<double> numbers(const Tensor& tensor) {
  if (is_float(tensor.dtype())) return to_doubles(tensor);
  const auto integers = to_int64s(tensor);
  return {integers.begin(), integers.end()};
}

/// Calls body(index) for every index of a shape, in row-major order.
template <class Body>
void for_each_index(const Shape& shape, Body&& body) {
  const int64_t size = *checked_size(shape);
  Shape index(shape.size());
  for (int64_t flat = 0; flat < size; ++flat) {
    int64_t rest = flat;
    for (size_t i = shape.size(); i-- > 0; rest /= shape[i]) index[i] = rest % shape[i];
    body(index);
  }
}

/// The element at an index.
inline double at(const Tensor& tensor, const Shape& index) {
  size_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i)
    flat = flat * static_cast<size_t>(tensor.shape()[i]) + static_cast<size_t>(index[i]);
  switch (tensor.dtype()) {
    case DataType::kFloat32:
      return static_cast<double>(tensor.data<float>()[flat]);
    case DataType::kInt64:
      return static_cast<double>(tensor.data<int64_t>()[flat]);
    default:
      return numbers(tensor)[flat];
  }
}

/// The layouts in which inputs come: every one row-major but the first, which is `first`.
inline std::vector<compute::TensorDesc> arriving(const NodeCase& node, std::vector<int64_t> first) {
  std::vector<compute::TensorDesc> layouts;
  for (const auto& input : node.inputs)
    layouts.push_back(input ? compute::plain(input->dtype(), shape_of(*input)) : compute::TensorDesc{});
  layouts.at(0).strides = std::move(first);
  return layouts;
}

/// Output 0 has this shape and value(index) at each index: run row-major, from channels-last, and as a view where there
/// is one.
template <class Value>
void expect_output(const NodeCase& node, const Shape& shape, Value&& value) {
  std::vector<double> expected;
  for_each_index(shape, [&](const Shape& index) { expected.push_back(value(index)); });
  const auto check = [&](const Tensor& output) {
    EXPECT_EQ(shape_of(output), shape) << node.op_type;
    EXPECT_EQ(numbers(output), expected) << node.op_type;
  };
  check(run(node).at(0));
  check(run_channels_last(node).at(0));
  if (node.inputs.empty() || !node.inputs[0]) return;
  check(run_laid_out(node, arriving(node, compute::channels_last_strides(node.inputs[0]->shape()))).outputs.at(0));
}

/// Runs the node with every input but those that decide shapes unknown until the kernel sees it.
inline std::vector<Tensor> run_unknown(const NodeCase& test_case) {
  ir::Graph graph(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", test_case.opset}}));
  ir::NodeSpec spec{test_case.op_type, "", "node", {}, {}, test_case.attributes, {}};
  for (const auto& input : test_case.inputs)
    spec.inputs.push_back(graph.add_input(graph.unique_name("input"), ir::Type::of(input.value())));
  for (size_t i = 0; i < test_case.outputs; ++i) spec.outputs.push_back({graph.unique_name("output"), {}, {}});
  const ir::Node& node = graph.node(graph.add_node(std::move(spec)));
  const ops::Operator& op = *ops::find_operator(graph, node);
  const Limits limits;
  ops::PrepareContext context{graph, node, limits, test_case.opset, {}, {}, {}, {}, 1};
  std::vector<const void*> in;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor& input = *test_case.inputs[i];
    const bool decides = ((op.value_inputs >> i) & 1u) != 0;
    if (decides) graph.set_constant(node.inputs[i], input);
    context.inputs.push_back(compute::plain(input.dtype(), shape_of(input)));
    context.constants.push_back(decides ? &input : nullptr);
    in.push_back(input.bytes().data());
  }
  std::vector<Tensor> outputs;
  std::vector<void*> out;
  for (const ir::Type& type : ops::infer(op, graph, node, limits)) {
    outputs.emplace_back(type.dtype, type.shape().value());
    context.outputs.push_back(compute::plain(type.dtype, *type.shape()));
    out.push_back(outputs.back().mutable_raw());
  }
  const auto kernel = op.prepare(context);
  Tensor scratch(DataType::kUint8, {static_cast<int64_t>(kernel->scratch_bytes())});
  kernel->run({in, out, scratch.mutable_raw()});
  return outputs;
}

/// The code of the error with which the node does not run.
inline ErrorCode refusal(const NodeCase& node) {
  return error_of([&] { (void)run(node); }).code();
}

}  // namespace pli::test
