#include "runtime/ops/operator.h"

#include "runtime/ir/inline_subgraph.h"
#include "runtime/ops/activation/activation.h"
#include "runtime/ops/activation/softmax.h"
#include "runtime/ops/arithmetic/binary.h"
#include "runtime/ops/arithmetic/cast.h"
#include "runtime/ops/arithmetic/comparison.h"
#include "runtime/ops/arithmetic/unary.h"
#include "runtime/ops/control/if.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/movement/pad.h"
#include "runtime/ops/movement/rearrange.h"
#include "runtime/ops/movement/resize.h"
#include "runtime/ops/normalization/batch_normalization.h"
#include "runtime/ops/normalization/normalization.h"
#include "runtime/ops/pooling/pooling.h"
#include "runtime/ops/pooling/unpooling.h"
#include "runtime/ops/quantization/quantization.h"
#include "runtime/ops/reduction/reduction.h"
#include "runtime/ops/selection/gather.h"
#include "runtime/ops/selection/scatter.h"
#include "runtime/ops/selection/selection.h"
#include "runtime/ops/shape/reshape.h"
#include "runtime/ops/shape/shape.h"

#include <algorithm>
#include <unordered_map>

namespace pli::ops {

namespace {

// One line a family; its operators stand in a table at the end of runtime/ops/<room>/<family>.cpp.
constexpr std::initializer_list<Family (*)()> kFamilies = {
    activation_family,    batch_normalization_family,
    binary_family,        cast_family,
    comparison_family,    convolution_family,
    gather_family,        if_family,
    matmul_family,        movement_family,
    normalization_family, pad_family,
    pooling_family,       quantization_family,
    rearrange_family,     reduction_family,
    reshape_family,       resize_family,
    scatter_family,       selection_family,
    shape_family,         softmax_family,
    unary_family,         unpooling_family,
};

using Table = std::unordered_map<std::string_view, std::vector<const Operator*>>;

const Table& table() {
  static const Table all = [] {
    Table result;
    for (const auto family : kFamilies)
      for (const Operator& op : family()) result[op.type].push_back(&op);
    return result;
  }();
  return all;
}

/// The dtype of input 0 is what a claim speaks of; a node without inputs has none.
bool takes(const Operator& op, const ir::Graph& graph, const ir::Node& node) {
  if (!node.input(0)) return true;
  const ir::Type& type = graph.type(node.input(0));
  if (type.kind != ir::Type::Kind::kTensor) return false;
  if (type.dtype == DataType::kUndefined) return true;
  const auto bit = static_cast<uint32_t>(type.dtype);
  return bit < 32 && ((op.accepted_types() >> bit) & 1u) != 0;
}

bool is_string(const ir::Graph& graph, ir::ValueId value) {
  return value && graph.type(value).dtype == DataType::kString;
}

/// Whether the node would have to do more with strings than to move them: kernels see their addresses.
bool computes_with_strings(const Operator& op, const ir::Graph& graph, const ir::Node& node) {
  bool reads = false, gives = false;
  for (size_t i = 0; i < node.inputs.size(); ++i)
    reads = reads || (!op.reads_only_type(i) && is_string(graph, node.inputs[i]));
  for (const ir::ValueId output : node.outputs) gives = gives || is_string(graph, output);
  const bool moves = (op.types & kStrings) != 0 || node.is("Where") || node.is("If");
  return reads ? !moves : gives && !node.is("Constant") && !node.is("If");
}

/// A call is what the function holds.
std::optional<std::string> why_unsupported_call(const ir::Graph& graph, const ir::Node& call) {
  std::optional<std::string> reason;
  if (const auto why = ir::why_not_inlined(graph, call))
    return fmt::format("function {}{}{} of the model, since {}", call.domain, call.domain.empty() ? "" : ".",
                       call.op_type, *why);
  ir::for_each_graph(call.function->body, [&](const ir::Graph& body) {
    for (const ir::NodeId id : body.nodes())
      if (!reason) reason = why_unsupported(body, body.node(id));
  });
  return reason;
}

}  // namespace

std::vector<const Operator*> operators() {
  std::vector<const Operator*> all;
  for (const auto& [type, list] : table())
    std::ranges::copy_if(list, std::back_inserter(all), [](const Operator* op) { return op->domain.empty(); });
  std::ranges::sort(all, {}, [](const Operator* op) { return std::pair(op->type, op->since); });
  return all;
}

const Operator* find_operator(const ir::Graph& graph, const ir::Node& node) {
  if (node.function) return nullptr;
  const auto found = table().find(node.op_type);
  if (found == table().end()) return nullptr;
  const std::string_view domain = node.is_onnx() ? std::string_view() : node.domain;
  const int64_t opset = graph.opset("");
  for (const Operator* op : found->second)
    if (op->domain == domain && op->since <= opset && opset <= op->until) return op;
  return nullptr;
}

std::optional<std::string> why_unsupported(const ir::Graph& graph, const ir::Node& node) {
  if (node.function) return why_unsupported_call(graph, node);
  if (!node.is_onnx() && node.domain != kInternalDomain)
    return fmt::format("operator {}.{}", node.domain, node.op_type);
  const Operator* op = find_operator(graph, node);
  if (!op) {
    if (!table().contains(node.op_type)) return fmt::format("operator {}", node.op_type);
    return fmt::format("operator {} of opset {}", node.op_type, graph.opset(""));
  }
  if (!takes(*op, graph, node)) {
    const ir::Type& type = graph.type(node.input(0));
    const bool tensor = type.kind == ir::Type::Kind::kTensor;
    return fmt::format("operator {} on {}", node.op_type,
                       tensor ? to_string(type.dtype) : "values that are no tensors");
  }
  if (computes_with_strings(*op, graph, node)) return fmt::format("operator {} with strings", node.op_type);
  return std::nullopt;
}

}  // namespace pli::ops
