#pragma once

#include "runtime/compute/tensor_desc.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace pli::compute {

/// What one call of a kernel may change beside its outputs, made once for each execution context.
struct KernelState {
  virtual ~KernelState() = default;
};

/// Addresses of the operands, in the order and with the descriptions that the kernel was made for. Null: omitted.
struct RunArgs {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  void* scratch = nullptr;  // scratch_bytes() bytes, aligned to 64; its content does not survive the call
  KernelState* state = nullptr;

  template <class T>
  const T* input(size_t i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <class T>
  T* output(size_t i) const {
    return static_cast<T*>(outputs[i]);
  }
};

class LineKernel;

/// A computation on memory, prepared for concrete shapes, layouts and a number of threads. Immutable, so that many
/// threads may run it at once, each with its own arguments.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const RunArgs& args) const = 0;
  virtual size_t scratch_bytes() const { return 0; }
  virtual std::unique_ptr<KernelState> make_state() const { return nullptr; }
  /// For people: "loop", or oneDNN's name of the implementation such as "jit:avx2".
  virtual std::string implementation() const { return "loop"; }
  /// The same line by line; null where it can't be made so.
  virtual const LineKernel* by_lines() const { return nullptr; }
};

/// A kernel from a callable `void(const RunArgs&)`.
template <class Body>
std::unique_ptr<Kernel> make_kernel(Body body) {
  struct Callable final : Kernel {
    explicit Callable(Body b) : body(std::move(b)) {}
    void run(const RunArgs& args) const override { body(args); }
    Body body;
  };
  return std::make_unique<Callable>(std::move(body));
}

}  // namespace pli::compute
