#include "tools/support/data/precision.h"

namespace pli::tools {

namespace {

constexpr const char* kExact = "f32-exact";

}  // namespace

Flag precision_flag(std::string& target) {
  return {.names = "--precision",
          .target = &target,
          .help =
              "f32 (default), or f32-exact: convolutions term by term, never by Winograd's method, which is faster "
              "and rounds more",
          .value = "P",
          .check = one_of({"f32", kExact})};
}

Precision precision_of(const std::string& text) {
  return text == kExact ? Precision::kFloat32Exact : Precision::kFloat32;
}

}  // namespace pli::tools
