#pragma once

#include "runtime/compute/kernel.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace pli::compute {

/// Rows of several tensors that become rows of one: to[row][column * parts + i] = from[i][row][column]. Elements of a
/// row lie side by side; rows lie `step` elements apart, in the result as closely as they can.
struct InterleavedRows {
  static constexpr size_t kMostParts = 4;
  std::array<const void*, kMostParts> from{};
  std::array<int64_t, kMostParts> step{};
  void* to = nullptr;
  int64_t begin = 0, end = 0;
  int64_t columns = 0;  // of each part
};

/// Does that on the calling thread.
using InterleaveFn = void (*)(const InterleavedRows& rows);
/// The one for elements of so many bits and two to four parts; null for others.
InterleaveFn interleave_of(int bits, size_t parts);

/// Joins two to four tensors along `axis`, of which each has one element and the output's lie side by side: what comes
/// from equal places becomes neighbours, as when channels are shuffled. Null where it is not that, or where the rows
/// that are joined lie at unequal distances.
std::unique_ptr<Kernel> make_interleave(std::span<const TensorDesc> inputs, const TensorDesc& output, size_t axis);

}  // namespace pli::compute
