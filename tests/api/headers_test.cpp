// What the public headers promise: they stand alone, without a warning, and give no view of what ends before it.

#include "tests/subprocess.h"

#include <gtest/gtest.h>

#include <pli/pli.h>

#include <array>
#include <regex>
#include <set>
#include <sstream>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

std::string all_headers() {
  std::string text;
  for (const auto& entry : fs::directory_iterator(PLI_SOURCE_DIR "/runtime/include/pli"))
    text += read_file(entry.path());
  return text;
}

TEST(PublicHeaders, NameNothingThatPliIsMadeOf) {
  const std::string headers = all_headers();
  EXPECT_EQ(headers.find("#include \""), std::string::npos);
  for (const char* word : {"dnnl", "google/", "onnx/", "onnx::", "fmt/", "omp.h", "runtime/"})
    EXPECT_EQ(headers.find(word), std::string::npos) << word;
}

/// How a compiler finds a file of `folder`, with the warnings that a careful program is compiled with.
Finished compile(const std::string& compiler, const std::string& standard, const std::string& file,
                 const TemporaryFolder& folder) {
  return run_program({compiler, "-std=" + standard, "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion",
                      "-Wshadow", "-Werror", "-I" PLI_SOURCE_DIR "/runtime/include", file},
                     folder.path());
}

constexpr const char* kIdioms = R"(
#include <pli/pli.h>
#include <cstdio>
#include <vector>

int main() {
  pli::Model model = pli::Model::load("resnet50.onnx");
  pli::optimize(model, {.disable = {"eliminate_nop"}});
  const pli::Session session(std::move(model), {.threads = 1});
  std::vector<float> image(1 * 3 * 224 * 224, 0.5f);
  const pli::NamedValues inputs{{"input", pli::Tensor::view<float>({1, 3, 224, 224}, image)}};
  const pli::NamedValues outputs = session.run(inputs);
  for (const auto& [name, value] : outputs) std::printf("%s: %zu values\n", name.c_str(), value.data<float>().size());
  for (const auto& [name, value] : session.run(inputs)) std::printf("%s: %d\n", name.c_str(), value.is_tensor());
  const pli::Tensor scores = session.run(inputs).at("output").tensor();
  const pli::Value& value = session.run(inputs).at("output");
  pli::Tensor halves(pli::DataType::kFloat16, {1000});
  pli::convert(scores.data<float>(), halves.mutable_data<pli::Float16>());
  return value.is_tensor() && session.run(inputs).size() == 1 ? 0 : 1;
}
)";

class Compilers : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::string(PLI_SANITIZE).empty()) GTEST_SKIP() << "a compiler reads them, whatever this test is built with";
    if (run_program({GetParam(), "--version"}, "/").code != 0) GTEST_SKIP() << "there is no " << GetParam();
  }
};
INSTANTIATE_TEST_SUITE_P(PublicHeaders, Compilers, testing::Values("g++", "clang++"));

TEST_P(Compilers, WarnOfNothing) {
  const TemporaryFolder folder;
  write_file(folder / "idioms.cpp", kIdioms);
  const Finished finished = compile(GetParam(), "c++20", "idioms.cpp", folder);
  EXPECT_EQ(finished.code, 0) << finished.err;
}

TEST(PublicHeaders, EachStandsOnItsOwn) {
  if (!std::string(PLI_SANITIZE).empty()) GTEST_SKIP() << "a compiler reads them, whatever this test is built with";
  const TemporaryFolder folder;
  std::vector<std::string> command{"c++", "-std=c++20", "-fsyntax-only", "-I" PLI_SOURCE_DIR "/runtime/include"};
  for (const auto& entry : fs::directory_iterator(PLI_SOURCE_DIR "/runtime/include/pli")) {
    command.push_back(entry.path().stem().string() + ".cpp");
    write_file(folder / command.back(), "#include <pli/" + entry.path().filename().string() + ">\n");
  }
  const Finished finished = run_program(command, folder.path());
  EXPECT_EQ(finished.code, 0) << finished.err;
}

TEST_P(Compilers, SayOnceThatTheHeadersNeedCxx20) {
  const TemporaryFolder folder;
  write_file(folder / "old.cpp", "#include <pli/pli.h>\n");
  const Finished finished = compile(GetParam(), "c++17", "old.cpp", folder);
  EXPECT_NE(finished.code, 0);
  const std::string first = "error: ";
  EXPECT_NE(finished.err.find("need C++20"), std::string::npos) << finished.err;
  EXPECT_EQ(finished.err.find(first), finished.err.rfind(first)) << finished.err;
}

TEST_P(Compilers, RefuseAViewOfAResultThatIsGone) {
  const TemporaryFolder folder;
  const auto with_last_line = [&](const std::string& line) {
    write_file(folder / "program.cpp",
               "#include <pli/pli.h>\nvoid use(const pli::Session& session) {\n  " + line + "\n}\n");
    return compile(GetParam(), "c++20", "program.cpp", folder);
  };
  const Finished kept = with_last_line("auto y = session.run({}); auto s = y.at(\"y\").data<float>(); (void)s;");
  EXPECT_EQ(kept.code, 0) << kept.err;
  const Finished gone = with_last_line("auto s = session.run({}).at(\"y\").data<float>(); (void)s;");
  EXPECT_NE(gone.code, 0);
  EXPECT_NE(gone.err.find("deleted"), std::string::npos) << gone.err;
}

// What an object that has a name gives, and one that ends with its expression does not.
template <class T>
concept GivesData = requires(T&& object) {
  std::forward<T>(object).template data<float>();
};
template <class T>
concept GivesShape = requires(T&& object) {
  std::forward<T>(object).shape();
};
template <class T>
concept GivesBytes = requires(T&& object) {
  std::forward<T>(object).bytes();
};
template <class T>
concept Writable = requires(T&& object) {
  std::forward<T>(object).template mutable_data<float>();
};
template <class T>
concept RawWritable = requires(T&& object) {
  std::forward<T>(object).mutable_raw();
};
template <class T>
concept Finds = requires(T&& object) {
  std::forward<T>(object).find("x");
};
template <class T>
concept Iterates = requires(T&& object) {
  std::forward<T>(object).begin();
}
|| requires(T&& object) { std::forward<T>(object).end(); };
template <class T>
concept GivesInputs = requires(T&& object) {
  std::forward<T>(object).inputs();
};
template <class T>
concept GivesOutputs = requires(T&& object) {
  std::forward<T>(object).outputs();
};
template <class T>
concept GivesReport = requires(T&& object) {
  std::forward<T>(object).report();
};
template <class Data>
concept Viewed = requires(Data&& data) {
  Tensor::view<float>(Shape{3}, std::forward<Data>(data));
};

static_assert(GivesData<Tensor&> && GivesData<const Tensor&> && !GivesData<Tensor> && !GivesData<const Tensor>);
static_assert(GivesShape<Tensor&> && GivesShape<const Tensor&> && !GivesShape<Tensor> && !GivesShape<const Tensor>);
static_assert(GivesBytes<Tensor&> && GivesBytes<const Tensor&> && !GivesBytes<Tensor> && !GivesBytes<const Tensor>);
static_assert(Writable<Tensor&> && !Writable<Tensor> && RawWritable<Tensor&> && !RawWritable<Tensor>);
static_assert(GivesData<Value&> && GivesData<const Value&> && !GivesData<Value> && !GivesData<const Value>);
static_assert(GivesShape<Value&> && GivesShape<const Value&> && !GivesShape<Value> && !GivesShape<const Value>);
static_assert(Finds<NamedValues&> && Finds<const NamedValues&> && !Finds<NamedValues> && !Finds<const NamedValues>);
static_assert(Iterates<NamedValues&> && Iterates<const NamedValues&>);
static_assert(!Iterates<NamedValues> && !Iterates<const NamedValues>);
static_assert(GivesInputs<Session&> && GivesInputs<const Session&> && !GivesInputs<Session>);
static_assert(GivesOutputs<Session&> && GivesOutputs<const Session&> && !GivesOutputs<Session>);
static_assert(GivesReport<Session&> && GivesReport<const Session&> && !GivesReport<Session>);
static_assert(Viewed<std::vector<float>&> && Viewed<const std::vector<float>&> && Viewed<std::span<const float>>);
static_assert(!Viewed<std::vector<float>> && !Viewed<std::array<float, 3>> && Viewed<std::array<float, 3>&>);

// Parts of what ends are copies.
static_assert(std::is_same_v<decltype(std::declval<NamedValues>().at("x")), Value>);
static_assert(std::is_same_v<decltype(std::declval<const NamedValues>().at("x")), Value>);
static_assert(std::is_same_v<decltype(std::declval<NamedValues&>().at("x")), const Value&>);
static_assert(std::is_same_v<decltype(std::declval<Value>().tensor()), Tensor>);
static_assert(std::is_same_v<decltype(std::declval<const Value&>().tensor()), const Tensor&>);
static_assert(std::is_same_v<decltype(std::declval<Value>().sequence()), Value::Sequence>);
static_assert(std::is_same_v<decltype(std::declval<Value>().optional()), Value::Optional>);

TEST(PublicHeaders, APartOfAResultThatIsGoneKeepsItsMemory) {
  const auto result = [] {
    const std::vector<float> data{1, 2, 3};
    return NamedValues{{"x", Tensor::copy<float>({3}, data)}, {"s", Value::Sequence{Tensor::copy<float>({3}, data)}}};
  };
  Tensor tensor = result().at("x").tensor();
  EXPECT_EQ(tensor.data<float>()[2], 3);
  tensor.mutable_data<float>()[0] = 5;  // nobody else has it now
  EXPECT_EQ(result().at("s").sequence().at(0).dtype(), DataType::kFloat32);
  for (const auto& [name, value] : result()) EXPECT_EQ(value.is_tensor(), name == "x");
}

/// The names that the shared library exports, as c++filt prints them.
std::vector<std::string> exported_names() {
  const Finished nm =
      run_program({"nm", "-DC", "--defined-only", "--format=just-symbols", PLI_BINARY_DIR "/lib/libpli.so"}, "/");
  EXPECT_EQ(nm.code, 0) << nm.err;
  std::vector<std::string> names;
  std::istringstream stream(nm.out);
  for (std::string line; std::getline(stream, line);) names.push_back(line);
  return names;
}

TEST(Exports, AreWhatTheHeadersDeclare) {
  const std::string headers = all_headers();
  std::set<std::string> declared;
  const std::regex classes(R"(class PLI_API (\w+))");
  const std::regex functions(R"(\nPLI_API [\w:<>&* ]*?(\w+)\()");
  for (const auto& pattern : {classes, functions})
    for (std::sregex_iterator match(headers.begin(), headers.end(), pattern); match != std::sregex_iterator(); ++match)
      declared.insert((*match)[1]);
  ASSERT_TRUE(declared.contains("Session") && declared.contains("optimize") && declared.contains("version"));

  std::set<std::string> seen;
  const std::regex exported(R"((?:typeinfo for |typeinfo name for |vtable for )?pli::(\w+).*)");
  for (const std::string& name : exported_names()) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(name, match, exported)) << name;
    EXPECT_TRUE(declared.contains(match[1])) << name;
    seen.insert(match[1]);
  }
  EXPECT_EQ(seen, declared);
}

}  // namespace
}  // namespace pli::test
