#include "runtime/compute/interrupt.h"

#include "runtime/core/error.h"

namespace pli::compute {

void Interrupt::check() const {
  if (stop.stop_requested()) fail(ErrorCode::kCancelled, "the run was stopped by its token");
  if (deadline && std::chrono::steady_clock::now() >= *deadline)
    fail(ErrorCode::kCancelled, "the run passed its deadline");
}

}  // namespace pli::compute
