#include "runtime/onnx/save.h"

#include "runtime/onnx/load.h"
#include "runtime/onnx/proto.h"

#include <algorithm>
#include <limits>

namespace pli {

namespace {

constexpr int64_t kMostBytes = std::numeric_limits<int32_t>::max();

/// The first version that names its operator sets.
constexpr int64_t kOpsetImports = 3;

/// Imports as they came, brought up to date with what the model says now.
void put_opsets(onnx::ModelProto& proto, const ir::OpsetImports& opsets) {
  if (proto.ir_version() < kOpsetImports) return;
  const auto key = [](const onnx::OperatorSetIdProto& import) {
    return import.domain() == "ai.onnx" ? std::string() : import.domain();
  };
  auto imports = extract(*proto.mutable_opset_import());
  std::erase_if(imports, [&](const auto& import) { return !opsets.contains(key(*import)); });
  for (const auto& [domain, version] : opsets) {
    bool found = false;
    for (const auto& import : imports) {
      if (key(*import) != domain) continue;
      import->set_version(version);
      found = true;
    }
    if (found) continue;
    imports.push_back(std::make_unique<onnx::OperatorSetIdProto>());
    imports.back()->set_domain(domain);
    imports.back()->set_version(version);
  }
  for (auto& import : imports) proto.mutable_opset_import()->AddAllocated(import.release());
}

Wire write_model(const ir::Model& model, ExternalFile* external) {
  auto proto = from_bytes<onnx::ModelProto>(model.extra);
  proto.set_ir_version(ir::saved_ir_version(model));
  put_opsets(proto, *model.opsets);
  Wire wire;
  wire.append(to_bytes(proto));
  for (const auto& function : model.functions) {
    Wire bytes;
    bytes.append(function->proto);
    wire.append_message(onnx::ModelProto::kFunctionsFieldNumber, std::move(bytes));
  }
  wire.append_message(onnx::ModelProto::kGraphFieldNumber, write_graph(model.graph, external));
  return wire;
}

// --- two files -------------------------------------------------------------------------------------------------------

/// Names that a second file of the model at `path` may have: "<file>.data" for 0, "<file>.<n>.data" for others.
std::string data_name(const std::filesystem::path& path, int64_t n) {
  const std::string file = path.filename().string();
  return n == 0 ? file + ".data" : fmt::format("{}.{}.data", file, n);
}

bool something_at(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

/// Second files of the model that lies at `path` now and is going to be replaced.
std::vector<std::filesystem::path> find_superseded(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> candidates;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder_of(path), error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    if (is_data_file(path, path.parent_path() / entry->path().filename()))
      candidates.push_back(path.parent_path() / entry->path().filename());
  if (candidates.empty() || !something_at(path)) return {};
  const std::set<std::filesystem::path> used = external_files(path);
  std::erase_if(candidates, [&](const auto& candidate) { return !used.contains(candidate.lexically_normal()); });
  return candidates;
}

/// A file that is removed again unless it is kept.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path) : path_(std::move(path)) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  void keep() { path_.clear(); }

 private:
  std::filesystem::path path_;
};

void write_data(const ExternalFile& data, AtomicFile& file) {
  int64_t at = 0;
  for (const ExternalFile::Part& part : data.parts) {
    file.write(std::string(static_cast<size_t>(part.offset - at), '\0'));
    file.write(part.payload);
    at = part.offset + static_cast<int64_t>(part.payload.size());
  }
}

}  // namespace

bool is_data_file(const std::filesystem::path& path, const std::filesystem::path& file) {
  if (file.parent_path().lexically_normal() != path.parent_path().lexically_normal()) return false;
  const std::string name = file.filename().string();
  if (name == data_name(path, 0)) return true;
  const std::string start = path.filename().string() + ".";
  constexpr std::string_view kEnd = ".data";
  if (name.size() <= start.size() + kEnd.size() || !name.starts_with(start) || !name.ends_with(kEnd)) return false;
  return std::all_of(name.begin() + static_cast<ptrdiff_t>(start.size()),
                     name.end() - static_cast<ptrdiff_t>(kEnd.size()), [](char c) { return c >= '0' && c <= '9'; });
}

ModelWriter::ModelWriter(std::shared_ptr<const ir::Model> model, std::filesystem::path path, ExternalData external)
    : model_(std::move(model)), path_(std::move(path)), file_(path_) {
  const bool two = external == ExternalData::kAlways || (external == ExternalData::kAuto && model_->has_external_data);
  if (!two) wire_ = write_model(*model_, nullptr);
  if (two || (wire_.size() > kMostBytes && external != ExternalData::kNever)) {
    int64_t n = 0;
    while (something_at(path_.parent_path() / data_name(path_, n))) ++n;
    // Readers know initializers in a second file best, so other tensors go there only when the model doesn't fit
    // otherwise.
    for (const bool attributes : {false, true}) {
      data_ = {.location = data_name(path_, n), .attributes = attributes};
      wire_ = write_model(*model_, &data_);
      if (wire_.size() <= kMostBytes) break;
    }
  }
  if (wire_.size() > kMostBytes)
    fail(ErrorCode::kResourceLimit, "{}: the model takes {} bytes, more than protobuf's 2 GiB - 1", path_.string(),
         wire_.size());
  if (file_.is_nameless()) write();
}

void ModelWriter::write() {
  if (!data_.parts.empty()) {
    data_file_.emplace(data_path());
    write_data(data_, *data_file_);
    data_file_->begin_sync();
  }
  wire_.write_to(file_);
  file_.begin_sync();
  is_written_ = true;
  wire_ = {};
  data_.parts.clear();
  model_.reset();
}

std::vector<SavedFile> ModelWriter::commit() {
  if (!is_written_) write();
  const std::vector<std::filesystem::path> superseded = find_superseded(path_);
  std::vector<SavedFile> files{
      {path_, something_at(path_) ? SavedFile::Action::kReplaced : SavedFile::Action::kWritten}};
  if (data_file_) {
    data_file_->commit_new();
    files.push_back({data_path(), SavedFile::Action::kWritten});
  }
  NewFile written(data_file_ ? data_path() : std::filesystem::path());
  file_.commit();
  written.keep();
  std::error_code ignored;
  for (const auto& old : superseded)
    if (std::filesystem::remove(old, ignored)) files.push_back({old, SavedFile::Action::kRemoved});
  return files;
}

std::vector<SavedFile> save_model(const ir::Model& model, const std::filesystem::path& path, ExternalData external) {
  return ModelWriter({std::shared_ptr<void>(), &model}, path, external).commit();
}

std::string serialize_model(const ir::Model& model) {
  const Wire wire = write_model(model, nullptr);
  if (wire.size() > kMostBytes)
    fail(ErrorCode::kResourceLimit, "the model takes {} bytes, more than protobuf's 2 GiB - 1", wire.size());
  return wire.join();
}

}  // namespace pli
