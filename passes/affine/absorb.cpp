#include "passes/affine/absorb.h"

#include "passes/affine/absorbers.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace pli::passes {

std::string name_of(const Context& context, ir::NodeId id) {
  return ir::describe(context.graph, context.graph.node(id));
}

std::optional<Shape> constant_shape(const Context& context, ir::NodeId id, ir::ValueId value, std::string_view what,
                                    Refusal& why) {
  const ir::Graph& graph = context.graph;
  const Tensor* tensor = graph.constant_of(value);
  if (!tensor) {
    why.freezing_helps = is_overridable(graph, value);
    return why.because(code::kNotConstant, "the {} \"{}\" of {} {}", what, graph.name(value), name_of(context, id),
                       why_not_constant(graph, value));
  }
  if (!is_float(tensor->dtype()))
    return why.because(code::kDataType, "the {} of {} is {}", what, name_of(context, id), to_string(tensor->dtype()));
  return Shape(tensor->shape().begin(), tensor->shape().end());
}

Spread bias_of(const Context& context, ir::ValueId bias) {
  const Tensor& tensor = *context.graph.constant_of(bias);
  return {Shape(tensor.shape().begin(), tensor.shape().end()), context.exact_numbers(bias)};
}

namespace {

/// The affine depends on nothing but the position along `axis`, where there are `count`.
bool runs_along(const Context& context, ir::NodeId id, const Affine& affine, size_t axis, int64_t count,
                std::string_view of, Refusal& why) {
  const auto refuse = [&](std::string_view code, const std::string& reason) {
    why.because(code, "{}", reason);
    return false;
  };
  for (size_t i = 0; i < affine.rank(); ++i)
    if (i != axis && !affine.constant_along(i))
      return refuse(code::kAxisUnproven, fmt::format("it works along axis {} of {} {}, whose channels are axis {}", i,
                                                     of, name_of(context, id), axis));
  if (affine.constant_along(axis) || affine.shape()[axis] == count) return true;
  return refuse(code::kSizeMismatch,
                fmt::format("it has {} channels, {} {} {}", affine.shape()[axis], name_of(context, id),
                            of.starts_with("the result") ? "gives" : "takes", count));
}

/// The numbers of an affine for each of `count` channels.
std::vector<double> by_channel(const std::vector<double>& numbers, int64_t count) {
  if (numbers.size() == 1) return std::vector<double>(static_cast<size_t>(count), numbers[0]);
  return numbers;
}

/// A factor of a weight of this rank that varies along one axis only.
Spread along(size_t rank, size_t axis, const std::vector<double>& numbers) {
  Shape shape(rank, 1);
  shape[axis] = static_cast<int64_t>(numbers.size());
  return {std::move(shape), numbers};
}

/// scale (factor b) + shift along the last dimension of b, which becomes as long as they are where it is 1.
std::optional<Spread> scaled_and_shifted(const Spread& b, double factor, const std::vector<double>& scale,
                                         const std::vector<double>& shift) {
  Spread result{b.shape, {}};
  if (result.shape.empty()) result.shape.push_back(1);
  const int64_t own = result.shape.back();
  const auto count = static_cast<int64_t>(std::max(scale.size(), shift.size()));
  if (own == 1) result.shape.back() = count;
  const auto size = checked_size(result.shape);
  if (!size) return std::nullopt;
  result.numbers.reserve(static_cast<size_t>(*size));
  const int64_t width = result.shape.back();
  for (int64_t at = 0; at < *size; ++at) {
    const int64_t c = at % width;
    const double old = b.numbers[static_cast<size_t>(at / width * own + (own == 1 ? 0 : c))];
    result.numbers.push_back(scale[scale.size() == 1 ? 0 : static_cast<size_t>(c)] * (factor * old) +
                             shift[shift.size() == 1 ? 0 : static_cast<size_t>(c)]);
  }
  return result;
}

bool is_zero(const std::vector<double>& numbers) {
  return std::ranges::all_of(numbers, [](double number) { return number == 0; });
}

/// A bias along the channels: scale b + shift, where b may be none.
void set_bias(const Context& context, Absorption& absorption, const std::vector<double>& scale,
              const std::vector<double>& shift, int64_t channels) {
  if (absorption.bias)
    absorption.new_bias = scaled_and_shifted(bias_of(context, absorption.bias), 1, scale, shift);
  else if (!is_zero(shift))
    absorption.new_bias = Spread{{channels}, by_channel(shift, channels)};
}

// --- Conv [filters, channels / group, kernel...], ConvTranspose [channels, filters / group, kernel...] ---------------

struct ConvOperands {
  ops::ConvView view;
  Shape weight;
  int64_t channels = 0, filters = 0;
};

std::optional<ConvOperands> read_convolution(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::Node& node = context.graph.node(id);
  ConvOperands conv{ops::ConvView::of(context.graph, node), {}};
  auto shape = constant_shape(context, id, conv.view.weight, "weight", why);
  if (!shape || (conv.view.bias && !constant_shape(context, id, conv.view.bias, "bias", why))) return std::nullopt;
  conv.weight = std::move(*shape);
  const int64_t first = conv.weight[0], second = conv.weight[1] * conv.view.group;
  conv.channels = conv.view.transposed ? first : second;
  conv.filters = conv.view.transposed ? second : first;
  return conv;
}

/// For element (i, j, ...) of the weight, one of the numbers along the axis that is divided into groups: a Conv's input
/// channels, a ConvTranspose's filters.
struct Grouped {
  int64_t rows_per_group, columns;
  int64_t operator()(int64_t i, int64_t j) const { return i / rows_per_group * columns + j; }
};

Grouped grouped(const ConvOperands& conv) {
  return {std::max<int64_t>(1, conv.weight[0] / conv.view.group), conv.weight[1]};
}

Spread grouped_factor(const ConvOperands& conv, const std::vector<double>& numbers) {
  if (conv.view.group == 1 || numbers.size() == 1) return along(conv.weight.size(), 1, numbers);
  Shape shape(conv.weight.size(), 1);
  shape[0] = conv.weight[0];
  shape[1] = conv.weight[1];
  Spread factor{shape, {}};
  const Grouped number = grouped(conv);
  for (int64_t i = 0; i < shape[0]; ++i)
    for (int64_t j = 0; j < shape[1]; ++j) factor.numbers.push_back(numbers[static_cast<size_t>(number(i, j))]);
  return factor;
}

std::optional<Absorption> convolution_behind(const Context& context, ir::NodeId id, const Affine& affine,
                                             Refusal& why) {
  const auto conv = read_convolution(context, id, why);
  if (!conv || !runs_along(context, id, affine, 1, conv->filters, "the result of", why)) return std::nullopt;
  Absorption absorption{.node = id, .weight = conv->view.weight, .bias = conv->view.bias};
  if (affine.scales())
    absorption.factor =
        conv->view.transposed ? grouped_factor(*conv, affine.scale()) : along(conv->weight.size(), 0, affine.scale());
  set_bias(context, absorption, affine.scale(), affine.shift(), conv->filters);
  return absorption;
}

/// Each position of the result sees the whole kernel, whatever the sizes: a shift of the operand is one of the result.
bool sees_whole_kernel(const ops::ConvView& view) {
  if (!view.window) return false;
  const ops::Window& window = *view.window;
  const auto all_are = [](std::span<const int64_t> values, int64_t value) {
    return std::ranges::all_of(values, [&](int64_t v) { return v == value; });
  };
  if (view.transposed && (!all_are(window.kernel, 1) || !all_are(window.strides, 1) ||
                          !all_are(view.output_padding, 0) || !view.output_shape.empty()))
    return false;
  if (window.auto_pad == ops::Window::AutoPad::kValid) return true;
  if (window.auto_pad != ops::Window::AutoPad::kNotSet) return all_are(window.kernel, 1);
  return all_are(window.pads_begin, 0) && all_are(window.pads_end, 0);
}

std::optional<Absorption> convolution_front(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                            Refusal& why) {
  if (input != 0) return why.because(code::kNotConstant, "{} has it as a weight", name_of(context, id));
  const auto conv = read_convolution(context, id, why);
  if (!conv || !runs_along(context, id, affine, 1, conv->channels, "the operand of", why)) return std::nullopt;
  if (affine.shifts() && !sees_whole_kernel(conv->view))
    return why.because(code::kPadding, "{} {}", name_of(context, id),
                       conv->view.transposed
                           ? "gives some results from fewer taps than others, so that a shift in front of it is no bias"
                           : "pads with zeros, which a shift in front of it would not reach");
  Absorption absorption{.node = id, .weight = conv->view.weight, .bias = conv->view.bias};
  if (affine.scales())
    absorption.factor =
        conv->view.transposed ? along(conv->weight.size(), 0, affine.scale()) : grouped_factor(*conv, affine.scale());
  if (!affine.shifts()) return absorption;
  const auto by_row = [](int64_t i, int64_t) { return i; };
  ScaledWeight::Contraction contraction{0, conv->filters, by_row, grouped(*conv)};
  if (!conv->view.transposed) std::swap(contraction.number, contraction.result);
  const std::vector<double> shift =
      context.scaled_weight(absorption.weight).contracted(by_channel(affine.shift(), conv->channels), contraction);
  set_bias(context, absorption, {1.0}, shift, conv->filters);
  return absorption;
}

ir::NodeSpec rebuilt_convolution(const ir::Graph& graph, const ir::Node& node, ir::ValueId weight, ir::ValueId bias) {
  return ops::ConvView::of(graph, node).with_weights(node, weight, bias);
}

// --- Gemm: alpha A' B' + beta C, B being [K, N] or its transpose -----------------------------------------------------

struct GemmOperands {
  ops::GemmView view;
  int64_t k = 0, n = 0;
  ir::ValueId bias;  // C, where it counts: beta 0 means that it is not looked at
};

std::optional<GemmOperands> read_gemm(const Context& context, ir::NodeId id, Refusal& why) {
  GemmOperands gemm{ops::GemmView::of(context.graph, context.graph.node(id))};
  const auto shape = constant_shape(context, id, gemm.view.b, "B", why);
  if (!shape) return std::nullopt;
  if (gemm.view.c && gemm.view.beta != 0) gemm.bias = gemm.view.c;
  if (gemm.bias && !constant_shape(context, id, gemm.bias, "C", why)) return std::nullopt;
  gemm.k = (*shape)[gemm.view.trans_b ? 1 : 0];
  gemm.n = (*shape)[gemm.view.trans_b ? 0 : 1];
  return gemm;
}

/// scale (beta C) + shift. A refusal where C has a column only and would become a matrix that is too large.
bool set_c(const Context& context, const GemmOperands& gemm, Absorption& absorption, const std::vector<double>& scale,
           const std::vector<double>& shift, Refusal& why) {
  if (!gemm.bias) {
    set_bias(context, absorption, scale, shift, gemm.n);
    return true;
  }
  const Spread old = bias_of(context, gemm.bias);
  const auto count = static_cast<int64_t>(std::max(scale.size(), shift.size()));
  const bool grows = count > 1 && old.numbers.size() > 1 && old.shape.back() == 1;
  const auto elements = checked_mul(static_cast<int64_t>(old.numbers.size()), count);
  const auto bytes = elements ? packed_bytes(DataType::kFloat64, *elements) : std::nullopt;
  if (grows && (!bytes || *bytes > context.options.limits.folded_bytes)) {
    why.because(code::kTooLarge, "the folded bias of {} would have {} x {} elements", name_of(context, absorption.node),
                old.numbers.size(), count);
    return false;
  }
  absorption.new_bias = scaled_and_shifted(old, static_cast<double>(gemm.view.beta), scale, shift);
  return true;
}

std::optional<Absorption> gemm_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  const auto gemm = read_gemm(context, id, why);
  if (!gemm || !runs_along(context, id, affine, 1, gemm->n, "the result of", why)) return std::nullopt;
  Absorption absorption{.node = id, .weight = gemm->view.b, .bias = gemm->bias};
  if (affine.scales()) absorption.factor = along(2, gemm->view.trans_b ? 0 : 1, affine.scale());
  if (!set_c(context, *gemm, absorption, affine.scale(), affine.shift(), why)) return std::nullopt;
  return absorption;
}

std::optional<Absorption> gemm_front(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                     Refusal& why) {
  if (input != 0) return why.because(code::kNotConstant, "{} has it as a weight", name_of(context, id));
  const auto gemm = read_gemm(context, id, why);
  if (!gemm || !runs_along(context, id, affine, gemm->view.trans_a ? 0 : 1, gemm->k, "the operand of", why))
    return std::nullopt;
  Absorption absorption{.node = id, .weight = gemm->view.b, .bias = gemm->bias};
  if (affine.scales()) absorption.factor = along(2, gemm->view.trans_b ? 1 : 0, affine.scale());
  std::vector<double> shift{0.0};
  if (affine.shifts()) {
    const auto first = [](int64_t i, int64_t) { return i; };
    const auto second = [](int64_t, int64_t j) { return j; };
    ScaledWeight::Contraction contraction{0, gemm->n, first, second};
    if (gemm->view.trans_b) std::swap(contraction.number, contraction.result);
    shift = context.scaled_weight(absorption.weight).contracted(by_channel(affine.shift(), gemm->k), contraction);
    for (double& number : shift) number *= static_cast<double>(gemm->view.alpha);
  }
  if (!set_c(context, *gemm, absorption, {1.0}, shift, why)) return std::nullopt;
  return absorption;
}

ir::NodeSpec rebuilt_gemm(const ir::Graph& graph, const ir::Node& node, ir::ValueId weight, ir::ValueId bias) {
  return ops::GemmView::of(graph, node).with_weights(graph, node, weight, bias);
}

// --- MatMul with a constant [..., K, N] on the right or [..., M, K] on the left --------------------------------------

struct MatMulOperands {
  ir::ValueId weight;
  Shape shape;
  bool on_the_right = true;
  size_t rank = 0;          // of the result
  size_t operand_rank = 0;  // of what is not constant

  /// The weight's axis, the same counted from the end in the result, or in the operand.
  size_t result_axis() const { return on_the_right ? shape.size() - 1 : shape.size() - 2; }
  size_t inner_axis() const { return on_the_right ? shape.size() - 2 : shape.size() - 1; }
};

std::optional<MatMulOperands> read_matmul(const Context& context, ir::NodeId id, Refusal& why) {
  const ir::Graph& graph = context.graph;
  const ir::Node& node = graph.node(id);
  Refusal right;
  MatMulOperands matmul;
  auto shape = constant_shape(context, id, node.input(1), "second operand", right);
  if (!shape) {
    Refusal left;
    shape = constant_shape(context, id, node.input(0), "first operand", left);
    matmul.on_the_right = false;
  }
  if (!shape) {
    why = std::move(right);
    return std::nullopt;
  }
  matmul.weight = node.inputs[matmul.on_the_right ? 1 : 0];
  const ir::Type& result = graph.type(node.outputs.at(0));
  const ir::Type& operand = graph.type(node.inputs[matmul.on_the_right ? 0 : 1]);
  if (shape->size() < 2 || !result.has_rank() || !operand.has_rank() || operand.rank() < 2)
    return why.because(code::kAxisUnproven, "the result of {} has no axis that is known to be that of its weight",
                       name_of(context, id));
  matmul.rank = result.dims->size();
  matmul.operand_rank = operand.dims->size();
  matmul.shape = std::move(*shape);
  return matmul;
}

std::optional<Absorption> matmul_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  const auto matmul = read_matmul(context, id, why);
  if (!matmul) return std::nullopt;
  const size_t axis = matmul->rank - (matmul->on_the_right ? 1 : 2);
  if (!runs_along(context, id, affine.scale_alone(), axis, matmul->shape[matmul->result_axis()], "the result of", why))
    return std::nullopt;
  Absorption absorption{.node = id, .weight = matmul->weight};
  const Affine scale = affine.scale_alone();
  if (affine.scales()) absorption.factor = along(matmul->shape.size(), matmul->result_axis(), scale.scale());
  if (affine.shifts()) absorption.rest = affine.shift_alone();
  return absorption;
}

std::optional<Absorption> matmul_front(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                       Refusal& why) {
  const auto matmul = read_matmul(context, id, why);
  if (!matmul) return std::nullopt;
  const int64_t inner = matmul->shape[matmul->inner_axis()];
  const size_t axis = matmul->operand_rank - (matmul->on_the_right ? 1 : 2);
  if (context.graph.node(id).inputs[input] == matmul->weight)
    return why.because(code::kNotConstant, "{} has it as a weight", name_of(context, id));
  if (!runs_along(context, id, affine, axis, inner, "the operand of", why)) return std::nullopt;
  Absorption absorption{.node = id, .weight = matmul->weight};
  if (affine.scales()) absorption.factor = along(matmul->shape.size(), matmul->inner_axis(), affine.scale());
  if (!affine.shifts()) return absorption;
  const size_t leading = matmul->shape.size() - 2;
  if (checked_size(std::span(matmul->shape).first(leading)) != 1)
    return why.because(code::kAxisUnproven, "the weight of {} differs along the batch", name_of(context, id));
  const auto first = [](int64_t i, int64_t) { return i; };
  const auto second = [](int64_t, int64_t j) { return j; };
  const int64_t results = matmul->shape[matmul->result_axis()];
  ScaledWeight::Contraction contraction{leading, results, first, second};
  if (!matmul->on_the_right) std::swap(contraction.number, contraction.result);
  Spread shift =
      along(matmul->rank, matmul->rank - (matmul->on_the_right ? 1 : 2),
            context.scaled_weight(absorption.weight).contracted(by_channel(affine.shift(), inner), contraction));
  std::vector<double> ones(shift.numbers.size(), 1.0);
  absorption.rest = Affine(std::move(shift.shape), std::move(ones), std::move(shift.numbers));
  return absorption;
}

ir::NodeSpec rebuilt_matmul(const ir::Graph& graph, const ir::Node& node, ir::ValueId weight, ir::ValueId) {
  ir::NodeSpec spec = ir::spec_like(node);
  const size_t index = graph.constant_of(node.inputs[1]) ? 1 : 0;
  spec.inputs[index] = weight;
  return spec;
}

// --- the table -------------------------------------------------------------------------------------------------------

/// Who takes up an affine. One condition holds for all: the weight, and the bias if there is one, are constant.
constexpr std::array kAbsorbers = std::to_array<Absorber>({
    // In front a shift passes where no zeros are padded.
    {"Conv", "conv", convolution_behind, convolution_front, rebuilt_convolution},
    // In front a shift passes where every position of the result has one tap.
    {"ConvTranspose", "conv_transpose", convolution_behind, convolution_front, rebuilt_convolution},
    {"Gemm", "gemm", gemm_behind, gemm_front, rebuilt_gemm},
    // The shift remains: there is no bias.
    {"MatMul", "matmul", matmul_behind, matmul_front, rebuilt_matmul},
    {"InstanceNormalization", "instance_normalization", instance_behind, nullptr, rebuilt_normalization},
    {"GroupNormalization", "group_normalization", group_behind, nullptr, rebuilt_normalization},
    {"LayerNormalization", "layer_normalization", layer_behind, nullptr, rebuilt_normalization},
    {"RMSNormalization", "rms_normalization", rms_behind, nullptr, rebuilt_normalization},
});

/// Its constants may be changed: nothing beside the graph's nodes refers to them.
bool may_change(const Context& context, const Absorption& absorption, Refusal& why) {
  const ir::Graph& graph = context.graph;
  for (const ir::ValueId value :
       {absorption.factor ? absorption.weight : ir::ValueId{}, absorption.new_bias ? absorption.bias : ir::ValueId{}})
    if (value && graph.is_pinned(value)) {
      why.because(code::kPinned, "a quantization annotation or a training graph refers to \"{}\"", graph.name(value));
      return false;
    }
  return true;
}

}  // namespace

std::span<const Absorber> absorbers() { return kAbsorbers; }

const Absorber* absorber_of(const ir::Node& node) {
  const auto found = std::ranges::find_if(kAbsorbers, [&](const Absorber& row) { return node.is(row.op_type); });
  return found == kAbsorbers.end() ? nullptr : &*found;
}

std::optional<Absorption> absorb_behind(const Context& context, ir::NodeId id, const Affine& affine, Refusal& why) {
  const Absorber& absorber = *absorber_of(context.graph.node(id));
  auto absorption = absorber.behind(context, id, affine, why);
  if (!absorption || !may_change(context, *absorption, why)) return std::nullopt;
  absorption->how = std::string(absorber.name) + "_absorbs_following";
  return absorption;
}

std::optional<Absorption> absorb_in_front(const Context& context, ir::NodeId id, size_t input, const Affine& affine,
                                          Refusal& why) {
  const Absorber& absorber = *absorber_of(context.graph.node(id));
  if (!absorber.front)
    return why.because(code::kNonlinearBetween, "{} does not keep what is scaled", name_of(context, id));
  auto absorption = absorber.front(context, id, input, affine, why);
  if (!absorption || !may_change(context, *absorption, why)) return std::nullopt;
  absorption->how = std::string(absorber.name) + "_absorbs_preceding";
  return absorption;
}

}  // namespace pli::passes
