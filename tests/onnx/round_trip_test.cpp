#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <onnx/checker.h>

#include <filesystem>
#include <iostream>

namespace pli::test {

namespace {

/// Whether ONNX's own checker takes the model.
bool checks(const onnx::ModelProto& model) {
  try {
    onnx::checker::check_model(model);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

TEST(RoundTrip, EveryModelOfTheTestDataComesBackTheSame) {
  int models = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PLI_TESTDATA)) {
    if (entry.path().extension() != ".onnx") continue;
    SCOPED_TRACE(entry.path().string());
    ++models;
    onnx::ModelProto original;
    ASSERT_TRUE(original.ParseFromString(read_file(entry.path())));
    const ir::Model model = load_model(entry.path(), {});
    EXPECT_NO_THROW(model.graph.verify());
    const std::string saved = serialize_model(model);
    onnx::ModelProto result;
    ASSERT_TRUE(result.ParseFromString(saved));
    EXPECT_TRUE(same_meaning(original, result));
    EXPECT_TRUE(checks(result) || !checks(original));
    // What is saved is a fixed point, byte for byte.
    EXPECT_EQ(saved, serialize_model(parse_model(std::as_bytes(std::span(saved)), {})));
  }
  std::cout << models << " models\n";
  EXPECT_GE(models, 1000);
}

TEST(RoundTrip, TheCheckerTakesTwoFiles) {
  const TemporaryFolder folder;
  const ir::Model model = load_model(PLI_SOURCE_DIR "/models/digits.onnx", {});
  save_model(model, folder / "digits.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.names().size(), 2u);
  EXPECT_NO_THROW(onnx::checker::check_model((folder / "digits.onnx").string()));
}

}  // namespace

}  // namespace pli::test
