#pragma once

#include "runtime/compute/kernel.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace pli::compute {

/// The bytes of an array in scratch memory before another one begins.
constexpr size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// A part of a kernel's work: a kernel that gets the same operands, each from its own place on.
struct Slice {
  std::unique_ptr<Kernel> kernel;
  std::vector<int64_t> input_bytes;  // by which each input is moved; those that are not here are not
  int64_t output_bytes = 0;          // of output 0

  void move_input(size_t index, int64_t bytes) {
    if (input_bytes.size() <= index) input_bytes.resize(index + 1, 0);
    input_bytes[index] = bytes;
  }
};

/// A kernel that does what all of its slices do, in parallel. They write to different places of one output.
std::unique_ptr<Kernel> make_sliced(std::vector<Slice> slices);

/// How many parts of a size there are in something.
inline int64_t parts_of(int64_t size, int64_t part) { return (size + part - 1) / part; }

/// [size * part / parts, size * (part + 1) / parts), in whole blocks.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
Range range_of_part(int64_t size, int64_t part, int64_t parts, int64_t block = 1);

}  // namespace pli::compute
