#pragma once

#include "runtime/compute/kernel.h"
#include "runtime/compute/sliced.h"

#include <cstdint>

namespace pli::compute {

/// Lines of an image to be made: the operands, and where the lines lie that are read as operand 0 and written as output
/// 0, which may be strips of memory with just some lines of the image.
struct LineCall {
  RunArgs args;                   // scratch: line_scratch_bytes() bytes; operand 0 and output 0 may be null
  int64_t image = 0;              // of the batch
  Range lines{};                  // of the result
  const float* source = nullptr;  // line `source_line` of the image
  int64_t source_line = 0;
  float* result = nullptr;  // line lines.begin
};

/// A kernel on images, channels-last, of which any lines can be made by themselves, with the bits that they have in the
/// whole. Operand 0 and output 0 are the images.
class LineKernel {
 public:
  struct Sizes {
    int64_t images = 0;
    int64_t source_lines = 0, source_stride = 0;  // lines of an image, and numbers from one to the next
    int64_t lines = 0, stride = 0;                // of the result
    int64_t weight_bytes = 0;                     // of what is read for every line
    bool reads_result = false;                    // it adds to what output 0 holds, so needs the whole
  };
  virtual Sizes sizes() const = 0;
  /// The lines of the source that these of the result are made of. None where that is nothing but padding.
  virtual Range source_lines(Range lines) const = 0;
  /// At most so many lines of the source are read for so many adjacent ones of the result.
  virtual int64_t most_source_lines(int64_t lines) const = 0;
  virtual size_t line_scratch_bytes(int64_t /*lines*/) const { return 0; }
  /// On the calling thread.
  virtual void run_lines(const LineCall& call) const = 0;

 protected:
  ~LineKernel() = default;
};

}  // namespace pli::compute
