#pragma once

#include <pli/export.h>
#include <pli/limits.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pli {

namespace ir {
struct Model;
}

/// How `Model::save` lays weights out on disk.
enum class ExternalData {
  kAuto,    // as the model was loaded: one file or two; two when one would pass 2 GiB
  kAlways,  // weights of 1 KiB and more go to a second file beside the first, named <file>.data, or <file>.<n>.data
            // where there is such a file already
  kNever,   // one file; kResourceLimit when it would pass 2 GiB
};

struct LoadOptions {
  Limits limits{};
  /// Folders that external data may lie in, beside the model's own.
  std::vector<std::filesystem::path> external_folders{};
};

/// What a model says of itself. What it does not say is empty or 0.
struct ModelMetadata {
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;  // domain, "" for ONNX's own -> version
  std::string producer_name;
  std::string producer_version;
  std::string domain;
  int64_t model_version = 0;
  std::string doc_string;
  std::string graph_name;
  std::vector<std::pair<std::string, std::string>> properties;  // metadata_props, in the model's order
};

/// An ONNX model in memory. A value type: a copy is cheap and shares the weights. Everything in a model that Pli does
/// not understand is kept and written back by `save`.
class PLI_API Model {
 public:
  /// Reads `path`, and external data from the folder of `path`; where `path` is a symbolic link also from the folder
  /// that it leads to, unless that is the home folder or one above; and from options.external_folders. Symbolic links
  /// of the data are followed within these.
  /// kIo: can't be read, or not a regular file. kInvalidModel: not a valid ONNX model. kResourceLimit: beyond
  /// the limits.
  static Model load(const std::filesystem::path& path, const LoadOptions& options = {});

  /// The same from memory. External data is refused: there is no folder that it could lie in.
  static Model parse(std::span<const std::byte> bytes, const Limits& limits = {});

  /// Writes the model: whole or not at all, also when the process is killed. The same model gives the same bytes; in
  /// two files it does where the second has the same name. A model at `path` is replaced, and then its second file is
  /// removed if it is named <file>.data or <file>.<n>.data; every other file stays.
  /// kIo when `path` can't be written or is a symbolic link or no regular file; then an old file at `path` is as
  /// before.
  void save(const std::filesystem::path& path, ExternalData external = ExternalData::kAuto) const;

  ModelMetadata metadata() const;

  Model(const Model&);
  Model(Model&&) noexcept;
  Model& operator=(const Model&);
  Model& operator=(Model&&) noexcept;
  ~Model();

  /// The graph behind it, for the library itself: the type is not part of the public interface. kInvalidArgument: null.
  explicit Model(std::shared_ptr<const ir::Model> ir);
  const std::shared_ptr<const ir::Model>& ir() const& { return ir_; }
  std::shared_ptr<const ir::Model> ir() const&& { return ir_; }

 private:
  std::shared_ptr<const ir::Model> ir_;
};

}  // namespace pli
