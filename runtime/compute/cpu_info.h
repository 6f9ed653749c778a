#pragma once

#include <string>

namespace pli::compute {

/// The version of oneDNN that is loaded, such as "2.6.3".
std::string onednn_version();

/// The instruction set that oneDNN's kernels use on this processor, such as "avx2".
std::string onednn_isa();

/// The processor's own name.
std::string cpu_name();

}  // namespace pli::compute
