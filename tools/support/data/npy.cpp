#include "tools/support/data/npy.h"

#include "runtime/core/error.h"
#include "runtime/core/files.h"
#include "runtime/core/tensor.h"

#include <pli/limits.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

namespace pli::tools {

static_assert(std::endian::native == std::endian::little, "payloads are copied as they lie in memory");

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct TypeName {
  std::string_view name;
  DataType dtype;
};
constexpr std::array<TypeName, 14> kTypes{{{"b1", DataType::kBool},
                                           {"i1", DataType::kInt8},
                                           {"i2", DataType::kInt16},
                                           {"i4", DataType::kInt32},
                                           {"i8", DataType::kInt64},
                                           {"u1", DataType::kUint8},
                                           {"u2", DataType::kUint16},
                                           {"u4", DataType::kUint32},
                                           {"u8", DataType::kUint64},
                                           {"f2", DataType::kFloat16},
                                           {"f4", DataType::kFloat32},
                                           {"f8", DataType::kFloat64},
                                           {"c8", DataType::kComplex64},
                                           {"c16", DataType::kComplex128}}};

[[noreturn]] void malformed(std::string_view why) { fail(ErrorCode::kInvalidArgument, "not a .npy file: {}", why); }

struct Header {
  DataType dtype = DataType::kUndefined;
  bool fortran = false;
  Shape shape;
};

/// Reads the header: a Python dictionary with the keys descr, fortran_order and shape, in any order.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  Header read() {
    std::optional<DataType> dtype;
    std::optional<bool> fortran;
    std::optional<Shape> shape;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr")
        dtype = type();
      else if (key == "fortran_order")
        fortran = boolean();
      else if (key == "shape")
        shape = dimensions();
      else
        malformed("its header has an unknown key");
      if (!accept(',') && peek() != '}') malformed("its header is no dictionary");
    }
    skip_space();
    if (!rest_.empty()) malformed("its header does not end with its dictionary");
    if (!dtype || !fortran || !shape) malformed("its header lacks descr, fortran_order or shape");
    return {*dtype, *fortran, std::move(*shape)};
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  char peek() {
    skip_space();
    return rest_.empty() ? '\0' : rest_[0];
  }
  bool accept(char c) {
    if (peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) malformed(fmt::format("its header lacks a '{}'", c));
  }

  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') malformed("its header lacks a string");
    rest_.remove_prefix(1);
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) malformed("its header has a string without an end");
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  DataType type() {
    if (peek() == '[') fail(ErrorCode::kUnsupported, "arrays of records are not supported");
    const std::string_view name = quoted();
    const auto* known = std::ranges::find(kTypes, name.substr(std::min<size_t>(1, name.size())), &TypeName::name);
    if (name.size() < 2 || known == kTypes.end())
      fail(ErrorCode::kUnsupported, "the array type \"{}\" is not supported", name);
    if (name[0] == '>' && bit_width(known->dtype) > 8)
      fail(ErrorCode::kUnsupported, "the big-endian array type \"{}\" is not supported", name);
    return known->dtype;
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] :
         {std::pair(std::string_view("True"), true), std::pair(std::string_view("False"), false)}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    malformed("fortran_order is neither True nor False");
  }

  Shape dimensions() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t dim = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (error != std::errc() || dim < 0) malformed("a dimension is no count");
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      shape.push_back(dim);
      if (!accept(',') && peek() != ')') malformed("its shape is no tuple");
    }
    return shape;
  }

  std::string_view rest_;
};

/// The elements of an array whose first dimension varies fastest, row-major.
Tensor from_fortran(const Header& header, std::span<const std::byte> payload) {
  const size_t item = static_cast<size_t>(bit_width(header.dtype)) / 8;
  Tensor tensor(header.dtype, header.shape);
  auto* to = static_cast<std::byte*>(tensor.mutable_raw());
  std::vector<size_t> strides(header.shape.size());
  size_t stride = item;
  for (size_t d = 0; d < strides.size(); ++d) {
    strides[d] = stride;
    stride *= static_cast<size_t>(header.shape[d]);
  }
  Shape index(header.shape.size());
  size_t from = 0;
  for (size_t i = 0; i < tensor.size(); ++i) {
    std::memcpy(to + i * item, payload.data() + from, item);
    for (size_t d = index.size(); d-- > 0;) {
      from += strides[d];
      if (++index[d] < header.shape[d]) break;
      from -= strides[d] * static_cast<size_t>(header.shape[d]);
      index[d] = 0;
    }
  }
  return tensor;
}

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < 10) malformed("it does not start as one");
  const auto major = static_cast<unsigned>(text[6]);
  if (major < 1 || major > 3) fail(ErrorCode::kUnsupported, "version {} of the .npy format is not supported", major);
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t start = 8 + length_bytes;
  if (text.size() < start) malformed("it ends in its header");
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= static_cast<size_t>(bytes[8 + i]) << (8 * i);
  if (length > text.size() - start) malformed("it ends in its header");

  const Header header = HeaderReader(text.substr(start, length)).read();
  const std::span<const std::byte> payload = bytes.subspan(start + length);
  const auto wanted = packed_bytes(header.dtype, header.shape);
  if (!wanted || static_cast<size_t>(*wanted) != payload.size())
    malformed(fmt::format("a {} array of shape {} does not take the {} bytes that it holds", to_string(header.dtype),
                          to_string(header.shape), payload.size()));
  if (header.dtype == DataType::kBool && std::ranges::any_of(payload, [](std::byte b) { return b > std::byte{1}; }))
    malformed("a bool is neither 0 nor 1");
  if (header.fortran && header.shape.size() > 1) return from_fortran(header, payload);
  Tensor tensor(header.dtype, header.shape);
  if (!payload.empty()) std::memcpy(tensor.mutable_raw(), payload.data(), payload.size());
  return tensor;
}

Tensor read_npy(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = InputFile(path).read_all(Limits().tensor_bytes);
  return in_file(path.string(), [&] { return parse_npy(bytes); });
}

std::string npy_bytes(const Tensor& tensor) {
  const auto* known = std::ranges::find(kTypes, tensor.dtype(), &TypeName::dtype);
  if (known == kTypes.end()) fail(ErrorCode::kUnsupported, "a .npy file can't hold {}", to_string(tensor.dtype()));
  std::string shape;
  for (const int64_t dim : tensor.shape()) shape += fmt::format("{}, ", dim);
  if (tensor.shape().size() > 1) shape.resize(shape.size() - 2);
  if (tensor.shape().size() == 1) shape.pop_back();
  const char order = bit_width(tensor.dtype()) > 8 ? '<' : '|';
  std::string header =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}", order, known->name, shape);
  constexpr size_t kPreface = 10;
  constexpr size_t kAlignment = 64;  // NumPy aligns the payload so
  const size_t padded = (kPreface + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(padded - kPreface - 1, ' ');
  header += '\n';
  if (header.size() > 0xffff)
    fail(ErrorCode::kUnsupported, "a .npy file can't hold an array of rank {}", tensor.shape().size());

  std::string file(kMagic);
  file += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file += header;
  const auto payload = tensor.bytes();
  return file.append(reinterpret_cast<const char*>(payload.data()), payload.size());
}

}  // namespace pli::tools
