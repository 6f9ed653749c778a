#pragma once

#include "runtime/onnx/save.h"

#include <pli/model.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pli::tools {

class CommandLine;

/// What the user says about reading models, as it stands on the command line.
struct ModelOptions {
  std::vector<std::string> external_folders;

  LoadOptions load_options() const { return {{}, {external_folders.begin(), external_folders.end()}}; }
};

/// --allow-external.
void add_model_flags(CommandLine& line, ModelOptions& options);

/// The path that stands for standard input and standard output.
inline constexpr const char* kStandardStream = "-";

/// The model that the user named; "-" is standard input, where external data is refused, and which can be read once.
/// `bytes`, if given, become those of the model's files, external data included.
Model read_model(const std::string& path, const ModelOptions& options, int64_t* bytes = nullptr);

/// Of a file; 0 when there is none.
int64_t bytes_of(const std::filesystem::path& file);

/// What writing a file of this name will do to it.
SavedFile about_to_write(const std::string& path);

/// A model that was written.
struct WrittenModel {
  std::vector<SavedFile> files;
  int64_t bytes = 0;  // of all of them together
};

/// A model on its way to `path`: see pli::ModelWriter. "-" is standard output, and no file; nothing goes there before
/// commit().
class OutputModel {
 public:
  /// kInvalidArgument when standard output is a terminal.
  OutputModel(const Model& model, const std::string& path, ExternalData external);

  WrittenModel commit();

 private:
  std::shared_ptr<const ir::Model> model_;  // for standard output
  std::optional<ModelWriter> writer_;       // for a file
};

}  // namespace pli::tools
