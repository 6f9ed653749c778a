// The shell scripts on machines that lack something, played by programs that stand in for Debian's.

#include "tests/subprocess.h"

#include <gtest/gtest.h>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

const std::string kTools = PLI_SOURCE_DIR "/tools/";

class Scripts : public testing::Test {
 protected:
  /// A program in a folder that comes first in the PATH.
  void stand_in(const std::string& name, const std::string& body) {
    fs::create_directory(folder_ / "bin");
    write_file(folder_ / "bin" / name, "#!/bin/bash\n" + body + "\n");
    fs::permissions(folder_ / "bin" / name, fs::perms::owner_all);
  }

  /// install_packages.sh for the packages one, two and three, from another folder than its own.
  Finished install() {
    write_file(folder_ / "list of packages.txt", "one\ntwo  # why\n\nthree\n");
    const char* path = std::getenv("PATH");
    return run_program({kTools + "install_packages.sh", "list of packages.txt"}, folder_.path(),
                       {"PATH=" + (folder_ / "bin").string() + ":" + (path ? path : "")});
  }

  /// It failed, with one line that holds all of `parts`.
  static void expect_one_line(const Finished& finished, const std::vector<std::string>& parts) {
    EXPECT_EQ(finished.code, 1) << finished.out << finished.err;
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
    for (const std::string& part : parts) EXPECT_NE(finished.err.find(part), std::string::npos) << finished.err;
  }

  /// dpkg-query's answer for each package.
  void packages(const std::string& lines) { stand_in("dpkg-query", "printf '" + lines + "'"); }

  TemporaryFolder folder_;
};

const std::string kAllThere = "one installed\\ntwo installed\\nthree installed\\n";
const std::string kHalfThere = "one installed\\ntwo half-configured\\n";  // dpkg says nothing of three

TEST_F(Scripts, AskForNothingWhereEverythingIsThere) {
  packages(kAllThere);
  stand_in("apt-get", "echo called >&2; exit 1");
  const Finished finished = install();
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(finished.out + finished.err, "");
}

TEST_F(Scripts, InstallWhatIsMissingOrHalfInstalled) {
  packages(kHalfThere);
  stand_in("id", "echo 0");
  stand_in("apt-get", "echo \"$*\" >> calls");
  const Finished finished = install();
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(finished.out, "installing three two\n");
  const std::string calls = read_file(folder_ / "calls");
  EXPECT_NE(calls.find(" update "), std::string::npos) << calls;
  EXPECT_NE(calls.find("--no-install-recommends three two\n"), std::string::npos) << calls;
}

TEST_F(Scripts, SayWhyAptFailed) {
  packages(kHalfThere);
  stand_in("id", "echo 0");
  stand_in("apt-get",
           "echo 'Err:1 http://deb.debian.org InRelease'; echo '  no route'; echo 'E: Failed to fetch "
           "http://deb.debian.org' >&2; exit 100");
  expect_one_line(install(), {"apt-get update failed (Failed to fetch http://deb.debian.org)",
                              "apt-get install --no-install-recommends three two"});
}

TEST_F(Scripts, SayWhatToRunAsRoot) {
  packages(kHalfThere);
  stand_in("id", "echo 1000");
  stand_in("apt-get", "echo called >&2; exit 1");
  stand_in("sudo", "exit 1");  // wants a password, and nobody is there to give it
  expect_one_line(install(), {"sudo wants a password", "apt-get install --no-install-recommends three two"});
}

TEST_F(Scripts, NameAListThatIsNotThere) {
  const Finished finished = run_program({kTools + "install_packages.sh", "nowhere.txt"}, folder_.path());
  expect_one_line(finished, {"nowhere.txt"});
  expect_one_line(run_program({kTools + "install_packages.sh", "."}, folder_.path()), {"."});
  write_file(folder_ / "empty.txt", "# nothing\n");
  EXPECT_EQ(run_program({kTools + "install_packages.sh", "empty.txt"}, folder_.path()).code, 0);
}

TEST_F(Scripts, MakeManPagesUnderAPathWithSpaces) {
  if (run_program({"help2man", "--version"}, "/").code != 0) GTEST_SKIP() << "there is no help2man";
  fs::create_directory(folder_ / "a place");
  fs::create_symlink(PLI_BINARY_DIR "/bin", folder_ / "a place/bin");
  const Finished made = run_program({kTools + "make_man_pages.sh", "a place/bin", "a place"}, folder_.path());
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_NE(read_file(folder_ / "a place/onnx-run.1").find(".SH SYNOPSIS"), std::string::npos);
}

TEST_F(Scripts, TeachAndRefuse) {
  for (const auto& entry : fs::directory_iterator(kTools)) {
    if (entry.path().extension() != ".sh") continue;
    const Finished help = run_program({entry.path(), "--help"}, folder_.path());
    EXPECT_EQ(help.code, 0) << entry.path();
    EXPECT_EQ(help.out.find("usage: tools/" + entry.path().filename().string()), 0u) << help.out;
  }
  // Those that take flags; test.sh hands what it does not know to ctest.
  EXPECT_EQ(run_program({kTools + "lint.sh", "--no-such-flag"}, folder_.path()).code, 2);
  EXPECT_EQ(run_program({kTools + "quickstart.sh", "--no-such-flag"}, folder_.path()).code, 2);
  EXPECT_EQ(run_program({kTools + "test.sh", "--preset", "nonsense"}, folder_.path()).code, 2);
  EXPECT_TRUE(folder_.names().empty());
}

}  // namespace
}  // namespace pli::test
