#include "runtime/onnx/parse_file.h"

#include "runtime/onnx/load.h"
#include "runtime/onnx/save.h"
#include "tests/onnx/protos.h"
#include "tests/temporary_folder.h"

#include <functional>
#include <random>

namespace pli::test {

namespace {

using onnx::ModelProto;
using onnx::TensorProto;

constexpr size_t kElements = 5003;  // of raw data that is left out, as float32 or alone as bytes of four

std::string random_bytes(size_t count) {
  std::mt19937 random(static_cast<uint32_t>(count));
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % 128);
  return bytes;
}

TensorProto large(const std::string& name, int32_t dtype = TensorProto::FLOAT, size_t width = 4) {
  TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(dtype);
  tensor.add_dims(kElements);
  tensor.set_raw_data(random_bytes(kElements * width));
  return tensor;
}

/// small_model() with more initializers.
ModelProto model_with(const std::vector<TensorProto>& tensors) {
  ModelProto model = small_model();
  for (const TensorProto& tensor : tensors) *model.mutable_graph()->add_initializer() = tensor;
  return model;
}

/// What becomes of a model: its bytes when it is saved again, or the start of the error without the name of the file.
std::string outcome(const std::string& file, const std::function<ir::Model()>& read) {
  constexpr size_t kTelling = 1000;
  try {
    return serialize_model(read());
  } catch (const Error& e) {
    const std::string text = e.what();
    return text.substr(text.starts_with(file + ": ") ? file.size() + 2 : 0, kTelling);
  }
}

/// From a file a model becomes what it becomes from memory, where nothing is left out. How many payloads were left out.
size_t expect_as_from_memory(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "m.onnx";
  write_file(path, bytes);
  const std::string from_file = outcome(path.string(), [&] { return load_model(path, {}); });
  const std::string from_memory = outcome("", [&] { return parse_model(std::as_bytes(std::span(bytes)), {}); });
  EXPECT_TRUE(from_file == from_memory) << testing::PrintToString(from_file.substr(0, 200)) << "\n"
                                        << testing::PrintToString(from_memory.substr(0, 200));
  try {
    return parse_file(InputFile(path), {}).left_out.size();
  } catch (const Error&) {
    return 0;
  }
}

std::string varint(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i, value >>= 7) text += static_cast<char>((value & 0x7f) | (i + 1 < bytes ? 0x80u : 0u));
  return text;
}

/// A field of a message, its length written in `bytes` bytes.
std::string field(int number, const std::string& content, int bytes = 4) {
  return varint(static_cast<uint64_t>(number) << 3 | 2, 1) + varint(content.size(), bytes) + content;
}

TEST(ParseFile, LargeRawDataIsLeftOut) {
  EXPECT_EQ(expect_as_from_memory(small_model().SerializeAsString()), 0u);
  EXPECT_EQ(expect_as_from_memory(
                model_with({large("a"), large("b", TensorProto::DOUBLE, 8), large("c", TensorProto::UINT8, 1),
                            large("d", TensorProto::BFLOAT16, 2), floats("small", {2}, {1, 2}), large("e")})
                    .SerializeAsString()),
            3u);  // ten kilobytes are not large
}

TEST(ParseFile, WhatIsMoreThanItsBytesIsReadAsEver) {
  TensorProto segment = large("t");
  segment.mutable_segment()->set_end(4);
  TensorProto twice = large("t");
  twice.add_float_data(1);
  TensorProto external = large("t");
  external.set_data_location(TensorProto::EXTERNAL);
  external.add_external_data()->set_key("location");
  external.mutable_external_data(0)->set_value("w.bin");
  TensorProto marked = external;
  marked.set_data_location(TensorProto::DEFAULT);
  TensorProto shorter = large("t");
  shorter.mutable_raw_data()->pop_back();
  TensorProto negative = large("t");
  negative.set_dims(0, -5);
  TensorProto huge = large("t");
  huge.set_dims(0, INT64_MAX);
  TensorProto nameless = large("");
  for (const TensorProto& tensor :
       {segment, twice, shorter, negative, huge, large("t", TensorProto::BOOL, 4), large("t", TensorProto::STRING),
        large("t", 99), large("t", TensorProto::UNDEFINED), large("t", -1)})
    EXPECT_EQ(expect_as_from_memory(model_with({large("a"), tensor, large("z")}).SerializeAsString()), 2u)
        << tensor.data_type();
  for (const TensorProto& tensor : {marked, nameless, large("a")})
    EXPECT_EQ(expect_as_from_memory(model_with({large("a"), tensor, large("z")}).SerializeAsString()), 3u);

  const TemporaryFolder folder;
  write_file(folder / "m.onnx", model_with({large("a"), external}).SerializeAsString());
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "given twice, inline and as external data",
                         [&] { load_model(folder / "m.onnx", {}); }));
}

TEST(ParseFile, FieldsMayBeWrittenInAnyWayThatProtobufReads) {
  const std::string rest = small_model().SerializeAsString();
  TensorProto head = large("t");
  const std::string raw = head.raw_data();
  head.clear_raw_data();
  const std::string shape = head.SerializeAsString();
  const auto graph_of = [&](const std::string& tensor) {
    return field(ModelProto::kGraphFieldNumber, field(onnx::GraphProto::kInitializerFieldNumber, tensor));
  };
  const std::string unknown = field(15, "unknown") + std::string("\x70\x05", 2);
  // The fields in another order, unknown ones between them, graphs that are merged, lengths that are too long.
  EXPECT_EQ(expect_as_from_memory(rest + graph_of(unknown + field(9, raw) + unknown + shape)), 1u);
  EXPECT_EQ(expect_as_from_memory(graph_of(shape + field(9, raw, 5)) + rest), 1u);
  EXPECT_EQ(expect_as_from_memory(graph_of(shape + field(9, raw)) + rest +
                                  graph_of(head.SerializeAsString() + field(9, raw))),
            2u);
  EXPECT_EQ(expect_as_from_memory(rest +
                                  field(ModelProto::kGraphFieldNumber,
                                        field(onnx::GraphProto::kInitializerFieldNumber, shape + field(9, raw), 5), 5)),
            1u);
  // The last of two counts; nobody writes that, and nothing is left out.
  EXPECT_EQ(expect_as_from_memory(rest + graph_of(shape + field(9, raw) + field(9, "1234"))), 0u);
  EXPECT_EQ(expect_as_from_memory(rest + graph_of(shape + field(9, "1234") + field(9, raw))), 0u);
  EXPECT_EQ(expect_as_from_memory(rest + graph_of(shape + field(9, raw, 6))), 0u);
  EXPECT_EQ(expect_as_from_memory(rest + graph_of(shape + field(9, raw) + "\x9b\x06\x9c\x06")), 0u);
}

TEST(ParseFile, CutShortOrChangedAnywhere) {
  const std::string bytes = model_with({large("a"), large("b")}).SerializeAsString();
  for (size_t size = 0; size < bytes.size(); size += size < 300 || bytes.size() - size < 300 ? 1 : 997)
    (void)expect_as_from_memory(bytes.substr(0, size));
  const size_t head = bytes.find(large("a").raw_data()), tail = bytes.find(large("b").raw_data());
  ASSERT_NE(head, std::string::npos);
  for (const size_t around : {head, tail})
    for (size_t at = around - 24; at < around + 4; ++at)
      for (const int bit : {0, 3, 6, 7}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
        (void)expect_as_from_memory(changed);
      }
}

}  // namespace

}  // namespace pli::test
