#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pli::compute {

/// One of several nested loops over two arrays: its count, and by how many elements each advances.
struct Loop {
  int64_t size = 1;
  int64_t in = 0;
  int64_t out = 0;
};

/// Loops of one step dropped, the others outermost first by the stride in `in`, and those joined that are one loop in
/// memory.
std::vector<Loop> merged(std::vector<Loop> loops);

/// Steps of all loops together.
inline int64_t size_of(std::span<const Loop> loops) {
  int64_t size = 1;
  for (const Loop& loop : loops) size *= loop.size;
  return size;
}

/// Where step `index` of all loops together is.
struct Offsets {
  int64_t in = 0;
  int64_t out = 0;
};
inline Offsets offsets_of(std::span<const Loop> loops, int64_t index) {
  Offsets offsets;
  for (size_t i = loops.size(); i-- > 0;) {
    const int64_t at = index % loops[i].size;
    index /= loops[i].size;
    offsets.in += at * loops[i].in;
    offsets.out += at * loops[i].out;
  }
  return offsets;
}

/// Calls body(base + offset in `in`) for every step.
template <class Body>
void for_each_offset(std::span<const Loop> loops, int64_t base, const Body& body) {
  if (loops.empty()) return body(base);
  for (int64_t i = 0; i < loops[0].size; ++i) for_each_offset(loops.subspan(1), base + i * loops[0].in, body);
}

}  // namespace pli::compute
