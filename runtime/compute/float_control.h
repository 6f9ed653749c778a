#pragma once

#include <cstdint>

namespace pli::compute {

/// How this thread's processor rounds, what it traps, and what it makes of numbers too small for the usual form.
using FloatControl = uint64_t;
FloatControl float_control();
void set_float_control(FloatControl control);

/// While it lives this thread, and who helps it, rounds to the nearest and traps nothing; then all is as it was before,
/// on x86 the flags of what has happened included.
class FloatScope {
 public:
  FloatScope();
  ~FloatScope() { set_float_control(before_); }
  FloatScope(const FloatScope&) = delete;
  FloatScope& operator=(const FloatScope&) = delete;

  /// Whether the numbers too small for the usual form (denormals), with which processors take a hundred times as long,
  /// are zero from now on. At first they are not.
  void flush_denormals(bool flush);

 private:
  FloatControl before_;
  bool flushes_ = false;
};

}  // namespace pli::compute
