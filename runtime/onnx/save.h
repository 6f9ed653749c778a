#pragma once

#include "runtime/ir/graph.h"

#include <pli/model.h>

#include <filesystem>
#include <string>
#include <vector>

namespace pli {

/// What saving a model did to one file.
struct SavedFile {
  enum class Action { kWritten, kReplaced, kRemoved };

  std::filesystem::path path;
  Action action = Action::kWritten;
};

/// Writes the model to `path`: whole or not at all, also when the process is killed. Where weights go to a second file
/// beside it, that one is written first, under a name that no file has (`<file>.data`, else `<file>.<n>.data`), so that
/// until the model itself is replaced the old pair is as before; after that the old model's second file, if it had one
/// of these names, is removed. No name is taken from the model. kIo when a file can't be written; kResourceLimit when
/// the model passes protobuf's 2 GiB - 1 and may not have two files. Gives what became of each file, the model's first.
std::vector<SavedFile> save_model(const ir::Model& model, const std::filesystem::path& path, ExternalData external);

/// Whether `file` has a name that save_model() may give to the second file of the model at `path`.
bool is_data_file(const std::filesystem::path& path, const std::filesystem::path& file);

/// The model as one file. The same model gives the same bytes.
std::string serialize_model(const ir::Model& model);

}  // namespace pli
