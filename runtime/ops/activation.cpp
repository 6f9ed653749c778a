#include "runtime/ops/activation.h"

#include <limits>

namespace pli::ops {

namespace {

using Kind = Activation::Kind;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A float32 constant of one element; nothing when it is something else.
std::optional<float> constant_scalar(const ir::Graph& graph, ir::ValueId id) {
  const Tensor* tensor = graph.constant_of(id);
  if (!tensor || tensor->dtype() != DataType::kFloat32 || tensor->size() != 1) return std::nullopt;
  return tensor->data<float>()[0];
}

/// Clip with constant bounds; a missing bound is infinite.
std::optional<Activation> as_clip(const ir::Graph& graph, const ir::Node& node) {
  const bool by_inputs = graph.opset("") >= 11;
  const auto bound = [&](size_t input, std::string_view attribute, float none) -> std::optional<float> {
    if (!by_inputs) return node.float_or(attribute, none);
    return node.input(input) ? constant_scalar(graph, node.input(input)) : none;
  };
  const auto low = bound(1, "min", -kInfinity);
  const auto high = bound(2, "max", kInfinity);
  if (!low || !high || !(*low <= *high)) return std::nullopt;
  if (*low == 0 && *high == kInfinity) return Activation{Kind::kRelu};
  return Activation{Kind::kClip, *low, *high};
}

}  // namespace

std::optional<Activation> as_activation(const ir::Graph& graph, const ir::Node& node) {
  if (!node.is_onnx() || !node.input(0) || graph.type(node.input(0)).dtype != DataType::kFloat32) return std::nullopt;
  if (node.is("Clip")) return as_clip(graph, node);
  if (node.is("PRelu")) {
    const auto slope = constant_scalar(graph, node.input(1));
    return slope ? std::optional(Activation{Kind::kLeakyRelu, *slope}) : std::nullopt;
  }
  if (node.inputs.size() != 1) return std::nullopt;
  if (node.is("Relu")) return Activation{Kind::kRelu};
  if (node.is("LeakyRelu")) return Activation{Kind::kLeakyRelu, node.float_or("alpha", 0.01f)};
  if (node.is("Elu")) return Activation{Kind::kElu, node.float_or("alpha", 1.0f)};
  if (node.is("Sigmoid")) return Activation{Kind::kSigmoid};
  if (node.is("Tanh")) return Activation{Kind::kTanh};
  if (node.is("HardSwish")) return Activation{Kind::kHardSwish};
  if (node.is("HardSigmoid"))
    return Activation{Kind::kHardSigmoid, node.float_or("alpha", 0.2f), node.float_or("beta", 0.5f)};
  if (node.is("Gelu"))
    return Activation{node.string_or("approximate", "none") == "tanh" ? Kind::kGeluTanh : Kind::kGeluErf};
  return std::nullopt;
}

}  // namespace pli::ops
