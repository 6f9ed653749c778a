#pragma once

#include <pli/model.h>
#include <pli/value.h>

#include <filesystem>
#include <string>
#include <vector>

namespace pli::tools {

/// A file for each output of a model. Names come from the model, so what could lead out of the folder becomes '_'.
class OutputFiles {
 public:
  /// No files when `folder` is empty. kInvalidArgument when two outputs would become one file.
  OutputFiles(const Model& model, const std::filesystem::path& folder, bool protobuf);

  /// Makes the folder when it is not there and writes each output; the paths written.
  std::vector<std::string> write(const NamedValues& outputs) const;

 private:
  std::filesystem::path folder_;
  std::vector<std::string> names_;  // of the files, parallel to the model's outputs
};

/// Whether `file` is the model at `path`, or holds weights of the one that is there or may be written there.
bool is_part_of_model(const std::filesystem::path& file, const std::filesystem::path& path);

}  // namespace pli::tools
