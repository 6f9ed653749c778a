// The library as its users get it: installed, moved, found by CMake, linked.

#include "runtime/ir/graph.h"
#include "tests/subprocess.h"

#include <gtest/gtest.h>

#include <pli/model.h>
#include <pli/version.h>

#include <map>
#include <sstream>

namespace pli::test {
namespace {

namespace fs = std::filesystem;

/// Input "input" [1, 3, 224, 224], the mean of each channel, and twice that.
Model small_image_model() {
  auto model = std::make_shared<ir::Model>();
  model->ir_version = 8;
  model->opsets = std::make_shared<const ir::OpsetImports>(ir::OpsetImports{{"", 17}});
  model->graph = ir::Graph(model->opsets);
  ir::Graph& graph = model->graph;
  graph.name_of_graph = "image";
  const ir::ValueId input = graph.add_input("input", ir::Type::tensor(DataType::kFloat32, ir::Dims{1, 3, 224, 224}));
  const auto node = [&](const std::string& type, std::vector<ir::ValueId> inputs, const std::string& output) {
    const ir::NodeId id = graph.add_node({type, "", output, std::move(inputs), {{output, {}, {}}}, {}, {}});
    graph.add_output({output, graph.node(id).output(0), ir::Type::tensor(DataType::kFloat32), {}});
    return graph.node(id).output(0);
  };
  const ir::ValueId mean = node("GlobalAveragePool", {input}, "mean");
  node("Add", {mean, mean}, "twice");
  return Model(model);
}

const std::string kFirstProgram = R"(
#include <pli/pli.h>
#include <cstdio>
#include <vector>

int main() {
  const pli::Session session = pli::Session::load("resnet50.onnx");            // load, optimize, ready to run
  std::vector<float> image(1 * 3 * 224 * 224, 0.5f);
  const pli::NamedValues outputs = session.run({{"input", pli::Tensor::view<float>({1, 3, 224, 224}, image)}});
  for (const auto& [name, value] : outputs) std::printf("%s: %zu values, first %g\n", name.c_str(), value.data<float>().size(), value.data<float>()[0]);
}
)";

const std::string kProgramInSteps = R"(
#include <pli/pli.h>
#include <cstdio>
#include <vector>

int main() {
  pli::Model model = pli::Model::load("resnet50.onnx");
  pli::Report report = pli::optimize(model);
  model.save("resnet50.opt.onnx");
  pli::Session session(std::move(model), {.threads = 1});
  std::printf("%d threads, %zu BatchNormalizations, %s\n", session.threads(), report.batch_norms.size(), pli::version());
  try {
    session.run({});
  } catch (const pli::Error& e) {
    std::printf("error %s: %s\n", std::string(pli::to_string(e.code())).c_str(), e.what());
  }
}
)";

const std::string kConsumer = R"(
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES CXX)
find_package(pli 0.1 REQUIRED)
foreach(name first steps)
  add_executable(${name} ${name}.cpp)
  target_link_libraries(${name} PRIVATE pli::pli)
endforeach()
)";

void expect_success(const Finished& finished) { ASSERT_EQ(finished.code, 0) << finished.out << finished.err; }

TEST(Install, ProgramsBuildAgainstAMovedPrefixAndRun) {
  const TemporaryFolder folder;
  expect_success(
      run_program({"cmake", "--install", PLI_BINARY_DIR, "--prefix", folder / "first_place"}, folder.path()));
  fs::rename(folder / "first_place", folder / "moved");
  write_file(folder / "CMakeLists.txt", kConsumer);
  write_file(folder / "first.cpp", kFirstProgram);
  write_file(folder / "steps.cpp", kProgramInSteps);
  small_image_model().save(folder / "resnet50.onnx");

  std::vector<std::string> configure{"cmake",
                                     "-G",
                                     "Ninja",
                                     "-B",
                                     "build",
                                     "-DCMAKE_PREFIX_PATH=" + (folder / "moved").string(),
                                     "-DCMAKE_CXX_COMPILER=" PLI_COMPILER};
  // None of what Pli itself is made of may be looked for.
  for (const char* package : {"ONNX", "Protobuf", "dnnl", "fmt", "OpenMP", "OpenCL", "Threads"})
    configure.push_back(std::string("-DCMAKE_DISABLE_FIND_PACKAGE_") + package + "=ON");
  if (const std::string sanitizers = PLI_SANITIZE; !sanitizers.empty())
    configure.push_back("-DCMAKE_CXX_FLAGS=-fsanitize=" + sanitizers);
  expect_success(run_program(configure, folder.path()));
  expect_success(run_program({"cmake", "--build", "build"}, folder.path()));

  const Finished first = run_program({folder / "build/first"}, folder.path());
  expect_success(first);
  EXPECT_EQ(first.out, "mean: 3 values, first 0.5\ntwice: 3 values, first 1\n");
  const Finished steps = run_program({folder / "build/steps"}, folder.path());
  expect_success(steps);
  EXPECT_EQ(steps.out.find("1 threads, 0 BatchNormalizations, 0.1.0\nerror invalid_argument: "), 0u) << steps.out;
  EXPECT_TRUE(fs::exists(folder / "resnet50.opt.onnx"));

  const Finished command = run_program({folder / "moved/bin/onnx-run", "-q", "resnet50.onnx"}, folder.path());
  expect_success(command);
}

TEST(Install, BringsWhatAPackageNeeds) {
  const TemporaryFolder folder;
  expect_success(
      run_program({"cmake", "--install", PLI_BINARY_DIR, "--prefix", folder / "first place"}, folder.path()));
  fs::rename(folder / "first place", folder / "moved");
  const fs::path prefix = folder / "moved";
  EXPECT_EQ(read_file(prefix / "share/doc/pli/LICENSE"), read_file(PLI_SOURCE_DIR "/LICENSE"));
  const bool has_help2man = run_program({"help2man", "--version"}, "/").code == 0;
  for (const std::string command : {"onnx-optimize", "onnx-inspect", "onnx-run", "onnx-test", "onnx-bench"}) {
    EXPECT_EQ(fs::read_symlink(prefix / "bin" / command), "pli");
    if (has_help2man) {
      const std::string page = read_file(prefix / "share/man/man1" / (command + ".1"));
      EXPECT_NE(page.find(".SH OPTIONS"), std::string::npos) << page;
      EXPECT_NE(page.find(command + " \\- "), std::string::npos) << page;
    }
    EXPECT_TRUE(fs::exists(prefix / "share/bash-completion/completions" / command));
  }

  // pkg-config's file holds wherever the prefix has come to lie.
  std::istringstream file(read_file(prefix / "lib/pkgconfig/pli.pc"));
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);)
    for (const std::string separator : {": ", "="})
      if (const size_t at = line.find(separator); at != std::string::npos && !fields.contains(line.substr(0, at)))
        fields[line.substr(0, at)] = line.substr(at + separator.size());
  EXPECT_EQ(fields["Version"], pli::version());
  EXPECT_EQ(fields["prefix"].find("${pcfiledir}/.."), 0u) << fields["prefix"];
  const fs::path root = (prefix / "lib/pkgconfig" / fields["prefix"].substr(13)).lexically_normal();
  EXPECT_TRUE(fs::exists(root / "include/pli/pli.h")) << root;
}

TEST(Install, VersionsThatDoNotFitAreRefused) {
  const TemporaryFolder folder;
  const auto configure = [&](const std::string& version) {
    write_file(folder / "CMakeLists.txt",
               "cmake_minimum_required(VERSION 3.20)\nproject(consumer LANGUAGES NONE)\nset(CMAKE_SIZEOF_VOID_P 8)\n"
               "find_package(pli " +
                   version + " REQUIRED)\n");
    return run_program({"cmake", "-G", "Ninja", "-B", "build", "-DCMAKE_PREFIX_PATH=" + (folder / "prefix").string()},
                       folder.path());
  };
  expect_success(run_program({"cmake", "--install", PLI_BINARY_DIR, "--prefix", folder / "prefix"}, folder.path()));
  expect_success(configure("0.1"));
  EXPECT_NE(configure("0.2").code, 0);
  EXPECT_NE(configure("1.0").code, 0);
}

}  // namespace
}  // namespace pli::test
