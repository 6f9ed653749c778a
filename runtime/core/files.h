#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace pli {

/// A regular file opened to read: no device, pipe or folder, and never a wait for one. Its size is read from the open file.
class InputFile {
 public:
  /// kIo when it can't be opened or is no regular file.
  explicit InputFile(const std::filesystem::path& path);

  /// Opens `location`, a path from an untrusted model, inside `folder`: relative, no "..", no symbolic link on the way, no
  /// hard link. kInvalidModel when it is not so, kIo when it can't be opened.
  static InputFile inside(const std::filesystem::path& folder, const std::string& location);

  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  int64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }

  /// Reads exactly `bytes.size()` bytes from `offset`. kIo when the file has become shorter.
  void read(int64_t offset, std::span<std::byte> bytes) const;

 private:
  InputFile(int descriptor, std::string name);

  int descriptor_ = -1;
  int64_t size_ = 0;
  std::string name_;
};

/// A file that appears at `path` whole or not at all: written beside it under a temporary name, synced, then renamed.
/// Destroyed before `commit`, it leaves nothing behind.
class AtomicFile {
 public:
  /// kIo when `path` is a symbolic link or no regular file, or its folder can't be written to.
  explicit AtomicFile(const std::filesystem::path& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// kIo when the disk is full or fails.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes);

  /// Makes the file durable and gives it its name. An existing file keeps its permissions.
  void commit();

  int descriptor() const { return descriptor_; }

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace pli
