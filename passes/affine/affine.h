#pragma once

#include "runtime/ir/graph.h"

#include <functional>
#include <optional>
#include <vector>

namespace pli::passes {

/// Constant numbers that are broadcast to a value: as many dimensions as it has, each that of the value or 1.
struct Spread {
  Shape shape;
  std::vector<double> numbers;
};

/// Positions along an axis: some of them, in any order.
class Positions {
 public:
  Positions(int64_t start, int64_t count, int64_t step = 1) : start_(start), count_(count), step_(step) {}
  explicit Positions(std::vector<int64_t> listed)
      : count_(static_cast<int64_t>(listed.size())), listed_(std::move(listed)) {}

  int64_t count() const { return count_; }
  int64_t operator[](int64_t i) const { return listed_.empty() ? start_ + i * step_ : listed_[static_cast<size_t>(i)]; }

 private:
  int64_t start_ = 0, count_ = 0, step_ = 1;
  std::vector<int64_t> listed_;
};

/// y = scale * x + shift with constant numbers that are broadcast to x, element by element.
///
/// Dimensions along which nothing varies are 1, so that a shape tells what the numbers depend on.
class Affine {
 public:
  /// Both lists have as many numbers as `shape` has positions, in row-major order.
  Affine(Shape shape, std::vector<double> scale, std::vector<double> shift);

  const Shape& shape() const { return shape_; }
  const std::vector<double>& scale() const { return scale_; }
  const std::vector<double>& shift() const { return shift_; }
  size_t rank() const { return shape_.size(); }

  bool scales() const;
  bool shifts() const;
  bool is_identity() const { return !scales() && !shifts(); }
  bool finite() const;
  /// Every scale is above zero: order is kept.
  bool increasing() const;
  /// Nothing depends on the position along this axis.
  bool constant_along(size_t axis) const { return shape_[axis] == 1; }
  /// Nothing depends on the position along any other.
  bool varies_along_at_most(size_t axis) const;

  /// The affine in two steps: first the one, then the other.
  Affine scale_alone() const;
  Affine shift_alone() const;
  /// shift / scale: what has to be added before scaling. Only where no scale is 0.
  Affine shift_before_scale() const;
  /// First this one, then `next`, on the same value. Nothing where that would be far more numbers than either has.
  std::optional<Affine> then(const Affine& next) const;

  // Each of these gives the same affine for the same elements where they have been moved. Nothing where it would be
  // more numbers than any weight that could take them up has rows, and as said.

  /// Dimension i of the result is dimension permutation[i] of this.
  Affine permuted(std::span<const int64_t> permutation) const;
  /// For elements in row-major order under other dimensions; `from` are those of the value. Nothing where it is not
  /// shown how the positions correspond.
  std::optional<Affine> reshaped(const ir::Dims& from, const ir::Dims& to) const;
  /// What holds at some positions along an axis, which are inside of it.
  std::optional<Affine> taken(size_t axis, const Positions& positions) const;
  /// The other way round: this one holds at these of `size` positions along an axis, x itself elsewhere. Nothing where
  /// one position would need two different pairs.
  std::optional<Affine> placed(size_t axis, int64_t size, const Positions& positions) const;

 private:
  Affine gathered(Shape shape, const std::function<int64_t(std::span<const int64_t>)>& source) const;
  void compact();

  Shape shape_;
  std::vector<double> scale_, shift_;
};

/// Calls visit(position, flat index) for every position of a shape, in row-major order.
template <class Visit>
void for_each_position(const Shape& shape, const Visit& visit) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  Shape at(shape.size(), 0);
  for (int64_t flat = 0; flat < count; ++flat) {
    visit(std::span<const int64_t>(at), flat);
    for (size_t i = shape.size(); i-- > 0 && ++at[i] == shape[i];) at[i] = 0;
  }
}

/// Where the numbers of this shape that are broadcast to a value stand for a position in it.
int64_t broadcast_index(const Shape& shape, std::span<const int64_t> position);

}  // namespace pli::passes
