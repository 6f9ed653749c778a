#include "runtime/onnx/tensor_file.h"
#include "runtime/core/tensor.h"
#include "runtime/onnx/load.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <onnx/onnx-data_pb.h>

#include <filesystem>
#include <iostream>

namespace pli::test {

namespace {

NamedValues::Item parse_text(const std::string& bytes, FileKind kind) {
  return parse_value(std::as_bytes(std::span(bytes)), kind, {});
}

bool same(const Value& a, const Value& b) {
  if (a.is_tensor() && b.is_tensor()) return identical(a.tensor(), b.tensor());
  if (a.is_sequence() && b.is_sequence()) return std::ranges::equal(a.sequence(), b.sequence(), same);
  if (!a.is_optional() || !b.is_optional()) return false;
  if (!a.optional() || !b.optional()) return !a.optional() && !b.optional();
  return same(*a.optional(), *b.optional());
}

const Tensor kTensor = Tensor::copy<float>({1, 2}, std::vector<float>{1.5f, -2});
const Tensor kStrings = Tensor::copy<std::string>({2}, std::vector<std::string>{"a", ""});

TEST(TensorFile, ValuesComeBackWithTheirNames) {
  const Value::Sequence sequence{kTensor, kStrings};
  const Value::Optional some = std::make_shared<const Value>(kTensor);
  const std::pair<Value, FileKind> cases[] = {
      {kTensor, FileKind::kTensor},
      {kStrings, FileKind::kTensor},
      {sequence, FileKind::kSequence},
      {Value::Sequence{}, FileKind::kSequence},
      {Value::Sequence{sequence, Value::Sequence{}}, FileKind::kSequence},
      {Value::Sequence{some, Value::Optional()}, FileKind::kSequence},
      {some, FileKind::kOptional},
      {Value::Optional(), FileKind::kOptional},
      {std::make_shared<const Value>(sequence), FileKind::kOptional},
      {std::make_shared<const Value>(some), FileKind::kOptional},
  };
  for (const auto& [value, kind] : cases) {
    const auto [name, result] = parse_text(serialize_value("a name", value), kind);
    EXPECT_EQ(name, "a name");
    EXPECT_TRUE(same(value, result));
  }
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "different kinds", [] {
    serialize_value("", Value::Sequence{kTensor, Value::Sequence{}});
  }));
}

TEST(TensorFile, BadFilesAreRefused) {
  const std::string good = serialize_value("x", kTensor);
  for (size_t cut = 1; cut < good.size(); ++cut) {
    try {
      const auto [name, value] = parse_text(good.substr(0, cut), FileKind::kTensor);
      ADD_FAILURE() << "cut to " << cut;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument) << e.what();
    }
  }
  onnx::TensorProto proto = floats("x", {2}, {1, 2});
  proto.set_dims(0, 3);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "raw_data holds 8 bytes",
                         [&] { parse_text(proto.SerializeAsString(), FileKind::kTensor); }));
  proto = floats("x", {2}, {1, 2});
  proto.set_data_location(onnx::TensorProto::EXTERNAL);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidArgument, "can't be external",
                         [&] { parse_text(proto.SerializeAsString(), FileKind::kTensor); }));
  proto = floats("x", {2}, {1, 2});
  proto.set_data_type(99);
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "type 99",
                         [&] { parse_text(proto.SerializeAsString(), FileKind::kTensor); }));
  onnx::SequenceProto maps;
  maps.set_elem_type(onnx::SequenceProto::MAP);
  EXPECT_TRUE(
      fails_with(ErrorCode::kUnsupported, "maps", [&] { parse_text(maps.SerializeAsString(), FileKind::kSequence); }));
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "maps", [&] { parse_text({}, FileKind::kOther); }));
}

TEST(TensorFile, EmptyMessagesAreCountedBeforeTheyAreMade) {
  std::string tensors;
  for (int i = 0; i < 1'200'000; ++i) tensors += std::string("\x1a\0", 2);  // tensor_values
  EXPECT_TRUE(
      fails_with(ErrorCode::kResourceLimit, "far more messages", [&] { parse_text(tensors, FileKind::kSequence); }));
}

TEST(TensorFile, EveryFileOfTheTestDataIsRead) {
  int files = 0;
  int unsupported = 0;
  ir::Model model;
  std::filesystem::path loaded;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(PLI_TESTDATA)) {
    const std::filesystem::path& path = entry.path();
    const std::string name = path.stem();
    if (path.extension() != ".pb") continue;
    const std::filesystem::path model_path = path.parent_path().parent_path() / "model.onnx";
    if (!std::filesystem::exists(model_path)) continue;  // of no test case
    if (model_path != loaded) model = load_model(model_path, {});
    loaded = model_path;
    const size_t index = std::stoul(name.substr(name.find('_') + 1));
    std::vector<ir::ValueId> inputs = model.graph.inputs();
    if (name.starts_with("input")) std::erase_if(inputs, [&](auto id) { return model.graph.value(id).has_default(); });
    const std::string& declaration =
        name.starts_with("input") ? model.graph.value(inputs.at(index)).extra : model.graph.outputs().at(index).extra;
    ++files;
    try {
      const FileKind kind = declared_file_kind(declaration);
      const auto [read_name, value] = parse_text(read_file(path), kind);
      EXPECT_TRUE(same(value, parse_text(serialize_value(read_name, value), kind).second)) << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUnsupported) << path << " " << e.what();
      ++unsupported;
    }
  }
  std::cout << files << " files, " << unsupported << " unsupported\n";
  EXPECT_GE(files, 3000);
  EXPECT_EQ(unsupported, 0);
}

}  // namespace

}  // namespace pli::test
