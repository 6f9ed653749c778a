#include "tools/support/data/values.h"

#include "runtime/core/error.h"
#include "runtime/core/files.h"
#include "runtime/onnx/tensor_file.h"
#include "tools/support/data/npy.h"

namespace pli::tools {

namespace {

[[noreturn]] void refuse_name(const std::filesystem::path& path) {
  fail(ErrorCode::kInvalidArgument, "{}: neither .npy nor .pb", path.string());
}

}  // namespace

Value load_value(const std::filesystem::path& path, const std::string& declaration) {
  if (path.extension() == ".npy") return read_npy(path);
  if (path.extension() != ".pb") refuse_name(path);
  const Limits limits;
  const std::vector<std::byte> bytes = InputFile(path).read_all(limits.model_bytes);
  return in_file(path.string(), [&] { return parse_value(bytes, declared_file_kind(declaration), limits).second; });
}

void save_value(const std::filesystem::path& path, const Value& value, const std::string& name) {
  std::string bytes;
  if (path.extension() == ".npy")
    bytes = npy_bytes(value.tensor());
  else if (path.extension() == ".pb")
    bytes = serialize_value(name, value);
  else
    refuse_name(path);
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace pli::tools
