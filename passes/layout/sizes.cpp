#include "passes/layout/site.h"
#include "passes/reshape_target.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/movement/pad.h"
#include "runtime/ops/movement/resize.h"

#include <numeric>

namespace pli::passes {

namespace {

/// The elements of a constant list in another order.
std::optional<Tensor> permuted_list(const Tensor* list, const std::vector<int64_t>& order) {
  if (!list || list->size() != order.size() || list->shape().size() != 1) return std::nullopt;
  if (is_float(list->dtype()))
    return from_doubles(list->dtype(), Shape{static_cast<int64_t>(order.size())}, permuted(to_doubles(*list), order));
  return list->dtype() == DataType::kInt64 ? std::optional(int64_tensor(permuted(to_int64s(*list), order)))
                                           : std::nullopt;
}

/// Other runtimes interpolate along the last axes only.
bool resizes_last_axes(const Site& s) {
  const ir::Dims *in = s.dims(s.node.input(0)), *out = s.dims(s.node.output(0));
  if (!in || !out || in->size() < 3) return false;
  return (*in)[static_cast<size_t>(s.p[0])] == (*out)[static_cast<size_t>(s.p[0])] &&
         (*in)[static_cast<size_t>(s.p[1])] == (*out)[static_cast<size_t>(s.p[1])];
}

}  // namespace

/// Axes and steps of a Slice may be omitted; axes are then the first ones.
Answer turn_slice(const Site& s) {
  auto turn = alike(s, 1);
  if (!turn) return std::nullopt;
  const bool as_input = s.opset() >= 10;
  std::vector<int64_t> axes;
  if (as_input ? static_cast<bool>(s.node.input(3)) : s.node.attribute("axes") != nullptr) {
    const auto given = as_input ? ops::constant_ints(s.graph, s.node, 3) : s.node.ints_or("axes", {});
    if (!given) return std::nullopt;
    axes = ops::normalize_axes(*given, s.rank());
  } else if (!as_input) {
    axes.resize(s.node.ints_or("starts", {}).size());
    std::iota(axes.begin(), axes.end(), int64_t{0});
  } else {
    const ir::Dims* starts = s.dims(s.node.input(1));
    if (!starts || starts->size() != 1 || !(*starts)[0].known() || (*starts)[0].value() > s.rank()) return std::nullopt;
    axes.resize(static_cast<size_t>((*starts)[0].value()));
    std::iota(axes.begin(), axes.end(), int64_t{0});
  }
  for (int64_t& axis : axes) axis = place_of(axis, s.p);  // in the order of starts and ends
  if (as_input)
    turn->operands.emplace_back(3, list_like(s, 1, axes));
  else
    turn->attributes.push_back(with("axes", std::move(axes)));
  return turn;
}

Answer turn_pad(const Site& s) {
  auto turn = alike(s, 1);
  const auto view = turn ? ops::PadView::of(s.graph, s.node, s.rank()) : std::nullopt;
  if (!view) return std::nullopt;
  Shape pads = permuted(view->begin, s.p);
  const Shape end = permuted(view->end, s.p);
  pads.insert(pads.end(), end.begin(), end.end());
  if (s.opset() < 11) {
    turn->attributes.push_back(with(s.opset() < 2 ? "paddings" : "pads", std::move(pads)));
    return turn;
  }
  turn->operands.emplace_back(1, int64_tensor(pads));
  if (s.node.input(3)) turn->operands.emplace_back(3, std::nullopt);
  return turn;
}

Answer turn_resize(const Site& s) {
  auto turn = alike(s, 1);
  if (!turn || (s.node.is("Upsample") && s.opset() < 7)) return std::nullopt;
  if (ops::ResizeView::of(s.graph, s.node).mode != ops::ResizeView::Mode::kNearest && !resizes_last_axes(s))
    return std::nullopt;
  if (s.node.attribute("axes")) {
    std::vector<int64_t> axes = ops::normalize_axes(s.node.ints_or("axes", {}), s.rank());
    for (int64_t& axis : axes) axis = place_of(axis, s.p);  // in the order of scales and sizes
    turn->attributes.push_back(with("axes", std::move(axes)));
    return turn;
  }
  if (s.node.attribute("scales"))
    turn->attributes.push_back(with("scales", permuted(s.node.floats_or("scales", {}), s.p)));
  std::vector<int64_t> region = s.p;  // starts, then ends
  for (const int64_t axis : s.p) region.push_back(axis + s.rank());
  for (size_t i = 1; i < s.node.inputs.size(); ++i) {
    const ir::Dims* dims = s.dims(s.node.inputs[i]);
    const Tensor* list = s.graph.constant_of(s.node.inputs[i]);
    if (!s.node.inputs[i] || (list && list->size() == 0)) continue;
    const bool is_region = s.opset() >= 11 && i == 1;
    auto moved = dims ? permuted_list(list, is_region ? region : s.p) : std::nullopt;
    if (!moved) return std::nullopt;
    turn->operands.emplace_back(i, std::move(moved));
  }
  return turn;
}

Answer turn_tile(const Site& s) {
  auto turn = alike(s, 1);
  auto repeats = turn ? permuted_list(s.graph.constant_of(s.node.input(1)), s.p) : std::nullopt;
  if (!repeats) return std::nullopt;
  turn->operands.emplace_back(1, std::move(repeats));
  return turn;
}

/// The result has the dimensions of the larger of both, aligned at the end.
Answer turn_expand(const Site& s) {
  const ir::Dims* dims = s.dims(s.node.input(0));
  const auto shape = ops::constant_ints(s.graph, s.node, 1);
  const auto rank = static_cast<size_t>(s.rank(s.node.output(0)));
  if (!dims || !shape || s.p.size() != rank || shape->size() > rank || !s.at_data()) return std::nullopt;
  auto own = permuted_operand(*dims, s.p, s.graph.constant_of(s.node.inputs[0]) != nullptr);
  if (!own) return std::nullopt;
  std::vector<int64_t> whole(rank - shape->size(), 1);
  whole.insert(whole.end(), shape->begin(), shape->end());
  Turn turn{{std::move(*own), {}}, {s.p}};
  turn.operands.emplace_back(1, int64_tensor(permuted(whole, s.p)));
  return turn;
}

// --- of other dimensions ---------------------------------------------------------------------------------------------

Answer turn_squeeze(const Site& s) {
  const ir::Dims* dims = s.dims(s.node.input(0));
  const bool given = s.node.input(1) || s.node.attribute("axes");
  Shape axes;
  if (given) {
    const auto listed = s.node.input(1) ? ops::constant_ints(s.graph, s.node, 1) : s.node.ints_or("axes", {});
    if (!listed) return std::nullopt;
    axes = ops::normalize_axes(*listed, s.rank());
    std::ranges::sort(axes);
  } else {
    for (size_t i = 0; i < dims->size(); ++i) {
      if (!(*dims)[i].known()) return std::nullopt;
      if ((*dims)[i].value() == 1) axes.push_back(static_cast<int64_t>(i));
    }
  }
  const auto sides = both_sides(s, removing(axes, s.rank()));
  if (!sides) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  if (given) set_axes(s, turn, places_of(axes, sides->in));
  return turn;
}

Answer turn_unsqueeze(const Site& s) {
  const auto listed = s.node.input(1) ? ops::constant_ints(s.graph, s.node, 1) : s.node.ints_or("axes", {});
  const int64_t rank = s.rank(s.node.output(0));
  if (!listed) return std::nullopt;
  Shape axes = ops::normalize_axes(*listed, rank);
  std::ranges::sort(axes);
  const auto sides = both_sides(s, reversed(removing(axes, rank)));
  if (!sides) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  set_axes(s, turn, places_of(axes, sides->out));
  return turn;
}

ir::ValueId weight_of_rows(const ir::Graph& graph, ir::Use use) {
  const ir::Node& node = graph.node(use.node);
  const bool product = node.is("MatMul") || (node.is("Gemm") && node.int_or("transA", 0) == 0);
  if (use.index != 0 || !product || !graph.constant_of(node.input(1)) || graph.type(node.inputs[1]).rank() != 2)
    return {};
  return node.inputs[1];
}

namespace {

/// Joins its last axes, which change places, into one that meets weights: they take up the order.
std::optional<RowOrder> rows_in_another_order(const Site& s, const AxisGroups& groups, const ir::Dims& from) {
  const ir::ValueId result = s.node.outputs[0];
  const AxisGroup& joined = groups.back();
  if (s.port.is_output || joined.in.empty() || joined.out != std::vector{s.rank(result) - 1}) return std::nullopt;
  if (s.graph.is_output(result) || s.graph.is_pinned(result)) return std::nullopt;
  const auto first = static_cast<size_t>(joined.in.front());
  RowOrder rows;
  int64_t count = 1;
  for (size_t i = 0; i < s.p.size(); ++i) {
    if (i < first && s.p[i] != static_cast<int64_t>(i)) return std::nullopt;
    if (i < first) continue;
    if (!from[i].known()) return std::nullopt;
    rows.sizes.push_back(from[i].value());
    rows.p.push_back(s.p[i] - static_cast<int64_t>(first));
    count *= from[i].value();
  }
  for (const ir::Use& use : s.graph.uses(result)) {
    const ir::ValueId weight = weight_of_rows(s.graph, use);
    if (!weight) return std::nullopt;
    const size_t axis = s.graph.node(use.node).int_or("transB", 0) != 0 ? 1 : 0;
    if (s.graph.constant_of(weight)->shape()[axis] != count) return std::nullopt;
  }
  return rows;
}

}  // namespace

/// Reshape and Flatten, by a constant shape afterwards.
Answer turn_reshape(const Site& s) {
  const ir::Dims *from = s.dims(s.node.input(0)), *to = s.dims(s.node.output(0));
  const auto groups = from && to && s.opset() >= kShapeAsInput ? reshaping(*from, *to) : std::nullopt;
  if (!groups || groups->empty()) return std::nullopt;
  auto sides = both_sides(s, *groups);
  std::optional<RowOrder> rows;
  if (!sides) {
    rows = rows_in_another_order(s, *groups, *from);
    if (!rows) return std::nullopt;
    sides = BothSides{s.p, {}};
  }
  const auto target = reshape_target(permuted(*from, sides->in), rows ? *to : permuted(*to, sides->out),
                                     infers_dimension(s.graph, s.node));
  if (!target) return std::nullopt;
  Turn turn = turn_of(s, *sides);
  turn.becomes_reshape = true;
  turn.rows = std::move(rows);
  turn.operands.emplace_back(1, int64_tensor(*target));
  return turn;
}

/// The dimensions of a permuted value are put back in order.
Answer turn_shape(const Site& s) {
  if (s.port.is_output || s.node.attribute("start") || s.node.attribute("end")) return std::nullopt;
  Turn turn{{s.p}, std::vector<Permutation>(1)};
  turn.listed = inverse(s.p);
  return turn;
}

Answer turn_size(const Site& s) {
  return s.port.is_output ? std::nullopt : Answer(Turn{{s.p}, std::vector<Permutation>(1)});
}

}  // namespace pli::passes
