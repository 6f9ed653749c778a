#include "runtime/onnx/protobuf_origin.h"

#include "runtime/core/error.h"

#include <dlfcn.h>
#include <google/protobuf/stubs/common.h>

#include <filesystem>

namespace pli {

void check_protobuf_origin() {
  Dl_info origin{};
  if (::dladdr(reinterpret_cast<const void*>(&google::protobuf::internal::VerifyVersion), &origin) == 0) return;
  const std::string name = std::filesystem::path(origin.dli_fname).filename();
  // Of libprotobuf.so.32 and libprotobuf-lite.so.32 either will do.
  if (name.starts_with("libprotobuf") && name.find(PLI_PROTOBUF_SO) != std::string::npos) return;
  fail(ErrorCode::kUnsupported,
       "protobuf's functions come from {}, not from libprotobuf{}: link that, or keep those hidden, as by "
       "-Wl,--exclude-libs,ALL",
       origin.dli_fname, PLI_PROTOBUF_SO);
}

}  // namespace pli
