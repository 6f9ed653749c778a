#include "passes/layout/site.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/activation/softmax.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/quantization/quantization.h"
#include "runtime/ops/reduction/reduction.h"

namespace pli::passes {

namespace {

/// Along one axis, which an attribute names.
Answer along_axis(const Site& s, size_t data, int64_t axis) {
  auto turn = alike(s, data);
  if (turn) turn->attributes.push_back(with("axis", place_of(axis, s.p)));
  return turn;
}

}  // namespace

/// Before opset 13 over all axes from one on: they have to be the last ones still. Of equal elements Hardmax takes the
/// first.
Answer turn_softmax(const Site& s) {
  const Shape axes = ops::SoftmaxView::of(s.graph, s.node, s.rank()).axes;
  auto turn = alike(s, 1);
  if (!turn || axes.empty()) return std::nullopt;
  const std::vector<int64_t> places = places_of(axes, s.p);
  if (s.opset() < 13 && places.front() != s.rank() - static_cast<int64_t>(places.size())) return std::nullopt;
  const std::vector<int64_t> order = permuted(s.p, places);
  if (axes.size() > 1 && s.node.is("Hardmax") && !is_identity(order)) return std::nullopt;
  turn->attributes.push_back(with("axis", places.front()));
  return turn;
}

Answer turn_lp_normalization(const Site& s) { return along_axis(s, 1, s.axis(-1)); }

Answer turn_concat(const Site& s) {
  return along_axis(s, s.node.inputs.size(), ops::concat_axis(s.graph, s.node, s.rank()));
}

Answer turn_split(const Site& s) { return along_axis(s, 1, s.axis(0)); }

Answer turn_top_k(const Site& s) { return along_axis(s, 1, s.axis(-1)); }

Answer turn_gather_elements(const Site& s) { return along_axis(s, s.node.inputs.size(), s.axis(0)); }

/// The scale is a number, a list along an axis, or, by blocks along it, of as many dimensions as what it scales.
Answer turn_quantization(const Site& s) {
  const auto view = ops::QuantizationView::of(s.graph, s.node);
  const ir::Dims* scale = s.dims(view.scale);
  if (!scale) return std::nullopt;
  const bool is_number = scale->empty() || *scale == ir::Dims{1};
  if (view.block_size == 0 && is_number) return alike(s, 1);
  const bool has_axis = view.axis >= -s.rank() && view.axis < s.rank();
  if (s.opset() < ops::kQuantizedByAxis || !has_axis) return std::nullopt;
  return along_axis(s, view.block_size == 0 ? 1 : s.node.inputs.size(), s.axis(1));
}

Answer turn_cum_sum(const Site& s) {
  const auto axis = ops::constant_int(s.graph, s.node, 1);
  auto turn = alike(s, 1);
  if (!axis || !turn) return std::nullopt;
  const int64_t place = place_of(ops::normalize_axis(*axis, s.rank()), s.p);
  const auto shape = s.graph.constant_of(s.node.inputs[1])->shape();
  turn->operands.emplace_back(1, list_like(s, 1, {place}).reshaped(Shape(shape.begin(), shape.end())));
  return turn;
}

Answer turn_reduction(const Site& s) {
  const auto view = ops::ReduceView::of(s.graph, s.node, s.rank());
  if (!view.axes) return std::nullopt;
  const auto sides = both_sides(s, removing(view.keepdims ? Shape() : *view.axes, s.rank()));
  if (!sides) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  if (!view.axes->empty()) set_axes(s, turn, places_of(*view.axes, sides->in));
  return turn;
}

Answer turn_arg(const Site& s) {
  const int64_t axis = s.axis(0);
  const bool keeps = s.node.int_or("keepdims", 1) != 0;
  const auto sides = both_sides(s, removing(keeps ? Shape() : Shape{axis}, s.rank()));
  if (!sides) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  turn.attributes.push_back(with("axis", place_of(axis, sides->in)));
  return turn;
}

/// An index of no dimensions takes the axis away, one of several puts as many in its place.
Answer turn_gather(const Site& s) {
  const int64_t axis = s.axis(0), index_rank = s.rank(s.node.input(1));
  if (index_rank < 0) return std::nullopt;
  AxisGroups groups;
  int64_t out = 0;
  for (int64_t i = 0; i < s.rank(); ++i) {
    groups.push_back({{i}, {}});
    for (int64_t k = 0; k < (i == axis ? index_rank : 1); ++k) groups.back().out.push_back(out++);
  }
  const auto sides = both_sides(s, groups);
  if (!sides) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  turn.attributes.push_back(with("axis", place_of(axis, sides->in)));
  return turn;
}

/// What is normalized stays last and in order, as scale and bias are.
Answer turn_layer_normalization(const Site& s) {
  int64_t first = s.axis(-1);
  for (size_t i = 1; i < s.node.inputs.size(); ++i) {
    if (!s.node.inputs[i]) continue;
    if (s.rank(s.node.inputs[i]) < 0) return std::nullopt;
    first = std::min(first, s.rank() - s.rank(s.node.inputs[i]));
  }
  for (int64_t i = first; i < s.rank(); ++i)
    if (s.p.size() != static_cast<size_t>(s.rank()) || s.p[static_cast<size_t>(i)] != i) return std::nullopt;
  return alike(s, 1);
}

}  // namespace pli::passes
