#include "runtime/compute/onednn.h"
#include "runtime/compute/parallel.h"
#include "runtime/compute/sliced.h"

#include <algorithm>
#include <cstring>

namespace pli::compute {

namespace {

using dnnl::memory;

/// Rows of which layouts have whole blocks, whatever theirs are.
constexpr int64_t kBlock = 16;

constexpr int64_t kPartBytes = 256 << 10, kMostPartBytes = 2 << 20;

struct Part {
  WeightPart from, to;
  int64_t begin = 0, bytes = 0;  // of both
};

/// Parts that follow each other in memory in both layouts; none where there are none.
std::vector<Part> common_parts(const memory::desc& from, const memory::desc& to) {
  if (type_of(from) != memory::data_type::f32 || type_of(to) != memory::data_type::f32) return {};
  const int64_t rows = dims_of(from)[0], bytes = static_cast<int64_t>(from.get_size());
  if (rows % kBlock != 0 || bytes == 0 || to.get_size() != from.get_size()) return {};
  const int64_t row_bytes = bytes / rows, blocks = rows / kBlock;
  if (row_bytes * rows != bytes || row_bytes * kBlock > kMostPartBytes) return {};
  const int64_t wanted = std::clamp<int64_t>((bytes + kPartBytes - 1) / kPartBytes, 1, blocks);
  std::vector<Part> parts;
  for (int64_t i = 0; i < wanted; ++i) {
    const Range range = range_of_part(rows, i, wanted, kBlock);
    const auto a = part_along(from, 0, range.begin, range.size()), b = part_along(to, 0, range.begin, range.size());
    if (!a || !b || a->bytes != range.begin * row_bytes || b->bytes != a->bytes) return {};
    parts.push_back({*a, *b, a->bytes, range.size() * row_bytes});
  }
  return parts;
}

}  // namespace

bool reorder_in_place(std::byte* data, const memory::desc& from, const memory::desc& to, std::vector<std::byte>& aside,
                      bool& is_broken) {
  const std::vector<Part> parts = common_parts(from, to);
  if (parts.empty()) return false;
  const int64_t most = std::max(std::ranges::max(parts, {}, &Part::bytes).bytes, kPartBytes);
  const auto count = static_cast<int64_t>(parts.size()), tasks = std::min<int64_t>(threads_here(), count);
  if (const auto wanted = static_cast<size_t>(tasks * most); aside.size() < wanted) aside.resize(wanted);
  is_broken = true;
  parallel_tasks(tasks, [&](int64_t task) {
    std::byte* const copy = aside.data() + task * most;
    for (int64_t i = count * task / tasks; i < count * (task + 1) / tasks; ++i) {
      const Part& part = parts[static_cast<size_t>(i)];
      std::memcpy(copy, data + part.begin, static_cast<size_t>(part.bytes));
      reorder(memory_of(part.from, copy), memory_of(part.to, data + part.begin));
    }
  });
  is_broken = false;
  return true;
}

}  // namespace pli::compute
