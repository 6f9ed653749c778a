#include "runtime/onnx/tensor_proto.h"

#include <algorithm>
#include <bit>

namespace pli {

static_assert(std::endian::native == std::endian::little, "ONNX stores raw data in little-endian order");

namespace {

/// Payloads below this are copied into aligned memory of their own; a string of a few bytes has none.
constexpr size_t kAdoptedBytes = 1024;

std::span<const int64_t> dims_of(const onnx::TensorProto& proto) {
  return {proto.dims().data(), static_cast<size_t>(proto.dims_size())};
}

[[noreturn]] void mismatch(const onnx::TensorProto& proto, std::string_view field, int64_t found, int64_t wanted) {
  fail(ErrorCode::kInvalidModel, "{} holds {} {}; {} of shape {} takes {}", field, found,
       field == "raw_data" ? "bytes" : "entries", to_string(static_cast<DataType>(proto.data_type())),
       to_string(dims_of(proto)), wanted);
}

/// A bool that is neither 0 nor 1 is undefined behaviour to read.
void normalize_bools(std::span<char> bytes) {
  for (char& byte : bytes) byte = byte != 0;
}

Tensor from_raw(DataType dtype, Shape shape, std::unique_ptr<std::string> raw) {
  if (dtype == DataType::kBool) normalize_bools(*raw);
  if (raw->size() < kAdoptedBytes) {
    Tensor tensor(dtype, std::move(shape));
    std::ranges::copy(*raw, static_cast<char*>(tensor.mutable_raw()));
    return tensor;
  }
  const std::shared_ptr<const std::string> owner = std::move(raw);
  return Tensor::adopt(dtype, std::move(shape), owner, owner->data(), owner->size());
}

/// The shared payload that refer_to_shared chose.
Tensor from_shared(DataType dtype, Shape shape, const onnx::TensorProto& proto, const SharedPayloads& shared) {
  const Payload& payload = shared.at(std::stoul(proto.external_data(0).value()));
  return Tensor::adopt(dtype, std::move(shape), payload.bytes, payload.size);
}

/// Entries of the width of the elements, as they lie.
template <class Entry>
Tensor from_entries(DataType dtype, Shape shape, const google::protobuf::RepeatedField<Entry>& entries) {
  Tensor tensor(dtype, std::move(shape));
  if (!entries.empty())
    std::memcpy(tensor.mutable_raw(), entries.data(), static_cast<size_t>(entries.size()) * sizeof(Entry));
  return tensor;
}

/// Entries wider than what they stand for. A writer may have stored the bits signed or unsigned; more bits are an
/// error.
template <class Narrow, class Entry>
Tensor from_wide_entries(DataType dtype, Shape shape, const google::protobuf::RepeatedField<Entry>& entries) {
  Tensor tensor(dtype, std::move(shape));
  auto* to = static_cast<Narrow*>(tensor.mutable_raw());
  for (const Entry entry : entries) {
    if constexpr (std::is_signed_v<Entry>) {
      if (entry < -(Entry{1} << (8 * sizeof(Narrow) - 1)) || entry >= (Entry{1} << (8 * sizeof(Narrow))))
        fail(ErrorCode::kInvalidModel, "the entry {} does not fit {}", entry, to_string(dtype));
    } else if (entry > std::numeric_limits<Narrow>::max()) {
      fail(ErrorCode::kInvalidModel, "the entry {} does not fit {}", entry, to_string(dtype));
    }
    *to++ = static_cast<Narrow>(entry);
  }
  return tensor;
}

Tensor from_int32_data(DataType dtype, Shape shape, const google::protobuf::RepeatedField<int32_t>& entries) {
  switch (bit_width(dtype)) {
    case 32:
      return from_entries(dtype, std::move(shape), entries);
    case 16:
      return from_wide_entries<uint16_t>(dtype, std::move(shape), entries);
    default:
      break;
  }
  // Elements of 8 bits, or a byte of packed ones, in each entry.
  Tensor tensor = from_wide_entries<uint8_t>(dtype, std::move(shape), entries);
  if (dtype == DataType::kBool) normalize_bools({static_cast<char*>(tensor.mutable_raw()), tensor.size()});
  return tensor;
}

Tensor from_strings(Shape shape, google::protobuf::RepeatedPtrField<std::string>& strings) {
  const auto owner = std::make_shared<std::vector<std::string>>();
  owner->reserve(static_cast<size_t>(strings.size()));
  for (std::string& text : strings) owner->push_back(std::move(text));
  return Tensor::adopt(DataType::kString, std::move(shape), owner, owner->data(), owner->size() * sizeof(std::string));
}

enum class Field { kRaw, kFloat, kInt32, kString, kInt64, kDouble, kUint64 };

/// The field that typed data of a type lies in.
Field typed_field(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
    case DataType::kComplex64:
      return Field::kFloat;
    case DataType::kFloat64:
    case DataType::kComplex128:
      return Field::kDouble;
    case DataType::kInt64:
      return Field::kInt64;
    case DataType::kUint32:
    case DataType::kUint64:
      return Field::kUint64;
    case DataType::kString:
      return Field::kString;
    default:
      return Field::kInt32;
  }
}

struct Payload {
  Field field;
  std::string_view name;
  int64_t entries;
};

/// The one field that holds the payload; an empty raw one where none does.
Payload find_payload(const onnx::TensorProto& proto) {
  const Payload fields[] = {
      {Field::kRaw, "raw_data", static_cast<int64_t>(proto.raw_data().size())},
      {Field::kFloat, "float_data", proto.float_data_size()},
      {Field::kInt32, "int32_data", proto.int32_data_size()},
      {Field::kString, "string_data", proto.string_data_size()},
      {Field::kInt64, "int64_data", proto.int64_data_size()},
      {Field::kDouble, "double_data", proto.double_data_size()},
      {Field::kUint64, "uint64_data", proto.uint64_data_size()},
  };
  const Payload* found = nullptr;
  for (const Payload& payload : fields) {
    if (payload.entries == 0) continue;
    if (found) fail(ErrorCode::kInvalidModel, "the payload is given twice, in {} and {}", found->name, payload.name);
    found = &payload;
  }
  return found ? *found : fields[0];
}

/// Entries of `field` that `elements` elements take.
int64_t entries_for(Field field, DataType dtype, int64_t elements) {
  const bool complex = dtype == DataType::kComplex64 || dtype == DataType::kComplex128;
  if (field == Field::kRaw || bit_width(dtype) < 8) {
    const auto bytes = packed_bytes(dtype, elements);
    if (dtype == DataType::kString || !bytes) return elements;
    return *bytes;
  }
  return complex ? elements * 2 : elements;
}

/// Of a tensor whose payload is not shared.
Tensor take_own(onnx::TensorProto& proto, DataType dtype, int64_t elements) {
  const Payload payload = find_payload(proto);
  if (payload.entries > 0 && payload.field != Field::kRaw && payload.field != typed_field(dtype))
    fail(ErrorCode::kInvalidModel, "{} can't hold {}", payload.name, to_string(dtype));
  if (payload.entries > 0 && payload.field == Field::kRaw && dtype == DataType::kString)
    fail(ErrorCode::kInvalidModel, "raw_data can't hold strings");
  const int64_t wanted = entries_for(payload.field, dtype, elements);
  if (payload.entries != wanted) mismatch(proto, payload.name, payload.entries, wanted);

  Shape shape(proto.dims().begin(), proto.dims().end());
  if (payload.entries == 0) return Tensor(dtype, std::move(shape));
  switch (payload.field) {
    case Field::kRaw:
      return from_raw(dtype, std::move(shape), std::unique_ptr<std::string>(proto.release_raw_data()));
    case Field::kFloat:
      return from_entries(dtype, std::move(shape), proto.float_data());
    case Field::kInt32:
      return from_int32_data(dtype, std::move(shape), proto.int32_data());
    case Field::kString:
      return from_strings(std::move(shape), *proto.mutable_string_data());
    case Field::kInt64:
      return from_entries(dtype, std::move(shape), proto.int64_data());
    case Field::kDouble:
      return from_entries(dtype, std::move(shape), proto.double_data());
    case Field::kUint64:
      break;
  }
  return dtype == DataType::kUint32 ? from_wide_entries<uint32_t>(dtype, std::move(shape), proto.uint64_data())
                                    : from_entries(dtype, std::move(shape), proto.uint64_data());
}

void clear_payload(onnx::TensorProto& proto) {
  proto.clear_external_data();
  proto.clear_data_location();
  proto.clear_raw_data();
  proto.clear_float_data();
  proto.clear_int32_data();
  proto.clear_string_data();
  proto.clear_int64_data();
  proto.clear_double_data();
  proto.clear_uint64_data();
}

}  // namespace

int64_t checked_elements(std::span<const int64_t> shape, const Limits& limits) {
  if (shape.size() > static_cast<size_t>(std::max(limits.rank, 0)))
    fail(ErrorCode::kResourceLimit, "rank {} is beyond the limit of {}", shape.size(), limits.rank);
  if (std::ranges::any_of(shape, [](int64_t dim) { return dim < 0; }))
    fail(ErrorCode::kInvalidModel, "shape {} has a negative dimension", to_string(shape));
  const auto elements = checked_size(shape);
  if (!elements)
    fail(ErrorCode::kInvalidModel, "the number of elements of shape {} does not fit 64 bits", to_string(shape));
  return *elements;
}

int64_t checked_elements(const onnx::TensorProto& proto, const Limits& limits) {
  const int64_t elements = checked_elements(dims_of(proto), limits);
  const auto dtype = static_cast<DataType>(proto.data_type());
  if (proto.data_type() <= 0) fail(ErrorCode::kInvalidModel, "data type {} is not valid", proto.data_type());
  if (bit_width(dtype) != 0 && !packed_bytes(dtype, elements))
    fail(ErrorCode::kInvalidModel, "the size of a {} tensor of shape {} does not fit 64 bits", to_string(dtype),
         to_string(dims_of(proto)));
  return elements;
}

bool has_inline_data(const onnx::TensorProto& proto) {
  return !proto.raw_data().empty() || proto.float_data_size() > 0 || proto.int32_data_size() > 0 ||
         proto.string_data_size() > 0 || proto.int64_data_size() > 0 || proto.double_data_size() > 0 ||
         proto.uint64_data_size() > 0;
}

void refer_to_shared(onnx::TensorProto& proto, size_t index) {
  proto.clear_external_data();
  proto.add_external_data()->set_value(std::to_string(index));
  proto.set_data_location(onnx::TensorProto::EXTERNAL);
}

bool may_refer(const onnx::TensorProto& proto) {
  const auto dtype = static_cast<DataType>(proto.data_type());
  // The bytes of bools are normalized in place.
  return !proto.has_segment() && bit_width(dtype) != 0 && dtype != DataType::kBool;
}

std::optional<Tensor> take_tensor(onnx::TensorProto& proto, const Limits& limits, const SharedPayloads& shared) {
  const int64_t elements = checked_elements(proto, limits);
  const auto dtype = static_cast<DataType>(proto.data_type());
  if (proto.has_segment() || (bit_width(dtype) == 0 && dtype != DataType::kString)) return std::nullopt;

  Tensor tensor = proto.data_location() == onnx::TensorProto::EXTERNAL
                      ? from_shared(dtype, Shape(proto.dims().begin(), proto.dims().end()), proto, shared)
                      : take_own(proto, dtype, elements);
  clear_payload(proto);
  proto.clear_dims();
  proto.clear_data_type();
  return tensor;
}

void put_tensor_header(onnx::TensorProto& proto, const Tensor& tensor) {
  proto.mutable_dims()->Assign(tensor.shape().begin(), tensor.shape().end());
  proto.set_data_type(static_cast<int32_t>(tensor.dtype()));
  if (tensor.dtype() == DataType::kString)
    for (const std::string& text : tensor.data<std::string>()) proto.add_string_data(text);
}

}  // namespace pli
