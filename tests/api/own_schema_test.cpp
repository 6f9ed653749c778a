// Programs that hold ONNX's messages, or protobuf, themselves: Pli's own are not theirs, however they are linked.

#include "tests/subprocess.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pli::test {
namespace {

/// Reads a model by messages of its own, and runs it by Pli.
constexpr const char* kProgram = R"(
#include SCHEMA
#include <pli/pli.h>
#include <cstdio>
#include <fstream>

int main(int, char** argv) try {
  onnx::ModelProto proto;
  std::ifstream file(argv[1]);
  if (!proto.ParseFromIstream(&file)) return 3;
  const pli::Session session = pli::Session::load(argv[1], {.threads = 1});
  const pli::NamedValues outputs = session.run({{"image", pli::Tensor(pli::DataType::kFloat32, {1, 1, 8, 8})}});
  std::printf("%d nodes, %zu folded, %zu logits\n", proto.graph().node_size(), session.report().batch_norms.size(),
              outputs.at("logits").data<float>().size());
} catch (const pli::Error& e) {
  std::printf("%s\n", e.what());
}
)";

class OwnSchema : public testing::Test {
 protected:
  static constexpr const char* kModel = PLI_SOURCE_DIR "/models/digits.onnx";
  static constexpr const char* kRight = "35 nodes, 10 folded, 10 logits\n";

  void SetUp() override {
    if (!std::string(PLI_SANITIZE).empty()) GTEST_SKIP() << "the programs are built without a sanitizer";
    write_file(folder_ / "program.cpp", kProgram);
  }

  void must(const std::vector<std::string>& command) {
    const Finished finished = run_program(command, folder_.path());
    ASSERT_EQ(finished.code, 0) << finished.err;
  }

  /// Messages that a later ONNX could have, compiled as onnx/onnx.pb.o.
  void compile_newer_schema() {
    std::string schema = read_file(PLI_ONNX_PROTO);
    for (const std::string message : {"ModelProto", "GraphProto", "NodeProto", "TensorProto"}) {
      const std::string opening = "\nmessage " + message + " {\n";
      ASSERT_NE(schema.find(opening), std::string::npos);
      schema.insert(schema.find(opening) + opening.size(), "  optional string of_a_later_version = 4242;\n");
    }
    std::filesystem::create_directory(folder_ / "onnx");
    write_file(folder_ / "onnx/onnx.proto", schema);
    must({"protoc", "--proto_path=.", "--cpp_out=.", "onnx/onnx.proto"});
    must({"c++", "-std=c++20", "-fPIC", "-I.", "-c", "onnx/onnx.pb.cc", "-o", "onnx/onnx.pb.o"});
  }

  void compile_program(const std::string& schema, const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command{
        "c++", "-std=c++20", "-I.", "-I" PLI_SOURCE_DIR "/runtime/include", "-DSCHEMA=<" + schema + ">",
        "-c",  "program.cpp"};
    command.insert(command.end(), flags.begin(), flags.end());
    must(command);
  }

  /// What the program says when it is linked with these beside Pli's library, "-lpli".
  std::string output_with(std::vector<std::string> libraries) {
    libraries.insert(libraries.begin(), {"c++", "-o", "program", "-L.", "-L" PLI_BINARY_DIR "/lib",
                                         "-Wl,--no-as-needed", "-Wl,-rpath,.:" PLI_BINARY_DIR "/lib", "program.o"});
    const Finished linked = run_program(libraries, folder_.path());
    if (linked.code != 0) return linked.err;
    const Finished finished = run_program({"./program", kModel}, folder_.path());
    return finished.out + finished.err + (finished.code == 0 ? "" : "ended with " + std::to_string(finished.signal));
  }

  TemporaryFolder folder_;
};

TEST_F(OwnSchema, MayBeNewerInTheProgramOrInALibrary) {
  ASSERT_NO_FATAL_FAILURE(compile_newer_schema());
  ASSERT_NO_FATAL_FAILURE(compile_program("onnx/onnx.pb.h"));
  ASSERT_NO_FATAL_FAILURE(must({"c++", "-shared", "-o", "libown.so", "onnx/onnx.pb.o", "-lprotobuf"}));
  EXPECT_EQ(output_with({"onnx/onnx.pb.o", "-lpli", "-lprotobuf"}), kRight);
  EXPECT_EQ(output_with({"onnx/onnx.pb.o", "-lprotobuf", "-lpli"}), kRight);
  EXPECT_EQ(output_with({"-lown", "-lpli", "-lprotobuf"}), kRight);
  EXPECT_EQ(output_with({"-lpli", "-lown", "-lprotobuf"}), kRight);
}

TEST_F(OwnSchema, MayBeTheDistributions) {
  ASSERT_NO_FATAL_FAILURE(compile_program("onnx/onnx_pb.h", {"-DONNX_ML=1", "-DONNX_NAMESPACE=onnx"}));
  EXPECT_EQ(output_with({"-lonnx", "-lonnx_proto", "-lpli", "-lprotobuf"}), kRight);
  EXPECT_EQ(output_with({"-lpli", "-lprotobuf", "-lonnx_proto", "-lonnx"}), kRight);
}

TEST_F(OwnSchema, AnotherProtobufIsRefusedUnlessItIsHidden) {
  ASSERT_NO_FATAL_FAILURE(compile_newer_schema());
  ASSERT_NO_FATAL_FAILURE(compile_program("onnx/onnx.pb.h"));
  const std::string refused = output_with({"onnx/onnx.pb.o", "-l:libprotobuf.a", "-lpli"});
  EXPECT_NE(refused.find("protobuf's functions come from "), std::string::npos) << refused;
  EXPECT_EQ(output_with({"onnx/onnx.pb.o", "-l:libprotobuf.a", "-Wl,--exclude-libs,ALL", "-lpli"}), kRight);
}

TEST(OwnSymbols, NoneOfOnnxComesInOrGoesOut) {
  const Finished names = run_program({"nm", "-DC", "lib/libpli.so"}, PLI_BINARY_DIR);
  ASSERT_EQ(names.code, 0) << names.err;
  EXPECT_NE(names.out.find("pli::Session::run"), std::string::npos);
  EXPECT_EQ(names.out.find("onnx::"), std::string::npos);
  const Finished needed = run_program({"readelf", "-d", "lib/libpli.so"}, PLI_BINARY_DIR);
  EXPECT_NE(needed.out.find("libprotobuf.so"), std::string::npos) << needed.err;
  EXPECT_EQ(needed.out.find("libonnx"), std::string::npos);
}

}  // namespace
}  // namespace pli::test
