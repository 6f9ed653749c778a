#pragma once

#include <pli/value.h>

#include <string>

namespace pli::tools {

/// How far a float may be from its reference: |a - b| <= atol + atol_rms * RMS(b) + rtol * |b|, where RMS is that of
/// the whole reference tensor's finite elements. NaN is equal to NaN, and an infinity to the same one. Integers are
/// compared likewise with rtol 0, uint64, bools and strings have to be equal.
struct Tolerance {
  double rtol = 0;
  double atol = 0;
  double atol_rms = 0;
  /// Elements may stray so many times farther, as long as the root mean square of the distances is not above that of
  /// what they may be: the roundings of many operators add up to few elements that lie far out.
  double stray = 1;
  bool any_for_nan = false;  // nothing is asked of an element whose reference is NaN
};

struct Comparison {
  std::string difference;     // what differs first, in words; empty: equal within the tolerance
  double max_abs = 0;         // largest |a - b| of the finite elements of tensors that may differ
  double max_rel_rms = 0;     // the largest of (max_abs of a tensor / RMS of its reference)
  double max_of_allowed = 0;  // the largest of (distance / what it may be) of finite elements; 1 and less is equal
  size_t not_compared = 0;    // elements that differ, but of which nothing is asked
  bool informative = false;   // some element that was compared is neither NaN nor infinite
};

/// Data types, shapes and elements; sequences and optionals element by element.
Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance);

/// Adds the figures of `other` to `total`; the first difference stays.
void merge(Comparison& total, const Comparison& other);

}  // namespace pli::tools
