#pragma once

#include <pli/export.h>

#define PLI_VERSION_MAJOR 0
#define PLI_VERSION_MINOR 1
#define PLI_VERSION_PATCH 0
#define PLI_VERSION "0.1.0"

namespace pli {

/// The version of the library that is loaded, which may differ from PLI_VERSION of the headers.
PLI_API const char* version();

}  // namespace pli
