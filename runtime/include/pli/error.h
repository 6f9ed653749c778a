#pragma once

#include <pli/export.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pli {

enum class ErrorCode {
  kIo,               // a file can't be read or written
  kInvalidModel,     // the model breaks ONNX's rules or its own declarations
  kUnsupported,      // valid ONNX that Pli can't run; everything unsupported is listed at once
  kInvalidArgument,  // the caller's names, shapes, types or options do not fit
  kResourceLimit,    // a limit of `Limits` was hit
  kCancelled,        // the caller's stop token or deadline ended a run
  kInternal,         // a defect in Pli
};

/// The stable name of a code: "io", "invalid_model", ...
PLI_API std::string_view to_string(ErrorCode code);

/// The only exception that Pli throws beside std::bad_alloc. After one, every object can still be used or destroyed.
/// what() says where, what, what was expected and what was found, on one line.
class PLI_API Error : public std::runtime_error {
 public:
  explicit Error(ErrorCode code, const std::string& message, std::string file = {}, std::string node = {})
      : std::runtime_error(message), code_(code), file_(std::move(file)), node_(std::move(node)) {}

  ErrorCode code() const noexcept { return code_; }

  /// The file that it is about, and the node as messages name it, such as `Conv "layer1.0.conv1"`; both are in what()
  /// as well. Empty when it is about none.
  const std::string& file() const noexcept { return file_; }
  const std::string& node() const noexcept { return node_; }

 private:
  ErrorCode code_;
  std::string file_;
  std::string node_;
};

}  // namespace pli
