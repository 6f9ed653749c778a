#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

namespace pli::compute {

/// What ends a computation before it is through.
struct Interrupt {
  std::stop_token stop;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  /// kCancelled where it is to end now.
  void check() const;
};

}  // namespace pli::compute
