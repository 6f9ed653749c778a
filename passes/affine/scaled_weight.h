#pragma once

#include "passes/affine/affine.h"

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace pli::passes {

/// A constant made by folds; nothing when a number in it is not finite.
struct Folded {
  std::optional<Tensor> tensor;
  int64_t cleared = 0;  // numbers that became subnormal and were made zero
};

/// Each number rounded once to a float type. One that is subnormal in the precision that CPUs compute in becomes zero:
/// it would cost far more time than it is worth. (A subnormal float16 is no such number: it is computed with as a
/// normal float.)
Folded rounded(DataType dtype, Shape shape, std::span<const double> numbers);

/// A weight that takes up scales: the tensor of the model times all of them, to be rounded once however many they are.
class ScaledWeight {
 public:
  explicit ScaledWeight(Tensor original) : ScaledWeight(original, original.dtype()) {}
  /// Rounded to `dtype`, whatever the original has.
  ScaledWeight(Tensor original, DataType dtype) : original_(std::move(original)), dtype_(dtype) {}

  const Tensor& original() const { return original_; }
  std::span<const int64_t> shape() const { return original_.shape(); }

  /// `factor` has as many dimensions as the weight.
  void multiply(Spread factor);

  Folded rounded() const;
  /// Not rounded.
  std::vector<double> numbers() const;

  /// Which number counts for element (i, j, ...) of the weight, and in which result: i and j are positions along the
  /// axis `first` and the next; the dimensions before are 1.
  struct Contraction {
    size_t first = 0;
    int64_t results = 0;
    std::function<int64_t(int64_t i, int64_t j)> number, result;
  };
  /// The sums of all elements, each times the number that counts for it.
  std::vector<double> contracted(std::span<const double> numbers, const Contraction& contraction) const;

 private:
  /// Calls visit(flat index, factors, inner) for row after row: element flat index + l * inner + i of the original is
  /// to be multiplied by factors[l]. Rows differ in their position along the first `least_axes` axes, and l is the last
  /// of these or a later one.
  template <class Visit>
  void for_each_row(size_t least_axes, const Visit& visit) const;

  Tensor original_;
  DataType dtype_;
  std::vector<Spread> factors_;  // of different shapes
};

/// The weight in a narrower type; nothing where that would lose more than storing it in that type lost before: among
/// the elements that have one number of `factor`, the errors' root mean square is above the type's unit roundoff, as
/// where numbers become subnormal.
std::optional<Tensor> narrowed(const Tensor& weight, const Shape& factor, DataType dtype);

}  // namespace pli::passes
