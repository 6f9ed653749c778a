#include "passes/affine/carriers.h"
#include "passes/layout/permutation.h"
#include "runtime/core/tensor.h"
#include "runtime/ops/dims.h"
#include "runtime/ops/movement/movement.h"
#include "runtime/ops/operator.h"
#include "runtime/ops/shape/reshape.h"

#include <algorithm>

namespace pli::passes {

namespace {

/// Where each of some values begins along an axis that they are joined or divided along, and the end of all; nothing
/// where that is not known.
std::optional<std::vector<int64_t>> starts_of(const ir::Graph& graph, std::span<const ir::ValueId> parts, size_t axis) {
  std::vector<int64_t> starts{0};
  for (const ir::ValueId part : parts) {
    const ir::Dims* dims = dims_of(graph, part);
    const auto end = dims && (*dims)[axis].known() ? checked_add(starts.back(), (*dims)[axis].value()) : std::nullopt;
    if (!end) return std::nullopt;
    starts.push_back(*end);
  }
  return starts;
}

Positions part(const std::vector<int64_t>& starts, size_t i) { return {starts[i], starts[i + 1] - starts[i]}; }

}  // namespace

Answer carry_transpose(const Crossing& c, const Affine& affine, std::string&) {
  const Permutation permutation = ops::transpose_permutation(c.node, static_cast<int64_t>(affine.rank()));
  return at_first(affine.permuted(c.way == Way::kForth ? permutation : inverse(permutation)));
}

Answer carry_reshape(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  const bool back = c.way == Way::kBack;
  auto moved = affine.reshaped(back ? *sides->out : *sides->in, back ? *sides->in : *sides->out);
  if (!moved) return refuse(why, "what it works along is not shown to be one axis on both sides");
  return at_first(std::move(*moved));
}

Answer carry_concat(const Crossing& c, const Affine& affine, std::string& why) {
  const auto axis = static_cast<size_t>(ops::concat_axis(c.graph, c.node, static_cast<int64_t>(affine.rank())));
  if (c.way == Way::kBack && affine.constant_along(axis)) {
    Carried carried;
    for (size_t i = 0; i < c.node.inputs.size(); ++i) carried.places.emplace_back(i, affine);
    return carried;
  }
  const auto starts = starts_of(c.graph, c.node.inputs, axis);
  if (!starts) return refuse(why, "how much comes from where is not known");
  if (c.way == Way::kBack) {
    Carried carried;
    for (size_t i = 0; i < c.node.inputs.size(); ++i) {
      auto taken = affine.taken(axis, part(*starts, i));
      if (!taken) return refuse(why, "it would be too many numbers");
      carried.places.emplace_back(i, std::move(*taken));
    }
    return carried;
  }
  auto placed = affine.placed(axis, starts->back(), part(*starts, c.port));
  if (!placed) return refuse(why, "it would be too many numbers");
  return at_first(std::move(*placed));
}

Answer carry_split(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides || c.port >= c.node.outputs.size()) return std::nullopt;
  if (c.way == Way::kForth && c.port != 0) return refuse(why, "it is not its data");
  const auto rank = static_cast<int64_t>(sides->in->size());
  const auto axis = static_cast<size_t>(ops::normalize_axes({c.node.int_or("axis", 0)}, rank)[0]);
  const auto starts = starts_of(c.graph, c.node.outputs, axis);
  if (!starts) return refuse(why, "how much goes where is not known");
  if (c.way == Way::kBack) {
    auto placed = affine.placed(axis, starts->back(), part(*starts, c.port));
    if (!placed) return refuse(why, "it would be too many numbers");
    return at_first(std::move(*placed));
  }
  Carried carried;
  for (size_t i = 0; i < c.node.outputs.size(); ++i) {
    auto taken = affine.taken(axis, part(*starts, i));
    if (!taken) return refuse(why, "it would be too many numbers");
    carried.places.emplace_back(i, std::move(*taken));
  }
  return carried;
}

Answer carry_slice(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  const auto view = ops::SliceView::of(c.graph, c.node);
  if (!sides) return std::nullopt;
  Affine moved = affine;
  for (size_t i = 0; i < affine.rank(); ++i) {
    if (moved.constant_along(i)) continue;
    const ir::Dim &in = (*sides->in)[i], &out = (*sides->out)[i];
    if (!view || !in.known() || !out.known()) return refuse(why, "what it takes is known only at run time");
    Shape dims(affine.rank(), 1);
    dims[i] = in.value();
    const ops::SliceRange range = view->ranges(dims)[i];
    const Positions positions(range.start, range.count, range.step);
    auto next = c.way == Way::kForth ? moved.taken(i, positions) : moved.placed(i, in.value(), positions);
    if (!next) return refuse(why, "it would be too many numbers");
    moved = std::move(*next);
  }
  return at_first(std::move(moved));
}

/// Takes positions along an axis in any order, some several times.
Answer carry_gather(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  const ir::Dims* index_dims = dims_of(c.graph, c.node.input(1));
  if (!sides || !index_dims) return refuse(why, "its rank is not known");
  const auto axis =
      static_cast<size_t>(ops::normalize_axes({c.node.int_or("axis", 0)}, static_cast<int64_t>(sides->in->size()))[0]);
  const size_t index_rank = index_dims->size();
  const bool back = c.way == Way::kBack;
  bool varies = false;  // along what is gathered
  for (size_t i = axis; i < axis + (back ? index_rank : 1); ++i) varies = varies || !affine.constant_along(i);
  Affine moved = affine;
  if (varies) {
    const Tensor* indices = c.graph.constant_of(c.node.inputs[1]);
    const ir::Dim& size = (*sides->in)[axis];
    if (!indices || !is_integer(indices->dtype()) || index_rank > 1 || !size.known() || indices->size() == 0)
      return refuse(why, "what it takes is not known");
    std::vector<int64_t> listed = to_int64s(*indices);
    for (int64_t& index : listed) index = index < 0 ? index + size.value() : index;
    if (std::ranges::any_of(listed, [&](int64_t index) { return index < 0 || index >= size.value(); }))
      return refuse(why, "it takes what is not there");
    if (back) {
      auto placed = affine.placed(axis, size.value(), Positions(std::move(listed)));
      if (!placed) return refuse(why, "it takes something twice that would have to be different");
      return at_first(std::move(*placed));
    }
    auto taken = affine.taken(axis, Positions(std::move(listed)));
    if (!taken) return refuse(why, "it would be too many numbers");
    moved = std::move(*taken);
    if (index_rank == 1) return at_first(std::move(moved));
  }
  const size_t from = back ? index_rank : 1, to = back ? 1 : index_rank;
  Shape shape = moved.shape();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis),
              shape.begin() + static_cast<std::ptrdiff_t>(axis + from));
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), to, 1);
  return at_first(Affine(std::move(shape), moved.scale(), moved.shift()));
}

/// Moves pieces of blocksize x blocksize pixels into channels or back: which channel of the image a channel of the
/// depth is a piece of.
Answer carry_depth(const Crossing& c, const Affine& affine, std::string& why) {
  const bool to_space = c.node.is("DepthToSpace");
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  if (!affine.varies_along_at_most(1)) return refuse(why, "it varies within a channel");
  if (affine.constant_along(1)) return at_first(affine);
  const ir::Dim& depth = (to_space ? *sides->in : *sides->out)[1];
  const ir::Dim& channels = (to_space ? *sides->out : *sides->in)[1];
  const int64_t own = affine.shape()[1];
  if (!depth.known() || !channels.known() || channels.value() < 1 ||
      (own != depth.value() && own != channels.value()) || depth.value() > (int64_t{1} << 22))
    return refuse(why, "its channels are not known");
  const bool by_column = to_space && c.node.string_or("mode", "DCR") == "CRD";
  const int64_t pieces = depth.value() / channels.value();
  std::vector<int64_t> channel_of(static_cast<size_t>(depth.value()));
  for (size_t i = 0; i < channel_of.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    channel_of[i] = by_column ? at / pieces : at % channels.value();
  }
  const bool into_depth = to_space == (c.way == Way::kBack);
  const Positions positions(std::move(channel_of));
  auto placed = into_depth ? affine.taken(1, positions) : affine.placed(1, channels.value(), positions);
  if (!placed) return refuse(why, "pieces of one channel would have to be different");
  return at_first(std::move(*placed));
}

/// Copies along axes that nothing depends on.
Answer carry_tile(const Crossing& c, const Affine& affine, std::string& why) {
  const Tensor* repeats = c.graph.constant_of(c.node.input(1));
  if (!repeats || repeats->dtype() != DataType::kInt64) return refuse(why, "what it repeats is known only at run time");
  const std::span<const int64_t> counts = repeats->data<int64_t>();
  if (counts.size() != affine.rank()) return refuse(why, "its rank is not known");
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] != 1 && !affine.constant_along(i)) return refuse(why, "it repeats what it depends on");
  return at_first(affine);
}

/// Numbers that are there once stand for those that are repeated.
Answer carry_expand(const Crossing& c, const Affine& affine, std::string& why) {
  const auto sides = Sides::of(c, why);
  if (!sides) return std::nullopt;
  const size_t missing = sides->out->size() - std::min(sides->out->size(), sides->in->size());
  Shape shape = affine.shape();
  if (c.way == Way::kForth) {
    shape.insert(shape.begin(), missing, 1);
    return at_first(Affine(std::move(shape), affine.scale(), affine.shift()));
  }
  for (size_t i = 0; i < affine.rank(); ++i)
    if (!affine.constant_along(i) && (i < missing || !((*sides->in)[i - missing] == ir::Dim(shape[i]))))
      return refuse(why, "it repeats what it depends on");
  shape.erase(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(missing));
  return at_first(Affine(std::move(shape), affine.scale(), affine.shift()));
}

}  // namespace pli::passes
