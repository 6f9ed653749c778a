#pragma once

#include "runtime/ir/graph.h"

#include <random>

namespace pli::test {

/// Builds graphs of random weights, node after node.
class Network {
 public:
  explicit Network(int64_t opset = 14, uint32_t seed = 1)
      : graph(std::make_shared<ir::OpsetImports>(ir::OpsetImports{{"", opset}})), random_(seed) {}

  Tensor tensor(Shape shape) {
    Tensor made(DataType::kFloat32, std::move(shape));
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& value : made.mutable_data<float>()) value = uniform(random_);
    return made;
  }

  ir::ValueId input(std::string name, std::vector<ir::Dim> dims, DataType dtype = DataType::kFloat32) {
    return graph.add_input(std::move(name), ir::Type::tensor(dtype, std::move(dims)));
  }

  ir::ValueId weight(Shape shape) { return graph.add_constant(tensor(std::move(shape)), "weight"); }
  ir::ValueId ints(std::vector<int64_t> values) { return graph.add_constant(int64_tensor(values), "ints"); }
  ir::ValueId scalar(float value) {
    return graph.add_constant(Tensor::copy<float>({}, std::span<const float>(&value, 1)), "scalar");
  }

  ir::ValueId node(std::string type, std::vector<ir::ValueId> inputs, std::vector<ir::Attribute> attributes = {}) {
    const ir::NodeId id = graph.add_node(
        {type, "", "", std::move(inputs), {{graph.unique_name(type), {}, {}}}, std::move(attributes), {}});
    return graph.node(id).outputs[0];
  }

  /// A 2-D convolution whose output has the input's size (stride 1) or half of it (stride 2).
  ir::ValueId conv(ir::ValueId x, int64_t channels, int64_t filters, int64_t kernel, int64_t stride = 1,
                   int64_t group = 1) {
    const int64_t pad = kernel / 2;
    return node("Conv", {x, weight({filters, channels / group, kernel, kernel}), weight({filters})},
                {{"strides", std::vector<int64_t>{stride, stride}, {}},
                 {"pads", std::vector<int64_t>{pad, pad, pad, pad}, {}},
                 {"group", group, {}}});
  }

  void output(std::string name, ir::ValueId value) { graph.add_output({std::move(name), value, {}, {}}); }

  ir::Graph graph;

 private:
  std::mt19937 random_;
};

}  // namespace pli::test
