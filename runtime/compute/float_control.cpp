#include "runtime/compute/float_control.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace pli::compute {

namespace {

#if defined(__x86_64__) || defined(__i386__)
constexpr FloatControl kDefault = 0x1f80;  // nothing is trapped
constexpr FloatControl kFlush = 0x8040;    // what is too small gives zero, and counts as zero
#elif defined(__aarch64__)
constexpr FloatControl kDefault = 0, kFlush = 1 << 24;
#else
constexpr FloatControl kDefault = 0, kFlush = 0;
#endif

}  // namespace

#if defined(__x86_64__) || defined(__i386__)
FloatControl float_control() { return _mm_getcsr(); }
void set_float_control(FloatControl control) { _mm_setcsr(static_cast<unsigned>(control)); }
#elif defined(__aarch64__)
FloatControl float_control() {
  FloatControl control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
void set_float_control(FloatControl control) { asm volatile("msr fpcr, %0" ::"r"(control)); }
#else
FloatControl float_control() { return kDefault; }
void set_float_control(FloatControl) {}
#endif

FloatScope::FloatScope() : before_(float_control()) { set_float_control(kDefault); }

void FloatScope::flush_denormals(bool flush) {
  if (flushes_ != flush) set_float_control(flush ? kDefault | kFlush : kDefault);
  flushes_ = flush;
}

}  // namespace pli::compute
