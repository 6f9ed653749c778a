#include "runtime/onnx/tensor_proto.h"
#include "tests/onnx/protos.h"

#include <cstring>
#include <random>

namespace pli::test {

namespace {

using onnx::TensorProto;

constexpr int64_t kDims[] = {3, 5};  // 15 elements: an odd number, for the packed types

std::string random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TensorProto tensor_of(int32_t dtype) {
  TensorProto tensor;
  tensor.set_name("t");
  tensor.set_data_type(dtype);
  for (const int64_t dim : kDims) tensor.add_dims(dim);
  return tensor;
}

/// The message as Pli reads it.
pli::onnx::TensorProto as_read(const TensorProto& proto) {
  pli::onnx::TensorProto read;
  EXPECT_TRUE(read.ParseFromString(proto.SerializeAsString()));
  return read;
}

Tensor take(const TensorProto& proto) {
  pli::onnx::TensorProto read = as_read(proto);
  std::optional<Tensor> tensor = take_tensor(read, {});
  if (!tensor) throw std::runtime_error("opaque");
  return std::move(*tensor);
}

std::string payload_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size()};
}

/// Fills the typed field of a tensor with the elements that `raw` holds.
template <class Element, class Add>
void add_typed(const std::string& raw, Add add) {
  for (size_t i = 0; i < raw.size(); i += sizeof(Element)) {
    Element element;
    std::memcpy(&element, raw.data() + i, sizeof element);
    add(element);
  }
}

class EveryDataType : public testing::TestWithParam<int32_t> {
 protected:
  DataType dtype() const { return static_cast<DataType>(GetParam()); }

  std::string raw() const {
    std::string bytes =
        random_bytes((15 * static_cast<size_t>(bit_width(dtype())) + 7) / 8, 7 + static_cast<uint64_t>(GetParam()));
    if (dtype() == DataType::kBool)
      for (char& byte : bytes) byte &= 1;
    return bytes;
  }

  TensorProto typed() const {
    TensorProto tensor = tensor_of(GetParam());
    const auto int32 = [&](auto v) { tensor.add_int32_data(static_cast<int32_t>(v)); };
    switch (dtype()) {
      case DataType::kFloat32:
      case DataType::kComplex64:
        add_typed<float>(raw(), [&](float v) { tensor.add_float_data(v); });
        break;
      case DataType::kFloat64:
      case DataType::kComplex128:
        add_typed<double>(raw(), [&](double v) { tensor.add_double_data(v); });
        break;
      case DataType::kInt64:
        add_typed<int64_t>(raw(), [&](int64_t v) { tensor.add_int64_data(v); });
        break;
      case DataType::kUint64:
        add_typed<uint64_t>(raw(), [&](uint64_t v) { tensor.add_uint64_data(v); });
        break;
      case DataType::kUint32:
        add_typed<uint32_t>(raw(), [&](uint32_t v) { tensor.add_uint64_data(v); });
        break;
      case DataType::kInt32:
        add_typed<int32_t>(raw(), int32);
        break;
      case DataType::kInt16:
        add_typed<int16_t>(raw(), int32);
        break;
      case DataType::kUint16:
      case DataType::kFloat16:
      case DataType::kBfloat16:
        add_typed<uint16_t>(raw(), int32);
        break;
      case DataType::kInt8:
        add_typed<int8_t>(raw(), int32);
        break;
      default:
        add_typed<uint8_t>(raw(), int32);
        break;
    }
    return tensor;
  }
};

TEST_P(EveryDataType, RawDataIsTakenAsItIs) {
  TensorProto proto = tensor_of(GetParam());
  proto.set_raw_data(raw());
  const Tensor tensor = take(proto);
  EXPECT_EQ(tensor.dtype(), dtype());
  EXPECT_EQ(tensor.size(), 15u);
  EXPECT_EQ(payload_of(tensor), raw());
}

TEST_P(EveryDataType, TypedDataIsTheSame) { EXPECT_EQ(payload_of(take(typed())), raw()); }

TEST_P(EveryDataType, AWrongNumberOfElementsIsRefused) {
  const std::string bytes = raw();
  for (const std::string& wrong : {bytes.substr(1), bytes + '\0', std::string()}) {
    TensorProto proto = tensor_of(GetParam());
    proto.set_raw_data(wrong);
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "raw_data holds", [&] { take(proto); }));
  }
  TensorProto proto = typed();
  proto.add_dims(2);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "_data holds", [&] { take(proto); }));
}

TEST_P(EveryDataType, TypedDataInAnotherFieldIsRefused) {
  TensorProto proto = tensor_of(GetParam());
  for (int i = 0; i < 15; ++i) proto.add_string_data("0");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "string_data can't hold", [&] { take(proto); }));
}

TEST_P(EveryDataType, SurvivesInAModel) {
  for (const bool as_raw : {true, false}) {
    onnx::ModelProto model = small_model();
    TensorProto& tensor = *model.mutable_graph()->add_initializer() = typed();
    if (as_raw) {
      tensor = tensor_of(GetParam());
      tensor.set_raw_data(raw());
    }
    onnx::AttributeProto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
    attribute.set_name("inner");
    attribute.set_type(onnx::AttributeProto::TENSOR);
    *attribute.mutable_t() = tensor;
    EXPECT_TRUE(same_meaning(model, round_trip(model)));
  }
}

INSTANTIATE_TEST_SUITE_P(Tensor, EveryDataType,
                         testing::Values(1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
                                         24, 25, 26),
                         [](const auto& type) { return to_string(static_cast<DataType>(type.param)); });

TEST(TensorProtos, Strings) {
  TensorProto proto = tensor_of(TensorProto::STRING);
  for (int i = 0; i < 15; ++i) proto.add_string_data(std::string(static_cast<size_t>(i), 'x') + '\0');
  const TensorProto copy = proto;
  const Tensor tensor = take(proto);
  EXPECT_EQ(tensor.data<std::string>()[14], std::string(14, 'x') + '\0');
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->add_initializer() = copy;
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
  proto = copy;
  proto.set_data_type(TensorProto::STRING);
  proto.clear_string_data();
  proto.set_raw_data("123456789012345");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "raw_data can't hold strings", [&] { take(proto); }));
}

TEST(TensorProtos, ScalarsAndEmptyTensors) {
  TensorProto scalar;
  scalar.set_data_type(TensorProto::INT64);
  scalar.add_int64_data(-5);
  const Tensor taken = take(scalar);
  EXPECT_EQ(taken.data<int64_t>()[0], -5);
  EXPECT_TRUE(taken.shape().empty());
  TensorProto empty = tensor_of(TensorProto::FLOAT);
  empty.add_dims(0);
  EXPECT_EQ(take(empty).size(), 0u);
  empty.set_dims(1, INT64_MAX);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "does not fit", [&] { take(empty); }));
  empty.set_dims(1, 5);
  empty.set_raw_data("1234");
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "raw_data holds 4 bytes", [&] { take(empty); }));
}

TEST(TensorProtos, NarrowTypesTakeTheirBitsSignedOrUnsignedAndNoMore) {
  TensorProto proto;
  proto.set_data_type(TensorProto::FLOAT16);
  for (const int32_t entry : {0xc000, -0x4000}) {
    proto.clear_int32_data();
    proto.add_int32_data(entry);
    const Tensor taken = take(proto);
    EXPECT_EQ(taken.data<Float16>()[0].bits, 0xc000);
  }
  for (const int32_t entry : {0x10000, -0x8001}) {
    proto.clear_int32_data();
    proto.add_int32_data(entry);
    EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "does not fit float16", [&] { take(proto); }));
  }
  proto.set_data_type(TensorProto::UINT32);
  proto.clear_int32_data();
  proto.add_uint64_data(uint64_t{1} << 32);
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "does not fit uint32", [&] { take(proto); }));
}

TEST(TensorProtos, EveryBoolThatIsNotFalseIsTrue) {
  TensorProto proto;
  proto.set_data_type(TensorProto::BOOL);
  proto.add_dims(3);
  proto.set_raw_data(std::string("\x00\x02\xff", 3));
  EXPECT_EQ(payload_of(take(proto)), std::string("\x00\x01\x01", 3));
  proto.clear_raw_data();
  for (const int32_t entry : {0, 2, 255}) proto.add_int32_data(entry);
  EXPECT_EQ(payload_of(take(proto)), std::string("\x00\x01\x01", 3));
}

TEST(TensorProtos, LargePayloadsAreMovedNotCopied) {
  TensorProto proto;
  proto.set_data_type(TensorProto::FLOAT);
  proto.add_dims(1 << 20);
  proto.set_raw_data(std::string(size_t{4} << 20, 'x'));
  pli::onnx::TensorProto read = as_read(proto);
  const char* before = read.raw_data().data();
  const Tensor tensor = take_tensor(read, {}).value();
  EXPECT_EQ(static_cast<const void*>(tensor.bytes().data()), before);
  EXPECT_FALSE(read.has_raw_data());
}

TEST(TensorProtos, SegmentsAndUnknownDataTypesAreKeptAsTheyCame) {
  TensorProto segment = tensor_of(TensorProto::FLOAT);
  segment.mutable_segment()->set_begin(0);
  segment.mutable_segment()->set_end(4);
  segment.set_raw_data("1234");
  TensorProto unknown = tensor_of(99);
  unknown.set_name("u");
  unknown.set_raw_data("123");
  for (const TensorProto& proto : {segment, unknown}) {
    pli::onnx::TensorProto read = as_read(proto);
    EXPECT_FALSE(take_tensor(read, {}));
    EXPECT_EQ(read.SerializeAsString(), proto.SerializeAsString());
  }
  onnx::ModelProto model = small_model();
  *model.mutable_graph()->add_initializer() = segment;
  *model.mutable_graph()->add_initializer() = unknown;
  onnx::AttributeProto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
  attribute.set_name("inner");
  attribute.set_type(onnx::AttributeProto::TENSORS);
  *attribute.add_tensors() = floats("known", {1}, {1});
  *attribute.add_tensors() = unknown;
  EXPECT_TRUE(same_meaning(model, round_trip(model)));
}

}  // namespace

}  // namespace pli::test
