#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pli {

/// A regular file opened to read: no device, pipe or folder, and never a wait for one. Its size is read from the open
/// file.
class InputFile {
 public:
  /// kIo when it can't be opened or is no regular file.
  explicit InputFile(const std::filesystem::path& path);

  /// Opens `location`, a path from an untrusted model: relative to the first of `folders` where there is such a file.
  /// It holds no "..", and what it leads to lies in one of the folders, wherever symbolic links go, and has no other
  /// hard link: the file is checked after it was opened, so that nothing can change under the check. kInvalidModel when
  /// it is not so, kIo when it can't be opened.
  static InputFile inside(std::span<const std::filesystem::path> folders, const std::string& location);

  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  int64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }

  /// Where the open file lies, symbolic links followed. Empty where the system has no /proc to say so.
  std::filesystem::path resolved() const;

  /// Reads exactly `bytes.size()` bytes from `offset`. kIo when the file has become shorter.
  void read(int64_t offset, std::span<std::byte> bytes) const;

  /// Bytes of the file, and where they go.
  struct Part {
    int64_t offset = 0;
    std::span<std::byte> to;
  };

  /// Reads all of them, by several threads where there is much to read: the time goes into finding pages and copying.
  void read(std::span<const Part> parts) const;

  /// The whole file. kResourceLimit when it has more than `most` bytes.
  std::vector<std::byte> read_all(int64_t most) const;

 private:
  InputFile(int descriptor, std::string name);

  int descriptor_ = -1;
  int64_t size_ = 0;
  std::string name_;
};

/// Whether `path` is `folder` or below it, both of them absolute and without links. False for an empty folder.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

/// The folder that holds `path`, which is "." for a mere name.
std::filesystem::path folder_of(const std::filesystem::path& path);

/// Throws kIo where no AtomicFile can be made: `path` is a symbolic link or no regular file, or there is no such
/// folder.
void check_replaceable(const std::filesystem::path& path);

/// A file that appears at `path` whole or not at all: written without a name, or under a temporary one in the same
/// folder where the file system needs a name, synced, then given its own. Destroyed before `commit`, it leaves nothing
/// behind.
class AtomicFile {
 public:
  /// kIo when `path` is a symbolic link or no regular file, or its folder can't be written to.
  /// `named`: use a temporary name even where none is needed.
  explicit AtomicFile(const std::filesystem::path& path, bool named = false);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// kIo when the disk is full or fails.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes);

  /// Nothing of it would be left if the process were killed now.
  bool is_nameless() const { return temporary_.empty(); }

  /// Makes what was written durable while the caller does something else: commit() then waits for what is left of it.
  void begin_sync();

  /// Makes the file durable and gives it its name. A file that is replaced hands its permissions on.
  void commit();

  /// The same where no file may be replaced: kIo when there is one by now.
  void commit_new();

 private:
  [[noreturn]] void fail_writing(int error) const;
  void start_writing_back();
  void sync();
  void discard();
  bool link_as(const std::filesystem::path& name) const;
  void close_written();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty while the file has no name
  int descriptor_ = -1;
  int64_t waiting_ = 0;       // bytes that were written since start_writing_back()
  std::future<int> syncing_;  // to become what it failed for, or 0
};

}  // namespace pli
