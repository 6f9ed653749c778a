#include "tools/support/data/model_file.h"

#include "runtime/core/error.h"
#include "runtime/onnx/load.h"
#include "tools/support/console/command_line.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <unistd.h>

namespace pli::tools {

namespace {

/// All of standard input. kResourceLimit when it is more than `most` bytes.
std::vector<std::byte> read_standard_input(int64_t most) {
  std::vector<std::byte> bytes;
  std::byte block[1 << 16];
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, block, sizeof(block));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(ErrorCode::kIo, "can't be read: {}", std::generic_category().message(errno));
    if (count == 0) return bytes;
    bytes.insert(bytes.end(), block, block + count);
    if (static_cast<int64_t>(bytes.size()) > most)
      fail(ErrorCode::kResourceLimit, "more than the limit of {} bytes", most);
  }
}

}  // namespace

void add_model_flags(CommandLine& line, ModelOptions& options) {
  line.add({.names = "--allow-external",
            .target = &options.external_folders,
            .help = "external data may lie in this folder, too",
            .value = "DIR"});
}

Model read_model(const std::string& path, const ModelOptions& options, int64_t* bytes) {
  if (path == kStandardStream)
    return in_file("standard input", [&] {
      const Limits limits;
      const std::vector<std::byte> read = read_standard_input(limits.model_bytes);
      if (bytes) *bytes = static_cast<int64_t>(read.size());
      return Model::parse(read, limits);
    });
  Model model = Model::load(path, options.load_options());
  if (!bytes) return model;
  *bytes = bytes_of(path);
  if (model.ir()->has_external_data)
    for (const auto& file : external_files(path, options.load_options().external_folders)) *bytes += bytes_of(file);
  return model;
}

int64_t bytes_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

SavedFile about_to_write(const std::string& path) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  return {path, exists ? SavedFile::Action::kReplaced : SavedFile::Action::kWritten};
}

OutputModel::OutputModel(const Model& model, const std::string& path, ExternalData external) {
  if (path != kStandardStream)
    writer_.emplace(model.ir(), path, external);
  else if (::isatty(STDOUT_FILENO) == 1)
    fail(ErrorCode::kInvalidArgument, "the model goes to standard output, which is a terminal; give it a file");
  else
    model_ = model.ir();
}

WrittenModel OutputModel::commit() {
  WrittenModel written;
  if (writer_) {
    written.files = writer_->commit();
    for (const SavedFile& file : written.files)
      if (file.action != SavedFile::Action::kRemoved) written.bytes += bytes_of(file.path);
    return written;
  }
  const std::string bytes = serialize_model(*model_);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);  // whoever runs the command looks whether that went well
  return {{}, static_cast<int64_t>(bytes.size())};
}

}  // namespace pli::tools
