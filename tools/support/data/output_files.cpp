#include "tools/support/data/output_files.h"

#include "runtime/core/error.h"
#include "runtime/ir/graph.h"
#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"
#include "tools/support/data/values.h"

#include <algorithm>
#include <map>

namespace pli::tools {

namespace {

/// The file that a path leads to, or would if it were there.
std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code error;
  return std::filesystem::equivalent(a, b, error) || resolved(a) == resolved(b);
}

}  // namespace

OutputFiles::OutputFiles(const Model& model, const std::filesystem::path& folder, bool protobuf) : folder_(folder) {
  std::map<std::string, std::string> taken;
  for (const ir::Output& output : model.ir()->graph.outputs()) {
    std::string name = output.name;
    std::ranges::replace_if(
        name, [](char c) { return c == '/' || c == ':' || static_cast<unsigned char>(c) < 0x20; }, '_');
    const auto [other, fresh] = taken.emplace(name, output.name);
    if (!folder.empty() && !fresh)
      fail(ErrorCode::kInvalidArgument, "outputs \"{}\" and \"{}\" would become one file", other->second, output.name);
    names_.push_back(name + (protobuf ? ".pb" : ".npy"));
  }
}

std::vector<std::string> OutputFiles::write(const NamedValues& outputs) const {
  std::vector<std::string> written;
  if (folder_.empty()) return written;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error)
    throw in_context(Place::kFile, folder_.string(), Error(ErrorCode::kIo, "can't be made: " + error.message()));
  size_t i = 0;
  for (const auto& [name, value] : outputs) {
    written.push_back((folder_ / names_[i++]).string());
    save_value(written.back(), value, name);
  }
  return written;
}

bool is_part_of_model(const std::filesystem::path& file, const std::filesystem::path& path) {
  return same_file(file, path) || is_data_file(resolved(path), resolved(file)) ||
         std::ranges::any_of(external_files(path), [&](const auto& data) { return same_file(file, data); });
}

}  // namespace pli::tools
