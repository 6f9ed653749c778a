#pragma once

#include "runtime/core/files.h"
#include "runtime/ir/graph.h"
#include "runtime/onnx/graph_writer.h"

#include <pli/model.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pli {

/// What saving a model did to one file.
struct SavedFile {
  enum class Action { kWritten, kReplaced, kRemoved };

  std::filesystem::path path;
  Action action = Action::kWritten;
};

/// A model on its way to `path`, where it appears whole or not at all, also when the process is killed. Where weights
/// go to a second file beside it, that one appears first, under a name that no file has (`<file>.data`, else
/// `<file>.<n>.data`), so that until the model itself is replaced the old pair is as before; after that the old model's
/// second file, if it had one of these names, is removed. No name is taken from the model.
class ModelWriter {
 public:
  /// Writes the bytes, and lets the disk work on them, where a file needs no name for that, and lets go of the model;
  /// else that is left to commit(). kIo when a file can't be written; kResourceLimit when the model passes protobuf's 2
  /// GiB - 1 and may not have two files.
  ModelWriter(std::shared_ptr<const ir::Model> model, std::filesystem::path path, ExternalData external);

  /// What became of each file, the model's first. kIo.
  std::vector<SavedFile> commit();

 private:
  void write();
  std::filesystem::path data_path() const { return path_.parent_path() / data_.location; }

  std::shared_ptr<const ir::Model> model_;
  std::filesystem::path path_;
  AtomicFile file_;
  std::optional<AtomicFile> data_file_;
  ExternalFile data_;
  Wire wire_;
  bool is_written_ = false;
};

/// Both at once. `model` need not outlive the call.
std::vector<SavedFile> save_model(const ir::Model& model, const std::filesystem::path& path, ExternalData external);

/// Whether `file` has a name that save_model() may give to the second file of the model at `path`.
bool is_data_file(const std::filesystem::path& path, const std::filesystem::path& file);

/// The model as one file. The same model gives the same bytes.
std::string serialize_model(const ir::Model& model);

}  // namespace pli
