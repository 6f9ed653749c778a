#include "runtime/core/files.h"

#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace pli::test {

namespace {

constexpr ErrorCode kIo = ErrorCode::kIo;
constexpr ErrorCode kInvalid = ErrorCode::kInvalidModel;

std::string text_of(const InputFile& file) {
  const std::vector<std::byte> bytes = file.read_all(INT64_MAX);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

InputFile inside(const std::filesystem::path& folder, const std::string& location) {
  return InputFile::inside(std::span(&folder, 1), location);
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

// --- reading ---------------------------------------------------------------------------------------------------------

TEST(InputFile, ReadsARegularFile) {
  const TemporaryFolder folder;
  write_file(folder / "f", "0123456789");
  const InputFile file(folder / "f");
  EXPECT_EQ(file.size(), 10);
  EXPECT_EQ(text_of(file), "0123456789");
  EXPECT_EQ(file.read_all(10).size(), 10u);
  EXPECT_TRUE(fails_with(ErrorCode::kResourceLimit, "more than the limit of 9", [&] { (void)file.read_all(9); }));
  std::string middle(4, '\0');
  file.read(3, std::as_writable_bytes(std::span(middle)));
  EXPECT_EQ(middle, "3456");
  EXPECT_TRUE(fails_with(kIo, "became shorter", [&] { file.read(8, std::as_writable_bytes(std::span(middle))); }));
}

/// More than one thread reads, and parts of any size: none is read twice, none is left out.
TEST(InputFile, ReadsManyPartsAtOnce) {
  const TemporaryFolder folder;
  std::string text(size_t{9} << 20, '\0');
  std::mt19937 random(3);
  std::ranges::generate(text, [&] { return static_cast<char>(random()); });
  write_file(folder / "f", text);
  const InputFile file(folder / "f");
  file.read(std::span<const InputFile::Part>());
  // Small ones, one of several pieces that is no multiple of them, all of it, none of it.
  const std::vector<std::pair<size_t, size_t>> ranges{{5, 1},           {77, 1000},       {4099, size_t{5} << 20 | 13},
                                                      {0, text.size()}, {text.size(), 0}, {text.size() - 1, 1}};
  std::vector<std::string> read;
  for (const auto& [offset, size] : ranges) read.emplace_back(size, '?');
  std::vector<InputFile::Part> parts;
  for (size_t i = 0; i < ranges.size(); ++i)
    parts.push_back({static_cast<int64_t>(ranges[i].first), std::as_writable_bytes(std::span(read[i]))});
  file.read(parts);
  for (size_t i = 0; i < ranges.size(); ++i)
    EXPECT_EQ(read[i], text.substr(ranges[i].first, ranges[i].second)) << "part " << i;

  // Cut short meanwhile: an error, whichever thread meets it.
  for (const size_t left : {size_t{0}, size_t{8} << 20, text.size() - 1}) {
    std::filesystem::resize_file(folder / "f", left);
    EXPECT_TRUE(fails_with(kIo, "became shorter", [&] { file.read(parts); })) << left;
  }
}

TEST(InputFile, FollowsALinkThatItsCallerNames) {
  const TemporaryFolder folder;
  write_file(folder / "f", "text");
  std::filesystem::create_symlink("f", folder / "link");
  EXPECT_EQ(text_of(InputFile(folder / "link")), "text");
}

TEST(InputFile, RefusesWhatIsNoRegularFileWithoutWaiting) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [&] { InputFile file(folder / "pipe"); }));
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [&] { InputFile file(folder.path()); }));
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [] { InputFile file("/dev/null"); }));
  EXPECT_TRUE(fails_with(kIo, "No such file", [&] { InputFile file(folder / "none"); }));
}

TEST(InputFile, NoDescriptorIsLeftOpen) {
  const auto open_files = [] {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return std::distance(begin(files), end(files));
  };
  const TemporaryFolder folder;
  write_file(folder / "f", "text");
  const auto before = open_files();
  for (int i = 0; i < 3; ++i) {
    (void)inside(folder.path(), "f");
    EXPECT_TRUE(fails_with(kIo, "", [&] { InputFile file(folder.path()); }));
    EXPECT_TRUE(fails_with(kIo, "", [&] { inside(folder.path(), "none"); }));
    EXPECT_TRUE(fails_with(kInvalid, "", [&] { inside(folder.path(), "../f"); }));
    AtomicFile(folder / "g").write("x");
  }
  EXPECT_EQ(open_files(), before);
}

TEST(InputFileInside, OpensWhatLiesInTheFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  write_file(folder / "a/b/f", "text");
  write_file(folder / "..name", "dots");
  for (const char* location : {"a/b/f", "./a/b/f", "a//b/f", "a/./b/f"})
    EXPECT_EQ(text_of(inside(folder.path(), location)), "text") << location;
  EXPECT_EQ(text_of(inside(folder.path(), "..name")), "dots");
}

TEST(InputFileInside, DoesNotLeaveTheFolder) {
  const TemporaryFolder outer;
  std::filesystem::create_directories(outer / "in/a");
  write_file(outer / "secret", "text");
  write_file(outer / "in/f", "text");
  write_file(outer / "in/g", "text");
  std::filesystem::create_symlink("../secret", outer / "in/out");
  std::filesystem::create_directory_symlink("..", outer / "in/up");
  std::filesystem::create_symlink("/dev/null", outer / "in/device");
  std::filesystem::create_symlink("loop", outer / "in/loop");
  std::filesystem::create_directory(outer / "inside");
  write_file(outer / "inside/f", "text");
  std::filesystem::create_symlink("../inside/f", outer / "in/neighbour");
  std::filesystem::create_hard_link(outer / "in/g", outer / "in/a/hard");
  const auto refuses = [&](const std::string& location, std::string_view words) {
    return fails_with(kInvalid, words, [&] { inside(outer / "in", location); });
  };
  EXPECT_TRUE(refuses("../secret", "leaves"));
  EXPECT_TRUE(refuses("a/../../secret", "leaves"));
  EXPECT_TRUE(refuses("a/..", "leaves"));
  EXPECT_TRUE(refuses((outer / "in/f").string(), "absolute"));
  for (const char* way_out : {"out", "up/secret", "device", "neighbour"}) EXPECT_TRUE(refuses(way_out, "leads to /"));
  EXPECT_TRUE(refuses("out", "--allow-external DIR"));
  EXPECT_TRUE(fails_with(kIo, "can't be opened", [&] { inside(outer / "in", "loop"); }));
  EXPECT_TRUE(refuses("a/hard", "hard link"));
  EXPECT_TRUE(refuses("g", "hard link"));
  EXPECT_TRUE(refuses("f/x", "a file"));
  EXPECT_TRUE(refuses("", "empty"));
  EXPECT_TRUE(refuses(".", "folder"));
  EXPECT_TRUE(refuses("a/", "folder"));
  EXPECT_TRUE(refuses(std::string("f\0g", 3), "NUL"));
}

TEST(InputFileInside, FollowsLinksThatStay) {
  const TemporaryFolder outer;
  std::filesystem::create_directories(outer / "in/a");
  write_file(outer / "in/a/f", "text");
  std::filesystem::create_symlink("a/f", outer / "in/soft");
  std::filesystem::create_directory_symlink("a", outer / "in/soft_folder");
  std::filesystem::create_symlink(outer / "in/a/f", outer / "in/absolute");
  std::filesystem::create_directory_symlink("in", outer / "named");
  for (const char* location : {"soft", "soft_folder/f", "absolute"})
    for (const char* folder : {"in", "named"}) EXPECT_EQ(text_of(inside(outer / folder, location)), "text") << location;
}

TEST(InputFileInside, LooksInOneFolderAfterTheOtherAndStaysInAnyOfThem) {
  const TemporaryFolder outer;
  const std::vector<std::filesystem::path> folders{outer / "first", outer / "second"};
  for (const auto& folder : folders) std::filesystem::create_directory(folder);
  write_file(folders[0] / "f", "first");
  write_file(folders[1] / "f", "second");
  write_file(folders[1] / "g", "second");
  std::filesystem::create_symlink("../second/f", folders[0] / "link");
  std::filesystem::create_symlink("nowhere", folders[0] / "g");
  EXPECT_EQ(text_of(InputFile::inside(folders, "f")), "first");
  EXPECT_EQ(text_of(InputFile::inside(folders, "g")), "second");
  EXPECT_EQ(text_of(InputFile::inside(folders, "link")), "second");
  EXPECT_TRUE(fails_with(kInvalid, "leads to", [&] { inside(folders[0], "link"); }));
  EXPECT_TRUE(fails_with(kIo, "first/none", [&] { InputFile::inside(folders, "none"); }));
}

// --- writing ---------------------------------------------------------------------------------------------------------

/// With and without a temporary name.
class AtomicFiles : public testing::TestWithParam<bool> {
 protected:
  TemporaryFolder folder;
  std::filesystem::path path = folder / "out";
  bool named = GetParam();
};

TEST_P(AtomicFiles, AppearWhenCommitted) {
  AtomicFile file(path, named);
  file.write("some ");
  file.write("text");
  EXPECT_FALSE(std::filesystem::exists(path));
  file.commit();
  EXPECT_EQ(read_file(path), "some text");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
}

TEST_P(AtomicFiles, AreMadeDurableMeanwhile) {
  AtomicFile file(path, named);
  file.write("some ");
  file.begin_sync();
  EXPECT_FALSE(std::filesystem::exists(path));
  file.write("text");  // commit() does it once more
  file.commit();
  EXPECT_EQ(read_file(path), "some text");
}

TEST_P(AtomicFiles, LeaveNothingWhenGivenUp) {
  write_file(path, "old");
  {
    AtomicFile file(path, named);
    file.write("new");
    file.begin_sync();
  }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
}

TEST_P(AtomicFiles, ReplaceAFileAndKeepItsMode) {
  write_file(path, "old and longer");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  AtomicFile file(path, named);
  file.write("new");
  file.commit();
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(mode_of(path), 0640u);
}

TEST_P(AtomicFiles, HonourTheMaskOfTheProcess) {
  const mode_t before = ::umask(077);
  AtomicFile file(path, named);
  file.commit();
  ::umask(before);
  EXPECT_EQ(mode_of(path), 0600u);
}

TEST_P(AtomicFiles, ANewFileReplacesNone) {
  {
    AtomicFile file(path, named);
    file.write("first");
    file.commit_new();
  }
  AtomicFile file(path, named);
  file.write("second");
  EXPECT_TRUE(fails_with(kIo, "has come to exist", [&] { file.commit_new(); }));
  EXPECT_EQ(read_file(path), "first");
}

TEST_P(AtomicFiles, HaveNoOtherNameAfterwards) {
  AtomicFile file(path, named);
  file.commit_new();
  EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
  EXPECT_EQ(std::filesystem::hard_link_count(path), 1u);
}

TEST_P(AtomicFiles, MayHaveLongNames) {
  const std::filesystem::path longest = folder / std::string(255, 'n');
  AtomicFile file(longest, named);
  file.write("x");
  file.commit();
  EXPECT_EQ(read_file(longest), "x");
  EXPECT_TRUE(fails_with(kIo, "too long", [&] { AtomicFile too_long(folder / std::string(256, 'n'), named); }));
}

TEST_P(AtomicFiles, RefuseLinksFoldersAndDevices) {
  write_file(folder / "victim", "as it was");
  std::filesystem::create_symlink("victim", folder / "link");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const auto open = [&](const std::filesystem::path& at) { AtomicFile file(at, named); };
  EXPECT_TRUE(fails_with(kIo, "symbolic link", [&] { open(folder / "link"); }));
  EXPECT_TRUE(fails_with(kIo, "to " + (folder / "nowhere").string() + " itself", [&] { open(folder / "dangling"); }));
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [&] { open(folder / "pipe"); }));
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [&] { open(folder.path()); }));
  EXPECT_TRUE(fails_with(kIo, "not a regular file", [&] { open("/dev/full"); }));
  EXPECT_TRUE(fails_with(kIo, "names a folder", [&] { open(folder / "x/"); }));
  EXPECT_TRUE(fails_with(kIo, "there is no folder", [&] { open(folder / "nowhere/x"); }));
  EXPECT_TRUE(fails_with(kIo, "there is no folder", [&] { open(folder / "victim/x"); }));
  EXPECT_EQ(read_file(folder / "victim"), "as it was");
}

INSTANTIATE_TEST_SUITE_P(Core, AtomicFiles, testing::Bool(),
                         [](const auto& given) { return given.param ? "Named" : "Unnamed"; });

}  // namespace

}  // namespace pli::test
