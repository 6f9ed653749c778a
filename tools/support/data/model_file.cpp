#include "tools/support/data/model_file.h"

#include "runtime/core/error.h"
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

Model read_model(const std::string& path, const ModelOptions& options) {
  if (path != kStandardStream) return Model::load(path, options.load_options());
  return in_file("standard input", [] {
    const Limits limits;
    return Model::parse(read_standard_input(limits.model_bytes), limits);
  });
}

SavedFile about_to_write(const std::string& path) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  return {path, exists ? SavedFile::Action::kReplaced : SavedFile::Action::kWritten};
}

std::vector<SavedFile> write_model(const Model& model, const std::string& path, ExternalData external) {
  if (path != kStandardStream) return save_model(*model.ir(), path, external);
  if (::isatty(STDOUT_FILENO) == 1)
    fail(ErrorCode::kInvalidArgument, "the model goes to standard output, which is a terminal; give it a file");
  const std::string bytes = serialize_model(*model.ir());
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);  // whoever runs the command looks whether that went well
  return {};
}

}  // namespace pli::tools
