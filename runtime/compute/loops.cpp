#include "runtime/compute/loops.h"

#include <algorithm>
#include <functional>

namespace pli::compute {

std::vector<Loop> merged(std::vector<Loop> loops) {
  std::ranges::stable_sort(loops, std::greater<>(), &Loop::in);
  std::vector<Loop> result;
  for (const Loop& loop : loops) {
    if (loop.size == 1) continue;
    if (!result.empty() && result.back().in == loop.in * loop.size && result.back().out == loop.out * loop.size)
      result.back() = {result.back().size * loop.size, loop.in, loop.out};
    else
      result.push_back(loop);
  }
  return result;
}

}  // namespace pli::compute
