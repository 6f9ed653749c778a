#include "runtime/core/files.h"

#include "runtime/core/error.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <random>
#include <system_error>
#include <thread>

namespace pli {

namespace {

/// Bytes that a file gets before the disk is to begin with them.
constexpr int64_t kBegunBytes = int64_t{16} << 20;

std::string system_message(int error) { return std::error_code(error, std::generic_category()).message(); }

/// Throws an Error about the file `name`.
template <class... Args>
[[noreturn]] void fail_at(const std::string& name, ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw in_context(Place::kFile, name, Error(code, fmt::format(format, std::forward<Args>(args)...)));
}

[[noreturn]] void fail_io(const std::string& name, std::string_view what, int error) {
  fail_at(name, ErrorCode::kIo, "{}: {}", what, system_message(error));
}

int open_retrying(int folder, const char* name, int flags, mode_t mode = 0) {
  int descriptor;
  do descriptor = ::openat(folder, name, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/// Closes on destruction.
struct Descriptor {
  int value = -1;
  explicit Descriptor(int v) : value(v) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  int release() { return std::exchange(value, -1); }
};

/// Makes a rename in `folder` durable. Some file systems can't sync a folder; that is no reason to fail.
void sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(open_retrying(AT_FDCWD, folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (descriptor.value >= 0) ::fsync(descriptor.value);
}

/// Where an open file or folder lies, as the kernel knows it: absolute, without links. Empty where there is no /proc.
std::filesystem::path path_of(int descriptor) {
  std::error_code error;
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", descriptor), error);
}

/// A name beside `path` that is not likely to be taken.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  constexpr size_t kMostKept = 200;  // of 255 bytes that a name may have
  thread_local std::mt19937_64 random{std::random_device{}()};
  return folder_of(path) / fmt::format(".{}.pli-tmp-{:016x}", path.filename().string().substr(0, kMostKept), random());
}

}  // namespace

InputFile::InputFile(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(descriptor_);
    fail_io(name_, "can't be read", error);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail_at(name_, ErrorCode::kIo, "not a regular file");
  }
  size_ = status.st_size;
}

InputFile::InputFile(const std::filesystem::path& path)
    // O_NONBLOCK: opening a pipe that nobody writes to must not wait.
    : InputFile(
          [&] {
            const int descriptor = open_retrying(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
            if (descriptor < 0) fail_io(path.string(), "can't be opened", errno);
            return descriptor;
          }(),
          path.string()) {}

InputFile InputFile::inside(std::span<const std::filesystem::path> folders, const std::string& location) {
  const auto refuse = [&](std::string_view why) {
    fail(ErrorCode::kInvalidModel, "external data location \"{}\" {}", location, why);
  };
  if (location.empty()) refuse("is empty");
  if (location.find('\0') != std::string::npos) refuse("holds a NUL byte");
  const std::filesystem::path relative(location);
  if (relative.is_absolute()) refuse("is absolute; it must lie in the model's folder");
  for (const auto& part : relative)
    if (part == "..") refuse("leaves the model's folder");
  if (!relative.has_filename() || relative.filename() == ".") refuse("is a folder");

  // O_PATH opens nothing yet: what lies outside is neither read nor, if it is a device or a pipe, disturbed.
  Descriptor found(-1);
  int error = ENOENT;
  std::vector<std::filesystem::path> roots;
  for (const std::filesystem::path& folder : folders) {
    const Descriptor root(open_retrying(AT_FDCWD, folder.empty() ? "." : folder.c_str(), O_PATH | O_DIRECTORY));
    if (root.value < 0) fail_io(folder.string(), "can't be opened", errno);
    roots.push_back(path_of(root.value));
    if (found.value >= 0 || error != ENOENT) continue;
    found.value = open_retrying(root.value, relative.c_str(), O_PATH);
    error = found.value < 0 ? errno : 0;
  }
  if (error == ENOTDIR) refuse("goes through a file");
  if (error != 0) fail_io((folders.front() / relative).string(), "external data can't be opened", error);
  const std::filesystem::path target = path_of(found.value);
  if (target.empty()) fail(ErrorCode::kIo, "external data can't be located: there is no /proc");
  if (std::ranges::none_of(roots, [&](const auto& root) { return lies_in(target, root); }))
    refuse(
        fmt::format("leads to {}, out of the model's folder; --allow-external DIR (LoadOptions::external_folders) lets "
                    "data lie in DIR, too",
                    target.string()));

  const std::string name = fmt::format("/proc/self/fd/{}", found.value);
  const int descriptor = open_retrying(AT_FDCWD, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) fail_io(target.string(), "external data can't be opened", errno);
  InputFile opened(descriptor, target.string());
  struct stat status {};
  if (::fstat(opened.descriptor_, &status) != 0) fail_io(opened.name_, "can't be read", errno);
  if (status.st_nlink > 1) refuse("has more than one hard link");
  return opened;
}

std::filesystem::path InputFile::resolved() const { return path_of(descriptor_); }

InputFile::InputFile(InputFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_), name_(std::move(other.name_)) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void InputFile::read(int64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_io(name_, "can't be read", errno);
    if (count == 0) fail_at(name_, ErrorCode::kIo, "became shorter while it was read");
    offset += count;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void InputFile::read(std::span<const Part> parts) const {
  constexpr size_t kPiece = size_t{2} << 20, kMostThreads = 4;
  std::vector<Part> pieces;
  size_t total = 0;
  for (auto [offset, to] : parts)
    for (; !to.empty(); to = to.subspan(pieces.back().to.size())) {
      pieces.push_back({offset, to.first(std::min(to.size(), kPiece))});
      offset += static_cast<int64_t>(pieces.back().to.size());
      total += pieces.back().to.size();
    }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) read(pieces[i].offset, pieces[i].to);
  };
  const size_t threads = std::min({total / kPiece, size_t{std::thread::hardware_concurrency()}, kMostThreads});
  std::vector<std::future<void>> others;
  try {
    while (others.size() + 1 < threads) others.push_back(std::async(std::launch::async, work));
  } catch (const std::system_error&) {  // no thread is to be had: this one does it
  }
  work();
  for (std::future<void>& other : others) other.get();
}

std::vector<std::byte> InputFile::read_all(int64_t most) const {
  if (size_ > most) fail_at(name_, ErrorCode::kResourceLimit, "{} bytes are more than the limit of {}", size_, most);
  std::vector<std::byte> bytes(static_cast<size_t>(size_));
  read(0, bytes);
  return bytes;
}

bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder) {
  return !folder.empty() && std::ranges::mismatch(folder, path).in1 == folder.end();
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const auto folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

namespace {

/// What a symbolic link leads to, or would if it were there.
std::filesystem::path target_of_link(const std::filesystem::path& link) {
  std::error_code error;
  std::filesystem::path target = std::filesystem::canonical(link, error);
  if (error) target = (folder_of(link) / std::filesystem::read_symlink(link, error)).lexically_normal();
  return target;
}

}  // namespace

void check_replaceable(const std::filesystem::path& path) {
  if (path.filename().empty()) fail_at(path.string(), ErrorCode::kIo, "names a folder, not a file");
  std::error_code error;
  const std::filesystem::path folder = folder_of(path);
  if (!std::filesystem::is_directory(folder, error))
    fail_at(path.string(), ErrorCode::kIo, "there is no folder {}", folder.string());
  struct stat old {};
  if (::lstat(path.c_str(), &old) != 0) {
    if (errno != ENOENT) fail_io(path.string(), "can't be written", errno);
    return;
  }
  if (S_ISLNK(old.st_mode))
    fail_at(path.string(), ErrorCode::kIo,
            "is a symbolic link, which is not written through; write to a new name, or to {} itself",
            target_of_link(path).string());
  if (!S_ISREG(old.st_mode)) fail_at(path.string(), ErrorCode::kIo, "is not a regular file");
}

AtomicFile::AtomicFile(const std::filesystem::path& path, bool named) : path_(path) {
  check_replaceable(path);
  struct stat old {};
  const bool exists = ::lstat(path.c_str(), &old) == 0;
  // A file without a name vanishes with the process that is killed; it is named through /proc.
  if (!named && ::access("/proc/self/fd", X_OK) == 0)
    descriptor_ = open_retrying(AT_FDCWD, folder_of(path).c_str(), O_TMPFILE | O_WRONLY, 0666);
  while (descriptor_ < 0) {
    temporary_ = temporary_name(path);
    descriptor_ = open_retrying(AT_FDCWD, temporary_.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0666);
    if (descriptor_ < 0 && errno != EEXIST) fail_writing(errno);
  }
  if (exists && ::fchmod(descriptor_, old.st_mode & 07777) != 0) {
    const int error = errno;
    discard();
    fail_writing(error);
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (syncing_.valid()) syncing_.wait();
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail_writing(int error) const { fail_io(path_.string(), "can't be written", error); }

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_writing(errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
    waiting_ += count;
    if (waiting_ >= kBegunBytes) start_writing_back();
  }
}

void AtomicFile::write(std::string_view bytes) { write(std::as_bytes(std::span(bytes))); }

/// Lets the disk work on what there is, without waiting for it.
void AtomicFile::start_writing_back() {
  // Where the system can't, there is fsync. What is on its way already is not written once more.
  (void)::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
  waiting_ = 0;
}

void AtomicFile::begin_sync() {
  start_writing_back();
  try {
    syncing_ = std::async(std::launch::async, [file = descriptor_] { return ::fsync(file) == 0 ? 0 : errno; });
  } catch (const std::system_error&) {  // no thread is to be had: commit() does it
  }
}

/// An error is told but once, so that of the first call counts, too.
void AtomicFile::sync() {
  if (syncing_.valid())
    if (const int error = syncing_.get()) fail_writing(error);
  if (::fsync(descriptor_) != 0) fail_writing(errno);
}

bool AtomicFile::link_as(const std::filesystem::path& name) const {
  const std::string source = temporary_.empty() ? fmt::format("/proc/self/fd/{}", descriptor_) : temporary_.string();
  if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  fail_writing(errno);
}

void AtomicFile::close_written() {
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_writing(errno);
}

void AtomicFile::commit() {
  sync();
  while (temporary_.empty()) {
    std::filesystem::path name = temporary_name(path_);
    if (link_as(name)) temporary_ = std::move(name);
  }
  close_written();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_writing(errno);
  temporary_.clear();
  sync_folder(folder_of(path_));
}

void AtomicFile::commit_new() {
  sync();
  if (!link_as(path_)) fail_at(path_.string(), ErrorCode::kIo, "has come to exist while it was written");
  close_written();
  discard();
  sync_folder(folder_of(path_));
}

}  // namespace pli
