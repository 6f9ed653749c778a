#pragma once

#include <algorithm>
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

/// Calls body(Offsets) for every step, from `base` on.
template <class Body>
void for_each_step(std::span<const Loop> loops, Offsets base, const Body& body) {
  if (loops.empty()) return body(base);
  const Loop& loop = loops[0];
  for (int64_t i = 0; i < loop.size; ++i)
    for_each_step(loops.subspan(1), {base.in + i * loop.in, base.out + i * loop.out}, body);
}

/// How many steps of a parallel loop are worth a thread, when each goes through `elements` elements and `enough`
/// elements are.
inline int64_t grain_of(int64_t elements, int64_t enough) { return enough / std::max<int64_t>(elements, 1); }

/// How many of `columns` adjacent columns a thread should take at a time: a multiple of 16, so that no two threads
/// write to one cache line, and at most `most`, so that every thread gets some.
inline int64_t columns_per_block(int64_t columns, int64_t threads, int64_t most) {
  const int64_t share = (columns + threads - 1) / std::max<int64_t>(threads, 1);
  return std::clamp<int64_t>((share + 15) / 16 * 16, 16, most);
}

}  // namespace pli::compute
