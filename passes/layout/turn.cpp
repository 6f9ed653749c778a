#include "passes/layout/turn.h"

#include "passes/layout/site.h"
#include "runtime/ops/shape/reshape.h"

#include <array>

namespace pli::passes {

namespace {

Answer turn_elementwise(const Site& s) {
  const auto rank = static_cast<size_t>(s.rank(s.node.output(0)));
  const ops::Operator* op = ops::find_operator(s.graph, s.node);
  if (s.node.is("Dropout") && !ops::is_passing_dropout(s.graph, s.node)) return std::nullopt;
  if (s.p.size() != rank) return std::nullopt;
  Turn turn;
  for (size_t i = 0; i < s.node.inputs.size(); ++i) {
    turn.inputs.emplace_back();
    const ir::ValueId input = s.node.inputs[i];
    if (!input || op->reads_only_type(i)) continue;
    const ir::Dims* dims = s.dims(input);
    if (!dims || dims->size() > rank) return std::nullopt;
    if (s.opset() < ops::kNumpyBroadcasting && dims->size() != rank) return std::nullopt;
    auto own = permuted_operand(*dims, s.p, s.graph.constant_of(input) != nullptr);
    if (!own) return std::nullopt;
    turn.inputs.back() = std::move(*own);
  }
  for (const ir::ValueId output : s.node.outputs) turn.outputs.push_back(output ? s.p : Permutation());
  return turn;
}

// --- the table -------------------------------------------------------------------------------------------------------

struct Row {
  std::string_view op_type;
  Answer (*turn)(const Site& site);
};

constexpr std::array kRows = std::to_array<Row>({
    // Along one axis or several, which become others.
    {"Softmax", turn_softmax},
    {"LogSoftmax", turn_softmax},
    {"Hardmax", turn_softmax},
    {"LpNormalization", turn_lp_normalization},
    {"LayerNormalization", turn_layer_normalization},  // what is normalized stays last
    {"Concat", turn_concat},
    {"Split", turn_split},
    {"QuantizeLinear", turn_quantization},
    {"DequantizeLinear", turn_quantization},
    {"CumSum", turn_cum_sum},
    {"TopK", turn_top_k},
    {"ArgMax", turn_arg},
    {"ArgMin", turn_arg},
    {"ReduceSum", turn_reduction},
    {"ReduceMean", turn_reduction},
    {"ReduceMax", turn_reduction},
    {"ReduceMin", turn_reduction},
    {"ReduceProd", turn_reduction},
    {"ReduceL1", turn_reduction},
    {"ReduceL2", turn_reduction},
    {"ReduceLogSum", turn_reduction},
    {"ReduceLogSumExp", turn_reduction},
    {"ReduceSumSquare", turn_reduction},
    {"Gather", turn_gather},
    {"GatherElements", turn_gather_elements},
    {"ScatterElements", turn_gather_elements},
    {"Scatter", turn_gather_elements},
    // A number for each axis, which is reordered.
    {"Slice", turn_slice},
    {"Pad", turn_pad},
    {"Resize", turn_resize},
    {"Upsample", turn_resize},
    {"Tile", turn_tile},
    {"Expand", turn_expand},
    // Other axes on the other side.
    {"Squeeze", turn_squeeze},
    {"Unsqueeze", turn_unsqueeze},
    {"Reshape", turn_reshape},
    {"Flatten", turn_reshape},
    // Only the dimensions count.
    {"Shape", turn_shape},
    {"Size", turn_size},
});

// clang-format off
constexpr std::array<std::string_view, 70> kElementwise{
    "Identity", "Dropout", "Cast", "CastLike",
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Sum", "Mean", "Max", "Min",
    "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor", "Not", "Where",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift", "IsNaN", "IsInf",
    "Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Sqrt", "Reciprocal", "Exp", "Log", "Erf",
    "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
    "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Tanh", "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish",
    "Mish", "Softplus", "Softsign", "ThresholdedRelu", "Shrink"};
// clang-format on

}  // namespace

std::optional<Turn> turn(const ir::Graph& graph, const ir::Node& node, Port port, const Permutation& p) {
  if (!node.is_onnx() || !node.input(0) || !node.output(0) || ops::why_unsupported(graph, node)) return std::nullopt;
  if (graph.type(node.inputs[0]).rank() < 0 || graph.type(node.outputs[0]).rank() < 0) return std::nullopt;
  const Site site{graph, node, port, p};
  const bool elementwise = std::ranges::find(kElementwise, node.op_type) != kElementwise.end();
  const auto row = std::ranges::find(kRows, node.op_type, &Row::op_type);
  if (!elementwise && row == kRows.end()) return std::nullopt;
  auto turned = elementwise ? turn_elementwise(site) : row->turn(site);
  if (!turned) return std::nullopt;
  for (auto* permutations : {&turned->inputs, &turned->outputs})
    for (Permutation& each : *permutations)
      if (is_identity(each)) each.clear();
  return turned;
}

}  // namespace pli::passes
