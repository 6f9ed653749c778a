#include "passes/absorb_following.h"

#include "passes/narrow_weight.h"
#include "runtime/core/dispatch.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/linear/convolution.h"
#include "runtime/ops/linear/matmul.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pli::passes {

namespace {

// --- arithmetic ----------------------------------------------------------------------------------

/// Rounds to T once. A number that is subnormal in the precision that CPUs compute in becomes zero: it would cost far
/// more time than it is worth. (A subnormal float16 is no such number: it is computed with as a normal float.)
template <class T>
class Rounder {
 public:
  T operator()(double value) {
    const T rounded = from_double<T>(value);
    note(to_double(rounded));
    return is_subnormal_ ? T{} : rounded;
  }
  bool finite() const { return finite_; }
  int64_t cleared() const { return cleared_; }

 private:
  void note(double rounded) {
    constexpr double kLeast = std::is_same_v<T, double> ? std::numeric_limits<double>::min()
                                                        : static_cast<double>(std::numeric_limits<float>::min());
    finite_ = finite_ && std::isfinite(rounded);
    is_subnormal_ = rounded != 0 && std::fabs(rounded) < kLeast;
    cleared_ += is_subnormal_;
  }

  bool finite_ = true;
  bool is_subnormal_ = false;
  int64_t cleared_ = 0;
};

/// A constant made by a fold; nothing when a number in it is not finite.
struct Folded {
  std::optional<Tensor> tensor;
  int64_t cleared = 0;
};

/// scale W. A scale of one number is for all channels.
Folded scaled(const Tensor& weight, const ChannelMap& map, const std::vector<double>& scale) {
  return with_float_type(weight.dtype(), [&]<class T>(T) {
    Tensor result(weight.dtype(), Shape(weight.shape().begin(), weight.shape().end()));
    Rounder<T> round;
    const T* from = weight.data<T>().data();
    T* to = result.mutable_data<T>().data();
    for (int64_t g = 0; g < map.groups; ++g)
      for (int64_t r = 0; r < map.rows; ++r)
        for (int64_t c = 0; c < map.columns; ++c) {
          const double factor = scale[scale.size() == 1 ? 0 : static_cast<size_t>(g * map.columns + c)];
          for (int64_t i = 0; i < map.inner; ++i) *to++ = round(to_double(*from++) * factor);
        }
    return round.finite() ? Folded{std::move(result), round.cleared()} : Folded{};
  });
}

/// scale (factor b) + shift over the last dimension of b, which becomes as long as scale and shift where it is 1.
Folded scaled_and_shifted(const Tensor& bias, double factor, const ops::ChannelAffine& affine) {
  const std::vector<double> old = to_doubles(bias);
  Shape shape(bias.shape().begin(), bias.shape().end());
  if (shape.empty()) shape.push_back(1);
  const int64_t own = shape.back();
  const int64_t rows = *checked_size(std::span(shape).first(shape.size() - 1));
  const auto count = static_cast<int64_t>(affine.scale.size());
  if (own == 1) shape.back() = count;
  return with_float_type(bias.dtype(), [&]<class T>(T) {
    Tensor result(bias.dtype(), shape);
    Rounder<T> round;
    T* to = result.mutable_data<T>().data();
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < shape.back(); ++c) {
        const auto channel = static_cast<size_t>(count == 1 ? 0 : c);
        const double value = old[static_cast<size_t>(row * own + (own == 1 ? 0 : c))];
        *to++ = round(affine.scale[channel] * (factor * value) + affine.shift[channel]);
      }
    return round.finite() ? Folded{std::move(result), round.cleared()} : Folded{};
  });
}

bool all(const std::vector<double>& values, double value) {
  return std::ranges::all_of(values, [&](double v) { return v == value; });
}

// --- constants -----------------------------------------------------------------------------------

struct NewConstants {
  std::optional<Tensor> weight;  // nothing: as it was
  std::optional<Tensor> bias;    // nothing: there is none
  int64_t growth = 0;            // bytes beside those that are replaced
  int64_t cleared = 0;
};

/// The old weight stays beside the new one: somebody else uses it, or it is the result of an Identity, which shares it.
bool weight_stays(const ir::Graph& graph, ir::ValueId weight) {
  if (const auto narrow = narrow_weight(graph, weight)) return narrow->shared;
  const ir::NodeId producer = graph.producer(weight);
  return !graph.has_single_use(weight) || (producer && !graph.node(producer).is("Constant"));
}

/// The weight in a narrower type; nothing where that would lose more than storing it in that type lost before: in some
/// channel the errors' root mean square is above the type's unit roundoff, as where numbers become subnormal.
std::optional<Tensor> narrowed(const Tensor& weight, const ChannelMap& map, DataType dtype) {
  const double roundoff = dtype == DataType::kBfloat16 ? 0x1p-8 : dtype == DataType::kFloat16 ? 0x1p-11 : 0x1p-24;
  const std::vector<double> exact = to_doubles(weight);
  Tensor narrow = from_doubles(dtype, Shape(weight.shape().begin(), weight.shape().end()), exact);
  const std::vector<double> rounded = to_doubles(narrow);
  std::vector<double> squares(static_cast<size_t>(map.channels()), 0.0);
  std::vector<double> errors = squares;
  size_t at = 0;
  for (int64_t g = 0; g < map.groups; ++g)
    for (int64_t r = 0; r < map.rows; ++r)
      for (int64_t c = 0; c < map.columns; ++c) {
        const auto channel = static_cast<size_t>(g * map.columns + c);
        for (int64_t i = 0; i < map.inner; ++i, ++at) {
          squares[channel] += exact[at] * exact[at];
          errors[channel] += (rounded[at] - exact[at]) * (rounded[at] - exact[at]);
        }
      }
  for (size_t channel = 0; channel < squares.size(); ++channel)
    if (!(errors[channel] <= roundoff * roundoff * squares[channel])) return std::nullopt;
  return narrow;
}

/// A constant in the type that it is folded in: a half as it is where it is going to be stored, else as float32.
Tensor operand(const Context& context, ir::ValueId constant) {
  const Tensor& tensor = *context.graph.constant_of(constant);
  if (context.purpose == Purpose::kWriting || bit_width(tensor.dtype()) != 16) return tensor;
  return from_doubles(DataType::kFloat32, Shape(tensor.shape().begin(), tensor.shape().end()), to_doubles(tensor));
}

std::optional<NewConstants> fold_numbers(const Context& context, const AffineNode& node, const LinearNode& linear,
                                         Refusal& why) {
  const ir::Graph& graph = context.graph;
  const Tensor weight = operand(context, linear.weight);
  const ops::ChannelAffine& affine = node.affine;
  const std::string name = ir::describe(graph, graph.node(linear.node));
  NewConstants made;
  if (!all(affine.scale, 1)) {
    made.growth = weight_stays(graph, linear.weight) ? static_cast<int64_t>(weight.bytes().size()) : 0;
    if (made.growth > context.budget.bytes)
      return why.because(code::kTooLarge, "a copy of the weight \"{}\" of {} would make the model too large",
                         graph.name(linear.weight), name);
    Folded folded = scaled(weight, linear.map, affine.scale);
    if (!folded.tensor)
      return why.because(code::kNonFinite, "the folded weight of {} would hold numbers that are not finite", name);
    made.weight = std::move(folded.tensor);
    made.cleared += folded.cleared;
  }
  if (!linear.bias && all(affine.shift, 0)) return made;

  Tensor bias(weight.dtype(), {linear.map.channels()});
  if (linear.bias) bias = operand(context, linear.bias);
  const bool grows =
      bias.size() > 0 && (bias.shape().empty() || bias.shape().back() == 1) && affine.scale.size() > bias.size();
  const auto elements = checked_mul(static_cast<int64_t>(bias.size()), static_cast<int64_t>(affine.scale.size()));
  const auto bytes = elements ? packed_bytes(bias.dtype(), *elements) : std::nullopt;
  if (grows && bias.size() > 1 && (!bytes || *bytes > context.options.limits.folded_bytes))
    return why.because(code::kTooLarge, "the folded bias of {} would have {} x {} elements", name, bias.size(),
                       affine.scale.size());
  Folded folded = scaled_and_shifted(bias, linear.bias_factor, affine);
  if (!folded.tensor)
    return why.because(code::kNonFinite, "the folded bias of {} would hold numbers that are not finite", name);
  made.bias = std::move(folded.tensor);
  made.cleared += folded.cleared;
  return made;
}

/// A new weight in the place of the old one, stored in the type in which that was stored where the rounding allows it.
ir::ValueId replace_weight(Context& context, const LinearNode& linear, Tensor weight) {
  ir::Graph& graph = context.graph;
  const auto old = narrow_weight(graph, linear.weight);
  if (!old) return context.names.replace(linear.weight, std::move(weight));
  const DataType narrow = graph.type(old->stored).dtype;
  const bool widens = context.options.widen_weights || context.purpose == Purpose::kRunning;
  auto rounded = widens ? std::nullopt : narrowed(weight, linear.map, narrow);
  if (!rounded) {
    const size_t stored = graph.constant_of(old->stored)->bytes().size();
    if (weight.bytes().size() > stored) context.widened_bytes += static_cast<int64_t>(weight.bytes().size() - stored);
    return context.names.replace(linear.weight, std::move(weight));
  }
  ++context.rounded_weights[narrow];
  Tensor widened =
      from_doubles(weight.dtype(), Shape(weight.shape().begin(), weight.shape().end()), to_doubles(*rounded));
  ir::NodeSpec spec = ir::spec_like(graph.node(old->cast));
  spec.inputs[0] = context.names.replace(old->stored, std::move(*rounded));
  spec.outputs = {{graph.unique_name(graph.name(linear.weight)), graph.type(linear.weight), {}}};
  const ir::ValueId made = graph.node(graph.add_node(std::move(spec), old->cast)).outputs[0];
  graph.set_constant(made, std::move(widened));
  context.names.take_over(made, linear.weight);
  return made;
}

/// The name of a bias from that of its weight, as frameworks pair them.
std::string bias_name(const std::string& weight) {
  constexpr std::string_view kEnding = "weight";
  if (weight.ends_with(kEnding)) return weight.substr(0, weight.size() - kEnding.size()) + "bias";
  return weight + "_bias";
}

// --- the graph -----------------------------------------------------------------------------------

ir::NodeSpec rebuilt(const ir::Graph& graph, const LinearNode& linear, ir::ValueId weight, ir::ValueId bias) {
  const ir::Node& node = graph.node(linear.node);
  if (node.is("Gemm")) return ops::GemmView::of(graph, node).with_weights(graph, node, weight, bias);
  if (!node.is("MatMul")) return ops::ConvView::of(graph, node).with_weights(node, weight, bias);
  ir::NodeSpec spec = ir::spec_like(node);
  spec.inputs = {node.inputs[0], weight};
  return spec;
}

/// The nodes that take the place of the linear node, its bias node, the Transposes and the affine node. Each stands
/// where its predecessor did; the last one's result is what the affine node's was.
void rewrite(ir::Graph& graph, const AffineNode& affine, const LinearMatch& match, ir::ValueId weight,
             ir::ValueId bias) {
  const LinearNode& linear = match.linear;
  const bool separate_bias = bias && graph.node(linear.node).is("MatMul");
  size_t left = 1 + static_cast<size_t>(separate_bias) + match.transposes.size();
  const auto add = [&](ir::NodeSpec spec, ir::ValueId predecessor, ir::NodeId place) {
    --left;
    const ir::ValueRecord& old = graph.value(left == 0 ? affine.y : predecessor);
    spec.outputs = {{graph.unique_name(old.name), old.type, left == 0 ? old.extra : std::string()}};
    return graph.node(graph.add_node(std::move(spec), place)).outputs[0];
  };

  ir::ValueId value = add(rebuilt(graph, linear, weight, bias), graph.node(linear.node).outputs[0], linear.node);
  if (separate_bias) {
    ir::NodeSpec spec = add_of(graph, value, bias);
    const ir::Node& like = graph.node(linear.bias_node ? linear.bias_node : affine.node);
    spec.name = like.name;
    spec.extra = like.extra;
    value = add(std::move(spec), linear.result, linear.node);
  }
  for (const ir::NodeId id : match.transposes) {
    ir::NodeSpec spec = ir::spec_like(graph.node(id));
    spec.inputs = {value};
    value = add(std::move(spec), graph.node(id).outputs[0], id);
  }

  const std::string name = graph.name(affine.y);
  graph.replace_all_uses(affine.y, value);
  graph.erase_node(affine.node);
  for (auto id = match.transposes.rbegin(); id != match.transposes.rend(); ++id) graph.erase_node(*id);
  if (linear.bias_node) graph.erase_node(linear.bias_node);
  graph.erase_node(linear.node);
  graph.rename(value, name);
}

}  // namespace

std::optional<std::string> absorb_following(Context& context, const AffineNode& affine, const LinearMatch& match,
                                            Refusal& why) {
  const LinearNode& linear = match.linear;
  auto made = fold_numbers(context, affine, linear, why);
  if (!made) return std::nullopt;
  const std::string node_name = context.graph.node(linear.node).name;
  const std::string into = node_name.empty() ? context.graph.name(affine.y) : node_name;

  context.subnormals_cleared += made->cleared;
  context.budget.bytes -= made->growth;
  const DataType dtype = context.graph.type(linear.weight).dtype;
  ir::ValueId weight = linear.weight;
  ir::ValueId bias;
  if (made->weight) weight = replace_weight(context, linear, std::move(*made->weight));
  if (made->bias)
    bias = linear.bias ? context.names.replace(linear.bias, std::move(*made->bias))
                       : context.names.add(bias_name(context.names.of(linear.weight)), std::move(*made->bias),
                                           affine.shift_origin);
  for (const ir::ValueId id : {weight, bias})
    if (id && context.graph.type(id).dtype != dtype)
      context.graph.set_type(id, ir::Type::tensor(dtype, context.graph.type(id).dims));
  rewrite(context.graph, affine, match, weight, bias);
  return into;
}

bool fold_affine(Context& context, ir::NodeId id,
                 std::optional<AffineNode> (*read)(const Context& context, ir::NodeId id, Refusal& why)) {
  context.log.consider(id);
  Refusal why;
  const auto affine = is_sound(context, id, why) ? read(context, id, why) : std::nullopt;
  const auto match = affine ? match_linear(context, *affine, why) : std::nullopt;
  if (match && context.log.kept_by_user(id))
    why.because(code::kDisabled, "the options say that it has to stay");
  else if (const auto into = match ? absorb_following(context, *affine, *match, why) : std::nullopt) {
    context.log.folded(id, *into, match->linear.how);
    return true;
  }
  context.log.refused(id, std::move(why));
  return false;
}

}  // namespace pli::passes
