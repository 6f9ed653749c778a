#include <pli/tensor_file.h>

#include "runtime/core/error.h"
#include "runtime/core/files.h"
#include "runtime/onnx/tensor_file.h"

namespace pli {

Tensor load_tensor(const std::filesystem::path& path, const Limits& limits) {
  const std::vector<std::byte> bytes = InputFile(path).read_all(limits.model_bytes);
  return in_file(path.string(), [&] { return parse_value(bytes, FileKind::kTensor, limits).second.tensor(); });
}

}  // namespace pli
