#include "runtime/core/tensor.h"

#include "runtime/core/dispatch.h"
#include "runtime/core/memory.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace pli {

namespace {

size_t element_count(const Shape& shape) {
  const auto size = checked_size(shape);
  if (!size) fail(ErrorCode::kInvalidArgument, "shape {} is negative or too large", to_string(shape));
  return static_cast<size_t>(*size);
}

/// The memory of the elements themselves; those of a string tensor are std::string.
size_t payload_bytes(DataType dtype, const Shape& shape) {
  const auto elements = static_cast<int64_t>(element_count(shape));
  const auto bytes =
      dtype == DataType::kString ? checked_mul(elements, sizeof(std::string)) : packed_bytes(dtype, elements);
  if (!bytes)
    fail(ErrorCode::kInvalidArgument, "a {} tensor of shape {} has no size", to_string(dtype), to_string(shape));
  return static_cast<size_t>(*bytes);
}

}  // namespace

Tensor::Tensor(DataType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)), size_(element_count(shape_)) {
  const size_t bytes = payload_bytes(dtype, shape_);
  if (dtype == DataType::kString) {
    auto strings = std::make_shared<std::vector<std::string>>(size_);
    data_ = strings->data();
    owner_ = std::move(strings);
  } else {
    auto memory = allocate(bytes);
    std::memset(memory.get(), 0, bytes);
    data_ = memory.get();
    owner_ = std::move(memory);
  }
  writable_ = true;
}

Tensor Tensor::borrow(DataType dtype, Shape shape, const void* data, size_t bytes) {
  return adopt(dtype, std::move(shape), nullptr, data, bytes);
}

Tensor Tensor::duplicate(DataType dtype, Shape shape, const void* data, size_t bytes) {
  const Tensor source = borrow(dtype, shape, data, bytes);
  Tensor copy(dtype, std::move(shape));
  if (dtype == DataType::kString) {
    std::ranges::copy(source.data<std::string>(), copy.mutable_data<std::string>().begin());
  } else if (bytes > 0) {
    std::memcpy(copy.mutable_raw(), data, bytes);
  }
  return copy;
}

Tensor Tensor::adopt(DataType dtype, Shape shape, std::shared_ptr<const void> owner, const void* data, size_t bytes) {
  const size_t wanted = payload_bytes(dtype, shape);
  if (bytes != wanted)
    fail(ErrorCode::kInvalidArgument, "a {} tensor of shape {} takes {} bytes, not {}", to_string(dtype),
         to_string(shape), wanted, bytes);
  Tensor tensor;
  tensor.size_ = element_count(shape);
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.owner_ = std::move(owner);
  tensor.data_ = data;
  tensor.writable_ = false;
  return tensor;
}

Tensor Tensor::adopt(DataType dtype, Shape shape, std::shared_ptr<std::byte> memory, size_t bytes) {
  const std::byte* const data = memory.get();
  Tensor tensor = adopt(dtype, std::move(shape), std::move(memory), data, bytes);
  tensor.writable_ = true;
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  const size_t elements = element_count(shape);
  if (elements != size_)
    fail(ErrorCode::kInvalidArgument, "shape {} takes {} elements; the tensor of shape {} has {}", to_string(shape),
         elements, to_string(this->shape()), size_);
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

void Tensor::swap(Tensor& other) noexcept {
  std::swap(dtype_, other.dtype_);
  shape_.swap(other.shape_);
  std::swap(size_, other.size_);
  owner_.swap(other.owner_);
  std::swap(data_, other.data_);
  std::swap(writable_, other.writable_);
}

std::span<const std::byte> Tensor::bytes() const& {
  if (dtype_ == DataType::kString) return {};
  return {static_cast<const std::byte*>(data_),
          static_cast<size_t>(*packed_bytes(dtype_, static_cast<int64_t>(size_)))};
}

void* Tensor::mutable_raw() & {
  if (size_ > 0 && owners() != 1)
    fail(ErrorCode::kInvalidArgument, "the tensor's payload is borrowed or shared, so it can't be written to");
  return const_cast<void*>(data_);
}

void Tensor::check_type(DataType wanted) const {
  if (wanted != dtype_)
    fail(ErrorCode::kInvalidArgument, "the tensor holds {}, not {}", to_string(dtype_), to_string(wanted));
}

std::string to_string(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

float to_float(Float16 half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  const uint32_t exponent = (half.bits >> 10) & 0x1fu;
  const uint32_t mantissa = half.bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  return sign ? -magnitude : magnitude;
}

float to_float(Bfloat16 half) { return std::bit_cast<float>(static_cast<uint32_t>(half.bits) << 16); }

namespace {

/// A double rounded once, to nearest and a tie to even, to a float of 16 bits of which `mantissa` are the mantissa's:
/// its bits.
template <int mantissa>
uint16_t rounded_bits(double value) {
  constexpr int kExponentBits = 15 - mantissa;
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1, kDropped = 52 - mantissa;
  constexpr uint64_t kLeastNormal = static_cast<uint64_t>(1023 + 1 - kBias) << 52;
  constexpr uint64_t kInfinity = ((uint64_t{1} << kExponentBits) - 1) << mantissa;
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint64_t>(bits >> 63) << 15;
  const uint64_t magnitude = bits & ~(uint64_t{1} << 63);
  uint64_t result = 0;
  if (magnitude > std::bit_cast<uint64_t>(std::numeric_limits<double>::infinity())) {
    result = kInfinity | (uint64_t{1} << (mantissa - 1));
  } else if (magnitude >= kLeastNormal) {
    const uint64_t moved = magnitude - (static_cast<uint64_t>(1023 - kBias) << 52);
    const uint64_t half = (uint64_t{1} << (kDropped - 1)) - 1 + ((moved >> kDropped) & 1);
    result = std::min((moved + half) >> kDropped, kInfinity);
  } else {  // beside this number the spacing of doubles is that of the subnormal results: the sum rounds
    constexpr double kBeside = std::bit_cast<double>(static_cast<uint64_t>(1023 + 1 - kBias + kDropped) << 52);
    result = std::bit_cast<uint64_t>(std::bit_cast<double>(magnitude) + kBeside) - std::bit_cast<uint64_t>(kBeside);
  }
  return static_cast<uint16_t>(result | sign);
}

}  // namespace

Float16 to_float16(double value) { return {rounded_bits<10>(value)}; }

Bfloat16 to_bfloat16(double value) { return {rounded_bits<7>(value)}; }

namespace {

template <class From, class To, class Rule>
void convert_each(std::span<const From> from, std::span<To> to, Rule rule) {
  if (from.size() != to.size())
    fail(ErrorCode::kInvalidArgument, "{} elements to convert into {}", from.size(), to.size());
  std::ranges::transform(from, to.begin(), rule);
}

}  // namespace

void convert(std::span<const Float16> from, std::span<float> to) {
  convert_each(from, to, [](Float16 value) { return to_float(value); });
}
void convert(std::span<const Bfloat16> from, std::span<float> to) {
  convert_each(from, to, [](Bfloat16 value) { return to_float(value); });
}
void convert(std::span<const float> from, std::span<Float16> to) {
  convert_each(from, to, [](float value) { return to_float16(static_cast<double>(value)); });
}
void convert(std::span<const float> from, std::span<Bfloat16> to) {
  convert_each(from, to, [](float value) { return to_bfloat16(static_cast<double>(value)); });
}

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> values(tensor.size());
  with_float_type(tensor.dtype(),
                  [&]<class T>(T) { std::ranges::transform(tensor.data<T>(), values.begin(), to_double<T>); });
  return values;
}

std::vector<int64_t> to_int64s(const Tensor& tensor) {
  std::vector<int64_t> values(tensor.size());
  if (tensor.dtype() == DataType::kBool) {
    // A caller's bytes may be more than 0 and 1, which is no `bool`.
    std::ranges::transform(tensor.bytes(), values.begin(), [](std::byte v) { return v != std::byte{0} ? 1 : 0; });
    return values;
  }
  with_integer_type(tensor.dtype(), [&]<class T>(T) {
    std::ranges::transform(tensor.data<T>(), values.begin(), [](T v) {
      if (std::cmp_greater(v, INT64_MAX)) fail(ErrorCode::kInvalidArgument, "{} does not fit into int64", v);
      return static_cast<int64_t>(v);
    });
  });
  return values;
}

Tensor from_doubles(DataType dtype, Shape shape, std::span<const double> values) {
  Tensor tensor(dtype, std::move(shape));
  if (tensor.size() != values.size())
    fail(ErrorCode::kInternal, "{} values for shape {}", values.size(), to_string(tensor.shape()));
  with_float_type(
      dtype, [&]<class T>(T) { std::ranges::transform(values, tensor.mutable_data<T>().begin(), from_double<T>); });
  return tensor;
}

Tensor int64_tensor(std::span<const int64_t> values) {
  return Tensor::copy<int64_t>({static_cast<int64_t>(values.size())}, values);
}

Tensor deep_copy(const Tensor& tensor) {
  Shape shape(tensor.shape().begin(), tensor.shape().end());
  if (tensor.dtype() == DataType::kString)
    return Tensor::copy<std::string>(std::move(shape), tensor.data<std::string>());
  Tensor copy(tensor.dtype(), std::move(shape));
  if (!tensor.bytes().empty()) std::memcpy(copy.mutable_raw(), tensor.bytes().data(), tensor.bytes().size());
  return copy;
}

Tensor bits_as(const Tensor& tensor, DataType dtype) {
  if (bit_width(dtype) != bit_width(tensor.dtype()) || bit_width(dtype) == 0)
    fail(ErrorCode::kInvalidArgument, "the bits of {} as {}", to_string(tensor.dtype()), to_string(dtype));
  return Tensor::adopt(dtype, Shape(tensor.shape().begin(), tensor.shape().end()),
                       std::make_shared<const Tensor>(tensor), tensor.bytes().data(), tensor.bytes().size());
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !std::ranges::equal(a.shape(), b.shape())) return false;
  if (a.dtype() == DataType::kString) return std::ranges::equal(a.data<std::string>(), b.data<std::string>());
  return std::ranges::equal(a.bytes(), b.bytes());
}

}  // namespace pli
