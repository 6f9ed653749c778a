#include "runtime/onnx/payloads.h"

#include "runtime/core/memory.h"

namespace pli {

namespace {

/// A payload begins at a multiple of this.
constexpr size_t kAlignment = 64;

}  // namespace

// One block for all of them: it has whole huge pages where a payload of its own would have a small page for every 4
// KiB, each of which the system has to find.
void read_payloads(const InputFile& file, std::span<const PayloadRange> ranges, SharedPayloads& payloads) {
  std::vector<size_t> offsets;
  size_t total = 0;
  for (const PayloadRange& range : ranges) {
    offsets.push_back(total);
    total += (static_cast<size_t>(range.length) + kAlignment - 1) / kAlignment * kAlignment;
  }
  const std::shared_ptr<std::byte> block = allocate(total);
  std::vector<InputFile::Part> parts;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto size = static_cast<size_t>(ranges[i].length);
    payloads.push_back({part_of_block(block, offsets[i], size), size});
    parts.push_back({ranges[i].offset, {payloads.back().bytes.get(), size}});
  }
  file.read(parts);
}

}  // namespace pli
