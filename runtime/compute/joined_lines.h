#pragma once

#include "runtime/compute/kernel.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pli::compute {

/// Whether what `kernel` gives is so large that it pays to make it line by line, as it is read: else it stays in the
/// cache anyhow.
bool is_worth_joining(const Kernel& kernel);

/// Whether `second`, which reads what `first` gives as its operand 0, can be made together with it, with at most so
/// many bytes of scratch memory, and that pays.
bool can_join(const Kernel& first, const Kernel& second, int64_t most_scratch_bytes);

struct KernelWithInputs {
  std::unique_ptr<Kernel> kernel;
  size_t inputs = 0;
};

/// One kernel in the place of two that can be joined: lines of what the first gives are made in a strip of memory, just
/// before the second reads them, and are nowhere else. Its operands are those of the first, then those of the second,
/// of which operand 0 is not read; its outputs those of the second. The bits are those of the two.
std::unique_ptr<Kernel> join_lines(KernelWithInputs first, KernelWithInputs second);

}  // namespace pli::compute
