#pragma once

#include "runtime/core/files.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pli {

/// Bytes that were read past protobuf.
struct Payload {
  std::shared_ptr<std::byte> bytes;
  size_t size = 0;
};

/// Those of a model. Several tensors may have one in common.
using SharedPayloads = std::vector<Payload>;

/// Where a payload lies in a file, which holds all of it.
struct PayloadRange {
  int64_t offset = 0;
  int64_t length = 0;
};

/// Appends a payload for each range. They are copies: a page of a file that is mapped is lost when the file is cut
/// short, and whoever reads it then gets a signal. kIo.
void read_payloads(const InputFile& file, std::span<const PayloadRange> ranges, SharedPayloads& payloads);

}  // namespace pli
