#include "passes/affine/carry.h"

#include "passes/affine/carriers.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/movement/pad.h"
#include "runtime/ops/movement/resize.h"
#include "runtime/ops/operator.h"
#include "runtime/ops/pooling/pooling.h"
#include "runtime/ops/shape/reshape.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace pli::passes {

namespace {

/// Only the first result is used: the others depend on the numbers.
bool gives_one_result(const Crossing& c) {
  for (size_t i = 1; i < c.node.outputs.size(); ++i)
    if (c.node.outputs[i] && c.graph.is_used(c.node.outputs[i])) return false;
  return c.port == 0;
}

/// Element by element the same.
Answer carry_as_it_is(const Crossing&, const Affine& affine, std::string&) { return at_first(affine); }

Answer carry_dropout(const Crossing& c, const Affine& affine, std::string& why) {
  if (!ops::is_passing_dropout(c.graph, c.node)) return refuse(why, "it drops elements");
  return at_first(affine);
}

Answer carry_cast(const Crossing& c, const Affine& affine, std::string& why) {
  const auto dtype = [&](ir::ValueId value) { return value ? c.graph.type(value).dtype : DataType::kUndefined; };
  if (!is_float(dtype(c.node.input(0))) || !is_float(dtype(c.node.output(0))))
    return refuse(why, "not both of its types are floating-point");
  return at_first(affine);
}

/// Order is kept by a scale above zero, and by what such a scale multiplies.
Answer carry_increasing(const Crossing&, const Affine& affine, std::string& why) {
  if (affine.shifts()) return refuse(why, "a shift does not pass");
  if (!affine.increasing()) return refuse(why, "a scale is not above zero");
  return at_first(affine);
}

/// The axes from `first` on are joined by the node into something else.
Answer carry_beside(const Crossing& c, const Affine& affine, size_t first, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  for (size_t i = first; i < affine.rank(); ++i)
    if (!affine.constant_along(i)) return refuse(why, fmt::format("it varies along axis {}", i));
  return at_first(affine);
}

/// Averages of the elements that there are; zeros of the padding that count keep the scale only.
Answer carry_average_pool(const Crossing& c, const Affine& affine, std::string& why) {
  const ops::PoolView view = ops::PoolView::of(c.node);
  const auto zero = [](std::span<const int64_t> pads) {
    return std::ranges::all_of(pads, [](int64_t pad) { return pad == 0; });
  };
  const bool pads = view.window.auto_pad != ops::Window::AutoPad::kNotSet
                        ? view.window.auto_pad != ops::Window::AutoPad::kValid
                        : !zero(view.window.pads_begin) || !zero(view.window.pads_end);
  // Before opset 7 it is not said what counts.
  if (affine.shifts() && pads && (view.count_include_pad || c.graph.opset("") < 7))
    return refuse(why, "it averages zeros of the padding");
  return carry_beside(c, affine, 2, why);
}

Answer carry_global_pool(const Crossing& c, const Affine& affine, std::string& why) {
  return carry_beside(c, affine, 2, why);
}

Answer carry_max_pool(const Crossing& c, const Affine& affine, std::string& why) {
  if (!gives_one_result(c)) return refuse(why, "its indices are used");
  if (!affine.increasing()) return refuse(why, "a scale is not above zero");
  return carry_beside(c, affine, 2, why);
}

/// The axes that a reduction removes or makes 1; nothing when they are known only at run time.
std::optional<std::vector<int64_t>> reduced_axes(const Crossing& c, int64_t rank) {
  std::vector<int64_t> axes = c.node.ints_or("axes", {});
  if (c.node.input(1)) {
    const auto given = ops::constant_ints(c.graph, c.node, 1);
    if (!given) return std::nullopt;
    axes = *given;
  }
  if (axes.empty()) {
    if (c.node.int_or("noop_with_empty_axes", 0) != 0) return axes;
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  return ops::normalize_axes(std::move(axes), rank);
}

Answer carry_reduction(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  const auto axes = reduced_axes(c, static_cast<int64_t>(sides->in->size()));
  if (!axes) return refuse(why, "its axes are known only at run time");
  const auto reduced = [&](size_t i) { return std::ranges::find(*axes, static_cast<int64_t>(i)) != axes->end(); };
  const bool keeps = c.node.int_or("keepdims", 1) != 0;
  const bool back = c.way == Way::kBack;
  Shape shape;  // on the other side
  size_t at = 0;
  for (size_t i = 0; i < sides->in->size(); ++i) {
    if (!back && reduced(i) && !affine.constant_along(i)) return refuse(why, fmt::format("it varies along axis {}", i));
    if (reduced(i) && !keeps) {
      if (back) shape.push_back(1);
      continue;
    }
    shape.push_back(affine.shape()[back ? at : i]);
    ++at;
  }
  return at_first(Affine(std::move(shape), affine.scale(), affine.shift()));
}

Answer carry_reduce_max(const Crossing& c, const Affine& affine, std::string& why) {
  if (!affine.increasing()) return refuse(why, "a scale is not above zero");
  return carry_reduction(c, affine, why);
}

/// Whether a Resize or Upsample leaves axis `axis` as it is: the size does not tell it, for 1.04 of 10 are 10.
bool keeps_axis(const Crossing& c, size_t axis, size_t rank) {
  const int64_t opset = c.graph.opset("");
  if (c.node.is("Upsample") && opset < 7) return axis < 2;
  std::vector<double> scales;
  if (const std::vector<float> given = c.node.floats_or("scales", {}); !given.empty())
    scales.assign(given.begin(), given.end());
  else if (const ir::ValueId input = c.node.input(c.node.is("Upsample") || opset < 11 ? 1 : 2)) {
    const Tensor* tensor = c.graph.constant_of(input);
    if (!tensor || !is_float(tensor->dtype())) return false;
    scales = to_doubles(*tensor);
  }
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  axes = ops::normalize_axes(c.node.ints_or("axes", axes), static_cast<int64_t>(rank));
  const auto at = std::ranges::find(axes, static_cast<int64_t>(axis));
  const auto index = static_cast<size_t>(at - axes.begin());
  if (at != axes.end() && c.node.string_or("keep_aspect_ratio_policy", "stretch") != "stretch") return false;
  return scales.empty() || at == axes.end() || (index < scales.size() && scales[index] == 1);
}

/// Weights that come to one, along axes that nothing depends on.
Answer carry_resize(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  if (ops::ResizeView::of(c.graph, c.node).coordinates == ops::ResizeView::Coordinates::kTfCropAndResize)
    return refuse(why, "it puts a number beside the image");
  for (size_t i = 0; i < affine.rank(); ++i)
    if (!affine.constant_along(i) && (!((*sides->in)[i] == (*sides->out)[i]) || !keeps_axis(c, i, affine.rank())))
      return refuse(why, fmt::format("axis {} is not shown to stay as it is", i));
  return at_first(affine);
}

/// The number in every channel: of the padding, which has to be the same for all.
Answer carry_pad(const Crossing& c, const Affine& affine, std::string& why) {
  const auto view = ops::PadView::of(c.graph, c.node, static_cast<int64_t>(affine.rank()));
  if (!view) return refuse(why, "its pads are known only at run time");
  for (size_t i = 0; i < affine.rank(); ++i)
    if (!affine.constant_along(i) && (view->begin[i] != 0 || view->end[i] != 0))
      return refuse(why, fmt::format("it pads axis {}", i));
  if (view->mode != ops::PadView::Mode::kConstant) return at_first(affine);
  const auto old = ops::PadView::number(c.graph, c.node);
  if (!old) return refuse(why, "it pads with what is not known");
  // Back: scale p + shift is to come out where p did, forth: (p - shift) / scale is to go in.
  std::optional<double> wanted;
  for (size_t i = 0; i < affine.scale().size(); ++i) {
    const double value = c.way == Way::kBack ? affine.scale()[i] * *old + affine.shift()[i]
                                             : (*old - affine.shift()[i]) / affine.scale()[i];
    if (!std::isfinite(value) || value != wanted.value_or(value))
      return refuse(why, "channels would need different numbers around them");
    wanted = value;
  }
  Carried carried{{{0, affine}}, {}};
  if (*wanted == *old) return carried;
  if (!c.node.input(2)) return refuse(why, "it would have to pad with another number");
  carried.operands.emplace_back(2, std::vector<double>{*wanted});
  return carried;
}

std::vector<double> negated(std::vector<double> numbers) {
  std::ranges::transform(numbers, numbers.begin(), std::negate<>());
  return numbers;
}

/// What is broadcast to the result is scaled as the result is, and one operand is shifted.
Answer carry_sum(const Crossing& c, const Affine& affine, std::string& why) {
  const ir::Dims* out = dims_of(c.graph, c.node.output(0));
  if (!out || c.graph.opset("") < ops::kNumpyBroadcasting) return refuse(why, "its broadcasting is not known");
  const bool negates = c.node.is("Sub");
  if (c.way == Way::kForth) {
    const ir::Dims* in = dims_of(c.graph, c.node.inputs[c.port]);
    if (affine.scales()) return refuse(why, "the other operand would have to be scaled");
    if (!in) return refuse(why, "its broadcasting is not known");
    Shape shape(out->size() - std::min(out->size(), in->size()), 1);
    shape.insert(shape.end(), affine.shape().begin(), affine.shape().end());
    const bool is_subtracted = negates && c.port == 1;
    return at_first(Affine(std::move(shape), affine.scale(), is_subtracted ? negated(affine.shift()) : affine.shift()));
  }
  Carried carried;
  bool shifted = !affine.shifts();
  for (size_t input = 0; input < c.node.inputs.size(); ++input) {
    const ir::Dims* in = dims_of(c.graph, c.node.inputs[input]);
    if (!in || in->size() > out->size()) return refuse(why, "its broadcasting is not known");
    const size_t missing = out->size() - in->size();
    bool fits = true;  // the operand has every dimension that the affine varies along
    for (size_t i = 0; i < affine.rank(); ++i)
      fits = fits && (affine.constant_along(i) || (i >= missing && (*in)[i - missing] == ir::Dim(affine.shape()[i])));
    const bool takes_shift = !shifted && fits;
    Affine wanted = takes_shift ? affine : affine.scale_alone();
    if (takes_shift && negates && input == 1) wanted = Affine(wanted.shape(), wanted.scale(), negated(wanted.shift()));
    for (size_t i = 0; i < wanted.rank(); ++i)
      if (!wanted.constant_along(i) && (i < missing || !((*in)[i - missing] == ir::Dim(wanted.shape()[i]))))
        return refuse(why, "an operand is broadcast along what it depends on");
    Shape shape(wanted.shape().begin() + static_cast<std::ptrdiff_t>(missing), wanted.shape().end());
    carried.places.emplace_back(input, Affine(std::move(shape), wanted.scale(), wanted.shift()));
    shifted = shifted || takes_shift;
  }
  if (!shifted) return refuse(why, "no operand has the dimensions of the shift");
  return carried;
}

/// A sum of what is scaled by one number.
Answer carry_cumulative_sum(const Crossing& c, const Affine& affine, std::string& why) {
  const Tensor* given = c.graph.constant_of(c.node.input(1));
  if (!given || !is_integer(given->dtype()) || given->size() != 1)
    return refuse(why, "its axis is known only at run time");
  const int64_t axis = to_int64s(*given)[0], rank = static_cast<int64_t>(affine.rank());
  if (axis < -rank || axis >= rank) return refuse(why, "its axis is known only at run time");
  if (affine.shifts()) return refuse(why, "a shift does not pass");
  if (!affine.constant_along(static_cast<size_t>(axis < 0 ? axis + rank : axis)))
    return refuse(why, fmt::format("it varies along axis {}", axis));
  return at_first(affine);
}

// --- the table -------------------------------------------------------------------------------------------------------

struct Carrier {
  std::string_view op_type;
  Answer (*carry)(const Crossing& crossing, const Affine& affine, std::string& why);
  bool any_port = false;  // not only from input or output 0
};

constexpr std::array kCarriers = std::to_array<Carrier>({
    // The same elements.
    {"Identity", carry_as_it_is},
    {"Dropout", carry_dropout},  // that drops nothing
    {"Cast", carry_cast},        // from one float type to another
    {"CastLike", carry_cast},
    // The same elements elsewhere: axes that stay apart.
    {"Transpose", carry_transpose},
    {"Reshape", carry_reshape},
    {"Flatten", carry_reshape},
    {"Squeeze", carry_reshape},
    {"Unsqueeze", carry_reshape},
    {"Slice", carry_slice},
    {"Split", carry_split, true},
    {"Gather", carry_gather},
    {"DepthToSpace", carry_depth},
    {"SpaceToDepth", carry_depth},
    {"Concat", carry_concat, true},  // back: into all operands
    {"Expand", carry_expand},
    {"Tile", carry_tile},
    {"Pad", carry_pad},  // with a number that can be made to fit
    // Averages and sums over axes that nothing depends on.
    {"AveragePool", carry_average_pool},  // without zeros that count
    {"GlobalAveragePool", carry_global_pool},
    {"ReduceMean", carry_reduction},
    {"Resize", carry_resize},
    {"Upsample", carry_resize},
    {"CumSum", carry_cumulative_sum},  // scales
    // The largest of what is scaled by numbers above zero.
    {"MaxPool", carry_max_pool},
    {"GlobalMaxPool", carry_max_pool},
    {"ReduceMax", carry_reduce_max},
    // Zero at zero and straight on either side: scales above zero.
    {"Relu", carry_increasing},
    {"LeakyRelu", carry_increasing},
    {"PRelu", carry_increasing},
    // Back: the scale to both operands, the shift to one; forth: a shift.
    {"Add", carry_sum, true},
    {"Sub", carry_sum, true},
});

const Carrier* carrier_of(const ir::Node& node) {
  const auto found = std::ranges::find_if(kCarriers, [&](const Carrier& row) { return node.is(row.op_type); });
  return found == kCarriers.end() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string_view> carriers() {
  std::vector<std::string_view> names;
  for (const Carrier& carrier : kCarriers) names.push_back(carrier.op_type);
  return names;
}

bool may_carry(const ir::Node& node) { return carrier_of(node) != nullptr; }

std::optional<Carried> carry(const Crossing& crossing, const Affine& affine, std::string& why) {
  const Carrier* carrier = carrier_of(crossing.node);
  if (!carrier) return std::nullopt;
  if (crossing.port != 0 && !carrier->any_port)
    return refuse(why, crossing.way == Way::kForth ? "it is not its data" : "it is not its first result");
  return carrier->carry(crossing, affine, why);
}

}  // namespace pli::passes
