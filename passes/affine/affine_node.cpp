#include "passes/affine/affine_node.h"

#include "runtime/ops/elementwise.h"
#include "runtime/ops/evaluate.h"
#include "runtime/ops/normalization/batch_normalization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace pli::passes {

namespace {

/// No dimension of the constant stretches one of x.
bool fits(const Shape& shape, const ir::Dims& dims) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1 && !(dims[i] == ir::Dim(shape[i]))) return false;
  return true;
}

/// The node that has to be folded before `id` can be constant, where `id` depends on constants alone; none otherwise.
ir::NodeId unfolded_node(const ir::Graph& graph, ir::ValueId id) {
  ir::NodeId unfolded;
  std::set<ir::ValueId> seen{id};
  std::vector<ir::ValueId> pending{id};
  while (!pending.empty()) {
    const ir::NodeId producer = graph.producer(pending.back());
    pending.pop_back();
    if (!producer) return {};
    bool last = true;
    for (const ir::ValueId input : graph.node(producer).inputs) {
      if (!input || graph.constant_of(input)) continue;
      last = false;
      if (seen.insert(input).second) pending.push_back(input);
    }
    if (last && !ops::has_constant_inputs(graph, graph.node(producer))) return {};
    if (last) unfolded = producer;
  }
  return unfolded;
}

/// What the statistics of a BatchNormalization are broadcast as: along dimension 1, or without `spatial` over all of a
/// sample. Nothing where x is not shown to have such dimensions.
std::optional<Shape> shape_of_statistics(const ir::Type& x, bool spatial, const Tensor& scale) {
  if (!x.has_rank() || x.dims->empty()) return std::nullopt;
  const auto count = static_cast<int64_t>(scale.size());
  Shape shape(x.dims->size(), 1);
  if (spatial || shape.size() == 2) {
    if (shape.size() > 1) shape[1] = count;
    return shape.size() > 1 || count == 1 ? std::optional(shape) : std::nullopt;
  }
  for (size_t i = 1; i < shape.size(); ++i) {
    if (!(*x.dims)[i].known()) return std::nullopt;
    shape[i] = (*x.dims)[i].value();
  }
  return checked_size(shape) == count ? std::optional(shape) : std::nullopt;
}

}  // namespace

bool is_arithmetic(const ir::Node& node) {
  return node.is("Add") || node.is("Sub") || node.is("Mul") || node.is("Div") || node.is("Neg");
}

bool is_overridable(const ir::Graph& graph, ir::ValueId id) {
  const ir::ValueRecord& record = graph.value(id);
  return record.kind == ir::ValueKind::kInput && record.payload && !record.constant;
}

std::string how_to_mend(const ir::Node& between) {
  const bool quantizes = between.is("DequantizeLinear") || between.is("QuantizeLinear");
  return quantizes ? "; fold before quantizing" : "";
}

std::string why_not_constant(const ir::Graph& graph, ir::ValueId id) {
  const ir::ValueRecord& record = graph.value(id);
  if (is_overridable(graph, id)) return "is an input of the model whose default may be overridden";
  if (record.kind == ir::ValueKind::kInput) return "is an input of the model";
  if (record.kind == ir::ValueKind::kCapture) return "belongs to an enclosing graph";
  if (record.kind == ir::ValueKind::kInitializer) return "is stored in a form that can't be read";
  const ir::Node& producer = graph.node(record.producer);
  std::string reason = "is computed by " + ir::describe(graph, producer);
  if (const ir::NodeId unfolded = unfolded_node(graph, id); unfolded && unfolded == record.producer)
    reason += " from constants, which was not folded";
  else if (unfolded)
    reason += fmt::format(" from constants, of which {} was not folded", ir::describe(graph, graph.node(unfolded)));
  return reason + how_to_mend(producer);
}

namespace {

/// A binary arithmetic node one of whose operands is constant.
struct ConstantOperand {
  ir::ValueId x, constant;
  bool constant_first = false;
  Shape shape;  // of the constant, aligned to the dimensions of x: as many, each that of x or 1
};

/// Reads Add, Sub, Mul or Div with a constant operand of a float type that is broadcast to the other, and not the other
/// way round.
std::optional<ConstantOperand> constant_operand(const ir::Graph& graph, const ir::Node& node, Refusal& why) {
  if (!is_arithmetic(node) || node.inputs.size() != 2 || !node.inputs[0] || !node.inputs[1])
    return why.because(code::kNoLinearNeighbour, "it is not an arithmetic node of two operands");
  const Tensor* first = graph.constant_of(node.inputs[0]);
  const Tensor* second = graph.constant_of(node.inputs[1]);
  if (!first == !second) return why.because(code::kNotConstant, "not exactly one of its operands is constant");

  ConstantOperand operand{node.inputs[first ? 1 : 0], node.inputs[first ? 0 : 1], first != nullptr, {}};
  const Tensor& constant = first ? *first : *second;
  const std::string& name = graph.name(operand.constant);
  if (!is_float(constant.dtype()))
    return why.because(code::kDataType, "its operand \"{}\" is {}", name, to_string(constant.dtype()));
  const ir::Type& x = graph.type(operand.x);
  if (!x.dims) return why.because(code::kAxisUnproven, "the rank of \"{}\" is not known", graph.name(operand.x));
  auto shape = ops::aligned_shape(graph.opset(""), node, first ? 0 : 1, constant.shape(), x.rank());
  if (!shape || !fits(*shape, *x.dims))
    return why.because(code::kAxisUnproven, "its operand \"{}\" of shape {} is not shown to be broadcast to {}", name,
                       to_string(constant.shape()), ir::to_string(x));
  operand.shape = std::move(*shape);
  return operand;
}

}  // namespace

std::optional<AffineNode> read_batch_norm(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  const ops::BatchNormView view = ops::BatchNormView::of(graph, node);
  if (view.statistics_are_read)
    return why.because(code::kTrainingMode, "outputs beside the first give its statistics away");
  if (view.training)
    return why.because(code::kTrainingMode,
                       "it is in training mode: it normalizes by the statistics of its own input; export the model in "
                       "inference mode, as after eval() in PyTorch");
  if (!view.infers(context.options.strict))
    return why.because(code::kTrainingMode, "it lists statistics among its outputs, which before opset 14 is training");

  if (graph.constant_of(view.x)) return why.because(code::kNoLinearNeighbour, "its input is constant");

  const std::array<std::pair<const char*, ir::ValueId>, 4> statistics{
      {{"scale", view.scale}, {"bias", view.bias}, {"mean", view.mean}, {"variance", view.variance}}};
  for (const auto& [what, value] : statistics) {
    const Tensor* tensor = graph.constant_of(value);
    if (!tensor) {
      why.freezing_helps = is_overridable(graph, value);
      return why.because(code::kNotConstant, "its {} \"{}\" {}", what, graph.name(value),
                         why_not_constant(graph, value));
    }
    if (!is_float(tensor->dtype()))
      return why.because(code::kDataType, "its {} is {}", what, to_string(tensor->dtype()));
  }
  const auto constant = [&](ir::ValueId value) -> const Tensor& { return *graph.constant_of(value); };
  for (const auto& [what, value] : statistics)
    if (constant(value).size() != constant(view.scale).size())
      return why.because(code::kSizeMismatch, "its {} has {} elements, its scale {}", what, constant(value).size(),
                         constant(view.scale).size());

  auto shape = shape_of_statistics(graph.type(view.x), view.spatial, constant(view.scale));
  if (!shape)
    return why.because(code::kAxisUnproven, "its statistics are not shown to run along the channels of \"{}\"",
                       graph.name(view.x));
  for (const double variance : to_doubles(constant(view.variance)))
    if (!(variance + view.epsilon > 0))
      return why.because(code::kNonFinite, "its variance {} plus epsilon {} is not above zero", variance, view.epsilon);

  auto numbers = view.affine(constant(view.scale), constant(view.bias), constant(view.mean), constant(view.variance));
  Affine affine(std::move(*shape), std::move(numbers.scale), std::move(numbers.shift));
  if (!affine.finite()) return why.because(code::kNonFinite, "its statistics hold or give a number that is not finite");
  return AffineNode{id, 0, view.x, node.outputs.at(0), view.bias, std::move(affine)};
}

std::optional<AffineNode> read_arithmetic(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  if (node.is("Neg")) {
    const ir::ValueId x = node.input(0);
    if (!x || !graph.type(x).has_rank() || !is_float(graph.type(x).dtype) || graph.constant_of(x))
      return why.because(code::kNoLinearNeighbour, "what it works on is not known");
    Shape ones(graph.type(x).dims->size(), 1);
    return AffineNode{id, 0, x, node.outputs.at(0), {}, Affine(std::move(ones), {-1.0}, {0.0})};
  }
  auto operand = constant_operand(graph, node, why);
  if (!operand) return std::nullopt;
  if (node.is("Div") && operand->constant_first)
    return why.because(code::kNoLinearNeighbour, "dividing a constant by its input is not linear");

  std::vector<double> numbers = to_doubles(*graph.constant_of(operand->constant));
  std::vector<double> scale(numbers.size(), 1.0), shift(numbers.size(), 0.0);
  if (node.is("Mul")) {
    scale = std::move(numbers);
  } else if (node.is("Div")) {
    std::ranges::transform(numbers, scale.begin(), [](double number) { return 1 / number; });
  } else {
    if (node.is("Sub") && operand->constant_first) scale.assign(numbers.size(), -1.0);
    if (node.is("Sub") && !operand->constant_first) std::ranges::transform(numbers, numbers.begin(), std::negate<>());
    shift = std::move(numbers);
  }
  Affine affine(std::move(operand->shape), std::move(scale), std::move(shift));
  if (!affine.finite())
    return why.because(code::kNonFinite, "its operand \"{}\" holds or gives a number that is not finite",
                       graph.name(operand->constant));
  return AffineNode{id,
                    operand->constant_first ? size_t{1} : size_t{0},
                    operand->x,
                    node.outputs.at(0),
                    operand->constant,
                    std::move(affine)};
}

std::optional<AffineNode> read_affine(const Context& context, ir::NodeId id, Refusal& why) {
  if (context.graph.node(id).is("BatchNormalization")) return read_batch_norm(context, id, why);
  return read_arithmetic(context, id, why);
}

}  // namespace pli::passes
