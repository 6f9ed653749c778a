#include "passes/affine/affine.h"

#include "runtime/core/checked.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pli::passes {

namespace {

bool all(const std::vector<double>& values, double value) {
  return std::ranges::all_of(values, [&](double v) { return v == value; });
}

/// The same number, or both NaN.
bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

/// How many numbers a shape has; nothing when no weight that could take them up has as many rows.
std::optional<size_t> numbers_of(const Shape& shape) {
  constexpr int64_t kMost = int64_t{1} << 20;
  const auto count = checked_size(shape);
  return count && *count <= kMost ? std::optional(static_cast<size_t>(*count)) : std::nullopt;
}

/// Dimensions [from_first, from_last) of one shape hold the same elements as [to_first, to_last) of another.
struct Group {
  size_t from_first, from_last, to_first, to_last;
};

/// How dimensions of equal elements in row-major order correspond: in the smallest groups that are proved, from the
/// back and from the front, and one of all that is left between. Nothing when there may be no elements at all.
std::optional<std::vector<Group>> corresponding_groups(const ir::Dims& from, const ir::Dims& to) {
  const auto empty = [](const ir::Dim& dim) { return dim.known() && dim.value() == 0; };
  if (std::ranges::any_of(from, empty) || std::ranges::any_of(to, empty)) return std::nullopt;
  std::vector<Group> groups;
  size_t from_first = 0, to_first = 0, from_last = from.size(), to_last = to.size();

  // `next` gives the next dimension of a side or nothing; a group is complete when both products are equal.
  const auto grow = [](const auto& next_from, const auto& next_to) -> std::optional<std::pair<size_t, size_t>> {
    size_t taken_from = 0, taken_to = 0;
    const ir::Dim* a = next_from(taken_from);
    const ir::Dim* b = next_to(taken_to);
    if (!a || !b) return std::nullopt;
    if (!a->known() || !b->known()) return *a == *b ? std::optional(std::pair<size_t, size_t>{1, 1}) : std::nullopt;
    std::optional<int64_t> left = a->value(), right = b->value();
    ++taken_from, ++taken_to;
    while (left && right && *left != *right) {
      const bool grow_left = *left < *right;
      const ir::Dim* more = grow_left ? next_from(taken_from++) : next_to(taken_to++);
      if (!more || !more->known()) return std::nullopt;
      std::optional<int64_t>& side = grow_left ? left : right;
      side = checked_mul(*side, more->value());
    }
    if (!left || !right) return std::nullopt;
    return std::pair{taken_from, taken_to};
  };
  for (;;) {
    const auto size = grow([&](size_t i) { return from_last - from_first > i ? &from[from_last - 1 - i] : nullptr; },
                           [&](size_t i) { return to_last - to_first > i ? &to[to_last - 1 - i] : nullptr; });
    if (!size) break;
    groups.push_back({from_last - size->first, from_last, to_last - size->second, to_last});
    from_last -= size->first;
    to_last -= size->second;
  }
  for (;;) {
    const auto size = grow([&](size_t i) { return from_last - from_first > i ? &from[from_first + i] : nullptr; },
                           [&](size_t i) { return to_last - to_first > i ? &to[to_first + i] : nullptr; });
    if (!size) break;
    groups.push_back({from_first, from_first + size->first, to_first, to_first + size->second});
    from_first += size->first;
    to_first += size->second;
  }
  if (from_first < from_last || to_first < to_last) groups.push_back({from_first, from_last, to_first, to_last});
  return groups;
}

}  // namespace

int64_t broadcast_index(const Shape& shape, std::span<const int64_t> position) {
  int64_t index = 0;
  for (size_t i = 0; i < shape.size(); ++i) index = index * shape[i] + (shape[i] == 1 ? 0 : position[i]);
  return index;
}

Affine::Affine(Shape shape, std::vector<double> scale, std::vector<double> shift)
    : shape_(std::move(shape)), scale_(std::move(scale)), shift_(std::move(shift)) {
  compact();
}

/// Dimensions along which nothing varies become 1.
void Affine::compact() {
  for (size_t axis = 0; axis < shape_.size(); ++axis) {
    const int64_t size = shape_[axis];
    if (size <= 1) continue;
    const int64_t inner = product(std::span(shape_).subspan(axis + 1));
    const int64_t outer = static_cast<int64_t>(scale_.size()) / (size * inner);
    const auto at = [&](int64_t o, int64_t i, int64_t k) { return static_cast<size_t>((o * size + i) * inner + k); };
    bool varies = false;
    for (int64_t o = 0; o < outer && !varies; ++o)
      for (int64_t i = 1; i < size && !varies; ++i)
        for (int64_t k = 0; k < inner && !varies; ++k)
          varies = !same(scale_[at(o, i, k)], scale_[at(o, 0, k)]) || !same(shift_[at(o, i, k)], shift_[at(o, 0, k)]);
    if (varies) continue;
    for (std::vector<double>* numbers : {&scale_, &shift_}) {
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t k = 0; k < inner; ++k) (*numbers)[static_cast<size_t>(o * inner + k)] = (*numbers)[at(o, 0, k)];
      numbers->resize(static_cast<size_t>(outer * inner));
    }
    shape_[axis] = 1;
  }
}

bool Affine::scales() const { return !all(scale_, 1); }
bool Affine::shifts() const { return !all(shift_, 0); }

bool Affine::finite() const {
  const auto is_finite = [](double value) { return std::isfinite(value); };
  return std::ranges::all_of(scale_, is_finite) && std::ranges::all_of(shift_, is_finite);
}

bool Affine::increasing() const {
  return std::ranges::all_of(scale_, [](double value) { return value > 0; });
}

bool Affine::varies_along_at_most(size_t axis) const {
  for (size_t i = 0; i < shape_.size(); ++i)
    if (i != axis && shape_[i] != 1) return false;
  return true;
}

Affine Affine::scale_alone() const { return {shape_, scale_, std::vector<double>(shift_.size(), 0.0)}; }
Affine Affine::shift_alone() const { return {shape_, std::vector<double>(scale_.size(), 1.0), shift_}; }

Affine Affine::shift_before_scale() const {
  std::vector<double> shift(shift_.size());
  std::ranges::transform(shift_, scale_, shift.begin(), std::divides<>());
  return {shape_, std::vector<double>(scale_.size(), 1.0), std::move(shift)};
}

std::optional<Affine> Affine::then(const Affine& next) const {
  Shape shape(rank());
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = std::max(shape_[i], next.shape_[i]);
  const std::optional<size_t> count = shape == shape_        ? scale_.size()
                                      : shape == next.shape_ ? next.scale_.size()
                                                             : numbers_of(shape);
  if (!count) return std::nullopt;
  std::vector<double> scale(*count), shift(*count);
  for_each_position(shape, [&](std::span<const int64_t> position, int64_t flat) {
    const auto first = static_cast<size_t>(broadcast_index(shape_, position));
    const auto second = static_cast<size_t>(broadcast_index(next.shape_, position));
    scale[static_cast<size_t>(flat)] = next.scale_[second] * scale_[first];
    shift[static_cast<size_t>(flat)] = next.scale_[second] * shift_[first] + next.shift_[second];
  });
  return Affine(std::move(shape), std::move(scale), std::move(shift));
}

Affine Affine::gathered(Shape shape, const std::function<int64_t(std::span<const int64_t>)>& source) const {
  const auto count = static_cast<size_t>(product(shape));
  std::vector<double> scale(count), shift(count);
  for_each_position(shape, [&](std::span<const int64_t> position, int64_t flat) {
    const auto from = static_cast<size_t>(source(position));
    scale[static_cast<size_t>(flat)] = scale_[from];
    shift[static_cast<size_t>(flat)] = shift_[from];
  });
  return {std::move(shape), std::move(scale), std::move(shift)};
}

Affine Affine::permuted(std::span<const int64_t> permutation) const {
  Shape shape(rank());
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = shape_[static_cast<size_t>(permutation[i])];
  return gathered(std::move(shape), [&](std::span<const int64_t> position) {
    Shape from(position.size());
    for (size_t i = 0; i < from.size(); ++i) from[static_cast<size_t>(permutation[i])] = position[i];
    return broadcast_index(shape_, from);
  });
}

std::optional<Affine> Affine::reshaped(const ir::Dims& from, const ir::Dims& to) const {
  const auto groups = corresponding_groups(from, to);
  if (!groups) return std::nullopt;
  // A group along which something varies is written out in full, and only there are the dimensions needed.
  Shape shape(to.size(), 1), full_from(from.size(), 1);
  for (const Group& group : *groups) {
    bool varies = false;
    for (size_t i = group.from_first; i < group.from_last; ++i) varies = varies || shape_[i] != 1;
    if (!varies) continue;
    for (size_t i = group.from_first; i < group.from_last; ++i) {
      if (!from[i].known()) return std::nullopt;
      full_from[i] = from[i].value();
    }
    for (size_t i = group.to_first; i < group.to_last; ++i) {
      if (!to[i].known()) return std::nullopt;
      shape[i] = to[i].value();
    }
    if (product(std::span(full_from).subspan(group.from_first, group.from_last - group.from_first)) !=
        product(std::span(shape).subspan(group.to_first, group.to_last - group.to_first)))
      return std::nullopt;
  }
  if (!numbers_of(shape)) return std::nullopt;
  return gathered(shape, [&](std::span<const int64_t> position) {
    Shape at(full_from.size(), 0);
    for (const Group& group : *groups) {
      int64_t flat = 0;
      for (size_t i = group.to_first; i < group.to_last; ++i) flat = flat * shape[i] + position[i];
      for (size_t i = group.from_last; i-- > group.from_first;) {
        at[i] = flat % full_from[i];
        flat /= full_from[i];
      }
    }
    return broadcast_index(shape_, at);
  });
}

std::optional<Affine> Affine::taken(size_t axis, const Positions& positions) const {
  if (constant_along(axis)) return *this;
  Shape shape = shape_;
  shape[axis] = positions.count();
  if (!numbers_of(shape)) return std::nullopt;
  return gathered(std::move(shape), [&](std::span<const int64_t> position) {
    Shape from(position.begin(), position.end());
    from[axis] = positions[position[axis]];
    return broadcast_index(shape_, from);
  });
}

std::optional<Affine> Affine::placed(size_t axis, int64_t size, const Positions& positions) const {
  Shape shape = shape_;
  shape[axis] = size;
  const auto count = numbers_of(shape);
  if (!count) return std::nullopt;
  std::vector<double> scale(*count, 1.0), shift(*count, 0.0);
  std::vector<bool> placed(*count, false);
  Shape given = shape_;
  given[axis] = positions.count();
  bool agrees = true;
  for_each_position(given, [&](std::span<const int64_t> position, int64_t) {
    const auto from = static_cast<size_t>(broadcast_index(shape_, position));
    Shape at(position.begin(), position.end());
    at[axis] = positions[position[axis]];
    const auto to = static_cast<size_t>(broadcast_index(shape, at));
    agrees = agrees && (!placed[to] || (same(scale[to], scale_[from]) && same(shift[to], shift_[from])));
    placed[to] = true;
    scale[to] = scale_[from];
    shift[to] = shift_[from];
  });
  if (!agrees) return std::nullopt;
  return Affine(std::move(shape), std::move(scale), std::move(shift));
}

}  // namespace pli::passes
