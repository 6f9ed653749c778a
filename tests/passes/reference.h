#pragma once

#include "runtime/ir/graph.h"

#include <pli/optimize.h>

#include <map>
#include <string>
#include <vector>

namespace pli::test {

/// A tensor of doubles, row-major.
struct Doubles {
  Shape shape;
  std::vector<double> data;
};

/// Runs a graph in double: the oracle that folding is measured against. Conv, ConvTranspose, Gemm, MatMul,
/// BatchNormalization at inference, RMSNormalization, Add, Sub, Mul, Div, Relu, Identity, Dropout, Cast between float
/// types, If, Transpose and Constant are one naive loop each, sharing no code with Pli's own operators; others, which a
/// fold only moves through, are run by Pli's kernels in float64. Gives the graph's outputs by name.
std::map<std::string, Doubles> run_reference(const ir::Graph& graph, const std::map<std::string, Doubles>& inputs);

Doubles random_doubles(Shape shape, uint32_t seed, double low = -1, double high = 1);

/// Builds a model node by node. Values are named by the caller; an output name that is empty makes one.
class Net {
 public:
  explicit Net(int64_t opset = 17, int64_t ir_version = 8);

  /// A dimension of -1 is the symbol "batch".
  ir::ValueId input(std::string name, const Shape& dims, DataType dtype = DataType::kFloat32);
  /// An initializer of seeded random numbers.
  ir::ValueId weight(std::string name, Shape shape, double low = -1, double high = 1,
                     DataType dtype = DataType::kFloat32);
  ir::ValueId constant(std::string name, Tensor tensor);
  /// The same as a Constant node.
  ir::ValueId constant_node(std::string name, Tensor tensor);
  /// An initializer that is a graph input as well.
  ir::ValueId default_input(std::string name, Tensor tensor);
  ir::ValueId node(const std::string& op_type, std::vector<ir::ValueId> inputs,
                   std::vector<ir::Attribute> attributes = {}, std::string output = {}, size_t outputs = 1);
  /// BatchNormalization with statistics of its own, named after its output, in the form of the model's opset.
  ir::ValueId batch_norm(ir::ValueId x, int64_t channels, std::string output,
                         std::vector<ir::Attribute> attributes = {}, DataType dtype = DataType::kFloat32);
  void output(ir::ValueId value, std::string name = {});

  Tensor random(Shape shape, double low = -1, double high = 1, DataType dtype = DataType::kFloat32);
  ir::Graph& graph() { return model_.graph; }
  ir::Model model() const { return model_; }

 private:
  ir::Model model_;
  uint32_t seed_ = 1;
  int count_ = 0;
};

inline ir::Attribute attribute(std::string name, int64_t value) { return {std::move(name), value, {}}; }
inline ir::Attribute attribute(std::string name, int value) { return {std::move(name), int64_t{value}, {}}; }
inline ir::Attribute attribute(std::string name, float value) { return {std::move(name), value, {}}; }
inline ir::Attribute attribute(std::string name, const char* value) {
  return {std::move(name), std::string(value), {}};
}
inline ir::Attribute ints(std::string name, std::vector<int64_t> value) {
  return {std::move(name), std::move(value), {}};
}

/// x -> Conv "c" -> BatchNormalization "y"; the pieces to be changed by each test.
struct ConvNet {
  Net net;
  ir::ValueId x, conv;

  explicit ConvNet(int64_t opset = 17, int64_t ir_version = 8) : net(opset, ir_version) {
    x = net.input("x", {-1, 3, 8, 9});
    conv = net.node("Conv", {x, net.weight("w", {5, 3, 3, 2}), net.weight("b", {5})}, {}, "c");
  }
  /// A BatchNormalization with one statistic replaced.
  void batch_norm_with(size_t index, ir::ValueId other, std::vector<ir::Attribute> attributes = {}) {
    std::vector<ir::ValueId> inputs{conv, net.weight("s", {5}), net.weight("bias", {5}), net.weight("m", {5}),
                                    net.weight("v", {5}, 0.5, 1)};
    inputs[index] = other;
    net.output(net.node("BatchNormalization", inputs, std::move(attributes), "y"));
  }
};

struct Optimized {
  ir::Model model;
  Report report;
  /// How many nodes of a type there are.
  int64_t count(std::string_view op_type) const;
  /// The report's entry for the BatchNormalization or affine with this output; a test failure when there is none.
  const Fold& fold(const std::string& output) const;
  /// The value of the initializer of this name.
  Tensor constant(const std::string& name) const;
};

/// Optimizes and checks what has to hold always: the graph verifies; outputs and inputs keep names and order; doing it
/// again changes nothing; doing it to another copy gives the same text.
Optimized optimize(const ir::Model& model, const OptimizeOptions& options = {});

/// Runs both models on random inputs and expects results that differ by no more than rounding the weights does
/// (`tolerance` of the largest result, or of `least` where all that is left are differences of equal numbers). Unknown
/// dimensions become 2.
void expect_equal_results(const ir::Model& original, const ir::Model& folded, double tolerance = 1e-6,
                          double least = 0);

/// Both: `batch_norms` of them have to be folded and none kept.
Optimized expect_folded(const Net& net, size_t batch_norms, double tolerance = 1e-6);

/// Expects that the BatchNormalization with this output stays, with this code, a reason that contains `words`, and a
/// model that computes the same.
Optimized expect_kept(const Net& net, const std::string& output, std::string_view code, std::string_view words,
                      const OptimizeOptions& options = {});

}  // namespace pli::test
