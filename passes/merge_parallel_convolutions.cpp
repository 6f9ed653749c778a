#include "passes/affine/absorb.h"
#include "passes/affine/settle.h"
#include "passes/combined_weight.h"
#include "passes/narrow_weight.h"
#include "passes/pass.h"
#include "passes/replace_node.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/linear/convolution.h"

#include <algorithm>

namespace pli::passes {

namespace {

using ops::ConvView;
using ops::Window;

/// One summand: what it reads, and what it does to it.
struct Branch {
  ir::ValueId x;
  ir::NodeId node;                   // that goes; none: x itself
  std::optional<ConvView> conv;      // a convolution,
  std::optional<AffineNode> affine;  // or scale and shift by channel; neither: as it is
  double sign = 1;                   // of what it gives
};

std::optional<Branch> read_convolution(const Context& context, ir::NodeId id) {
  const ir::Graph& graph = context.graph;
  const ConvView view = ConvView::of(graph, graph.node(id));
  if (!may_be_combined(graph, view.weight, view.bias)) return std::nullopt;
  if (!view.window || view.window->auto_pad != Window::AutoPad::kNotSet) return std::nullopt;
  return Branch{view.x, id, view, {}};
}

/// The summand `value` of `sum`, where nobody else reads it.
Branch branch_of(const Context& context, ir::ValueId value, ir::NodeId sum) {
  const ir::Graph& graph = context.graph;
  const Branch as_it_is{value, {}, {}, {}};
  const ir::NodeId producer = context.only_maker(value);
  if (!producer || graph.uses(value).begin()->node != sum) return as_it_is;
  const ir::Node& node = graph.node(producer);
  if (node.is("Conv")) return read_convolution(context, producer).value_or(as_it_is);
  if (!node.is("BatchNormalization")) return as_it_is;
  Refusal ignored;
  auto affine = read_batch_norm(context, producer, ignored);
  if (!affine || !affine->affine.varies_along_at_most(1)) return as_it_is;
  return Branch{affine->x, producer, {}, std::move(affine)};
}

/// Where the taps of one window, or the one tap that reads the position of the result itself, lie among those of
/// another with the same results. Nothing when one of them is not there.
struct Embedding {
  Shape first;  // along each axis: the tap of the other window that the first one of this is
  Shape step;   // and how many of its taps lie between two of this

  static std::optional<Embedding> of(const Window& into, const Window* window) {
    Embedding result;
    for (size_t i = 0; i < into.rank(); ++i) {
      const int64_t kernel = window ? window->kernel[i] : 1, dilation = window ? window->dilations[i] : 1;
      const int64_t begin = window ? window->pads_begin[i] : 0, end = window ? window->pads_end[i] : 0;
      const int64_t stride = window ? window->strides[i] : 1;
      const int64_t reach = (kernel - 1) * dilation;
      const bool same_size = into.pads_begin[i] + into.pads_end[i] + 1 - into.extent(i) == begin + end - reach;
      if (stride != into.strides[i] || !same_size) return std::nullopt;
      const int64_t offset = into.pads_begin[i] - begin, last = offset + reach;
      if (offset < 0 || last >= into.extent(i) || offset % into.dilations[i] != 0) return std::nullopt;
      if (kernel > 1 && dilation % into.dilations[i] != 0) return std::nullopt;
      result.first.push_back(offset / into.dilations[i]);
      result.step.push_back(kernel > 1 ? dilation / into.dilations[i] : 1);
    }
    return result;
  }
};

/// The weight and bias of a convolution that does what both branches do.
std::optional<Combined> sum_of(const Context& context, const Branch& into, const Branch& other) {
  const ConvView& conv = *into.conv;
  const Window* window = other.conv ? &*other.conv->window : nullptr;
  const auto shape_of = [&](const ConvView& view) {
    const auto own = context.graph.constant_of(view.weight)->shape();
    return Shape(own.begin(), own.end());
  };
  if (other.conv && shape_of(*other.conv).size() != shape_of(conv).size()) return std::nullopt;
  const auto embedding = Embedding::of(*conv.window, window);
  if (!embedding) return std::nullopt;
  const Shape shape = shape_of(conv);
  const int64_t filters = shape[0], channels = shape[1] * conv.group;
  if (other.conv) {
    const Shape own = shape_of(*other.conv);
    if (other.conv->group != conv.group || own[0] != filters || own[1] != shape[1]) return std::nullopt;
  } else if (channels != filters) {
    return std::nullopt;
  }
  if (other.affine) {
    const Affine& affine = other.affine->affine;
    if (affine.rank() != shape.size() || (!affine.constant_along(1) && affine.shape()[1] != filters))
      return std::nullopt;
  }

  Combined sum{shape, context.scaled_weight(conv.weight).numbers(),
               std::vector<double>(static_cast<size_t>(filters), 0.0)};
  const auto add = [](std::vector<double>& to, const std::vector<double>& numbers, double sign) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += sign * numbers[numbers.size() == 1 ? 0 : i];
  };
  for (double& number : sum.weight) number *= into.sign;
  if (conv.bias) add(sum.bias, context.exact_numbers(conv.bias), into.sign);
  const auto at_tap = [&](std::span<const int64_t> position) {  // of the other weight, in this one
    Shape at(position.begin(), position.end());
    for (size_t i = 2; i < at.size(); ++i) at[i] = embedding->first[i - 2] + at[i] * embedding->step[i - 2];
    return static_cast<size_t>(broadcast_index(shape, at));
  };
  if (other.conv) {
    const auto own = context.graph.constant_of(other.conv->weight)->shape();
    const std::vector<double> numbers = context.scaled_weight(other.conv->weight).numbers();
    for_each_position(Shape(own.begin(), own.end()), [&](std::span<const int64_t> position, int64_t flat) {
      sum.weight[at_tap(position)] += other.sign * numbers[static_cast<size_t>(flat)];
    });
    if (other.conv->bias) add(sum.bias, context.exact_numbers(other.conv->bias), other.sign);
    return sum;
  }
  for (int64_t filter = 0; filter < filters; ++filter) {
    Shape position(shape.size(), 0);
    position[0] = filter;
    position[1] = filter % shape[1];  // there are as many filters as channels in a group
    const auto& scale = other.affine ? other.affine->affine.scale() : std::vector<double>{1.0};
    sum.weight[at_tap(position)] += other.sign * scale[scale.size() == 1 ? 0 : static_cast<size_t>(filter)];
  }
  if (other.affine) add(sum.bias, other.affine->affine.shift(), other.sign);
  return sum;
}

/// Puts one convolution in the place of the sum and its branches. Whether its numbers are finite.
bool replace(Context& context, ir::NodeId sum_node, const Branch& into, const Branch& other, const Combined& sum) {
  ir::Graph& graph = context.graph;
  const auto made = store(context, sum, {into.conv->weight, into.conv->bias}, weight_stays(graph, into.conv->weight));
  if (!made) return false;
  const ir::Node conv = graph.node(into.node);
  const std::string name = conv.name;
  if (other.affine)
    context.log.folded(other.node, name.empty() ? graph.name(graph.node(sum_node).outputs[0]) : name,
                       "conv_absorbs_parallel");
  const ir::NodeId one = replace_node(graph, sum_node, into.conv->with_weights(conv, made->weight, made->bias));
  release_originals(context, std::span(&one, 1));
  return true;
}

}  // namespace

/// Add(Conv(x), Conv(x)), Add(Conv(x), BatchNormalization(x)), Add(Conv(x), x), likewise Sub   =>   Conv(x)
///
/// as RepVGG, MobileOne, ACNet and FastViT train them: a smaller kernel is some taps of the larger one, and a scale by
/// channel is one tap of a channel by itself. Both give results of the same size at the same stride, and nobody else
/// reads them.
int64_t merge_parallel_convolutions(Context& context) {
  ir::Graph& graph = context.graph;
  int64_t changes = 0;
  for (const ir::NodeId id : graph.nodes()) {
    if (!graph.alive(id) || context.broken.contains(id)) continue;
    const ir::Node& node = graph.node(id);
    const bool subtracts = node.is("Sub");
    if (!(node.is("Add") || subtracts) || node.inputs.size() != 2 || node.inputs[0] == node.inputs[1] ||
        !node.inputs[0] || !node.inputs[1])
      continue;
    Branch first = branch_of(context, node.inputs[0], id), second = branch_of(context, node.inputs[1], id);
    if (subtracts) second.sign = -1;
    if (first.x != second.x) continue;
    for (const auto& [into, other] : {std::pair(first, second), std::pair(second, first)}) {
      const auto sum = into.conv ? sum_of(context, into, other) : std::nullopt;
      if (!sum || !replace(context, id, into, other, *sum)) continue;
      ++changes;
      break;
    }
  }
  return changes;
}

}  // namespace pli::passes
