#pragma once

#include "runtime/ir/graph.h"

#include <pli/model.h>

#include <random>
#include <string>
#include <vector>

namespace pli::test {

/// Builds small models, node by node.
class ModelBuilder {
 public:
  explicit ModelBuilder(int64_t opset = 17)
      : opsets_(std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", opset}})), graph_(opsets_) {
    graph_.name_of_graph = "test";
  }

  ir::Graph& graph() { return graph_; }

  ir::ValueId input(const std::string& name, DataType dtype, ir::Dims dims) {
    return graph_.add_input(name, ir::Type::tensor(dtype, std::move(dims)));
  }

  template <class T>
  ir::ValueId constant(const std::string& name, Shape shape, const std::vector<T>& values) {
    return graph_.add_initializer(name, Tensor::copy<T>(std::move(shape), std::span<const T>(values)));
  }

  /// Seeded, normal.
  ir::ValueId weights(const std::string& name, const Shape& shape, float mean = 0, float deviation = 1) {
    std::normal_distribution<float> normal(mean, deviation);
    Tensor tensor(DataType::kFloat32, shape);
    for (float& value : tensor.mutable_data<float>()) value = normal(random_);
    return graph_.add_initializer(name, std::move(tensor));
  }

  /// A node with one output, which is called `output`.
  ir::ValueId node(const std::string& type, std::vector<ir::ValueId> inputs, const std::string& output,
                   std::vector<ir::Attribute> attributes = {}, const std::string& domain = "") {
    ir::NodeSpec spec{type, domain, output + "_node", std::move(inputs), {{output, {}, {}}}, std::move(attributes), {}};
    return graph_.node(graph_.add_node(std::move(spec))).output(0);
  }

  /// BatchNormalization of `channels` channels whose statistics are those of `x` if that has this mean and deviation.
  ir::ValueId batch_norm(ir::ValueId x, const std::string& output, int64_t channels, float mean = 0.5f,
                         float deviation = 1.5f) {
    const std::vector<float> means(static_cast<size_t>(channels), mean);
    const std::vector<float> variances(static_cast<size_t>(channels), deviation * deviation);
    return node(
        "BatchNormalization",
        {x, weights(output + ".scale", {channels}, 1, 0.2f), weights(output + ".bias", {channels}),
         constant<float>(output + ".mean", {channels}, means), constant<float>(output + ".var", {channels}, variances)},
        output);
  }

  void output(ir::ValueId value, DataType dtype = DataType::kFloat32, std::optional<ir::Dims> dims = std::nullopt) {
    graph_.add_output({graph_.name(value), value, ir::Type::tensor(dtype, std::move(dims)), {}});
  }

  Model build() const {
    auto model = std::make_shared<ir::Model>();
    model->ir_version = 8;
    model->opsets = opsets_;
    model->graph = graph_;
    return Model(model);
  }

 private:
  std::shared_ptr<const ir::OpsetImports> opsets_;
  ir::Graph graph_;
  std::mt19937 random_{5};
};

/// image [batch, 3, h, w] -> 3x3 Conv of 4 filters -> BatchNormalization -> Relu -> 1x1 Conv of 5 ->
/// BatchNormalization.
inline ModelBuilder two_folds() {
  ModelBuilder b;
  const ir::ValueId image =
      b.input("image", DataType::kFloat32, {std::string("batch"), 3, std::string("h"), std::string("w")});
  const ir::ValueId first = b.node("Conv", {image, b.weights("w1", {4, 3, 3, 3}), b.weights("b1", {4})}, "conv1");
  const ir::ValueId relu = b.node("Relu", {b.batch_norm(first, "bn1", 4)}, "relu1");
  const ir::ValueId second = b.node("Conv", {relu, b.weights("w2", {5, 4, 1, 1})}, "conv2");
  b.output(b.batch_norm(second, "bn2", 5));
  return b;
}

/// Two convolutions with BatchNormalization, the second of which takes a million off a sum that has a million in it: in
/// float32 the unfolded model loses four digits there, the folded one does not, so that their results differ.
inline ModelBuilder fold_that_differs() {
  ModelBuilder b;
  const ir::ValueId image = b.input("image", DataType::kFloat32, {std::string("batch"), 3, 6, 7});
  const ir::ValueId first = b.node("Conv", {image, b.weights("w1", {4, 3, 3, 3}), b.weights("b1", {4})}, "conv1");
  const ir::ValueId good = b.batch_norm(first, "bn1", 4);
  const ir::ValueId second =
      b.node("Conv", {good, b.weights("w2", {5, 4, 1, 1}), b.constant<float>("b2", {5}, std::vector<float>(5, 1e6f))},
             "conv2");
  const ir::ValueId bad = b.batch_norm(second, "bn2", 5, 1e6f, 2);
  b.output(b.node("Relu", {bad}, "result"));
  return b;
}

/// y = Mystery(x), an operator of a domain that nobody knows, behind a Conv and a BatchNormalization.
inline ModelBuilder unknown_operator() {
  ModelBuilder b;
  const ir::ValueId x = b.input("x", DataType::kFloat32, {2, 3, 5, 5});
  const ir::ValueId conv = b.node("Conv", {x, b.weights("w", {4, 3, 3, 3})}, "conv");
  b.output(b.node("Mystery", {b.batch_norm(conv, "bn", 4)}, "y", {}, "com.example"));
  return b;
}

}  // namespace pli::test
