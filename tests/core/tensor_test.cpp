#include "runtime/core/tensor.h"

#include "runtime/core/memory.h"
#include "tests/expect_error.h"

#include <pli/value.h>

#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

namespace pli::test {

namespace {

constexpr ErrorCode kArgument = ErrorCode::kInvalidArgument;

TEST(Tensors, AreZeroedAndAligned) {
  const Tensor tensor(DataType::kFloat32, {3, 5});
  EXPECT_EQ(tensor.size(), 15u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes().data()) % 64, 0u);
  for (const float value : tensor.data<float>()) EXPECT_EQ(value, 0);
  const Tensor strings(DataType::kString, {2});
  EXPECT_EQ(strings.data<std::string>()[1], "");
  EXPECT_TRUE(strings.bytes().empty());
  EXPECT_EQ(Tensor().size(), 0u);
  EXPECT_EQ(Tensor(DataType::kInt64, {}).size(), 1u);
  const Tensor empty(DataType::kInt64, {0, 4});
  EXPECT_EQ(empty.bytes().size(), 0u);
  const Tensor packed(DataType::kUint4, {3});
  EXPECT_EQ(packed.bytes().size(), 2u);
}

TEST(Tensors, ShapesAreChecked) {
  EXPECT_TRUE(fails_with(kArgument, "[-1] is negative", [] { Tensor(DataType::kFloat32, {-1}); }));
  EXPECT_TRUE(fails_with(kArgument, "too large", [] { Tensor(DataType::kFloat32, {INT64_MAX, 2}); }));
  EXPECT_TRUE(fails_with(kArgument, "has no size", [] { Tensor(DataType::kFloat64, {INT64_MAX / 4}); }));
  EXPECT_TRUE(fails_with(kArgument, "type 99", [] { Tensor(static_cast<DataType>(99), {1}); }));
  EXPECT_TRUE(fails_with(kArgument, "undefined", [] { Tensor(DataType::kUndefined, {1}); }));
  EXPECT_TRUE(fails_with(kArgument, "has no size", [] { Tensor(DataType::kString, {INT64_MAX}); }));
  // 32 bytes each, which is 2^64 together.
  EXPECT_TRUE(fails_with(kArgument, "has no size",
                         [] { Tensor::copy<std::string>({int64_t{1} << 59}, std::span<const std::string>()); }));
  const std::array<float, 6> values{};
  EXPECT_TRUE(fails_with(kArgument, "takes 28 bytes, not 24", [&] { Tensor::copy<float>({7}, values); }));
  EXPECT_TRUE(fails_with(kArgument, "takes 16 bytes, not 24", [&] {
    Tensor::view<float>({2, 2}, std::span<const float>(values));
  }));
  EXPECT_TRUE(fails_with(kArgument, "takes 23 bytes",
                         [&] { Tensor::adopt(DataType::kInt8, {23}, nullptr, values.data(), 24); }));
}

TEST(Tensors, BitsCanBeSeenAsAnotherType) {
  const std::array<uint16_t, 3> bits{0x3f80, 0xc000, 0x7f80};
  Tensor seen;
  {
    const Tensor tensor = Tensor::copy<uint16_t>({3, 1}, bits);
    seen = bits_as(tensor, DataType::kBfloat16);
  }
  EXPECT_EQ(seen.shape().size(), 2u);
  EXPECT_EQ(to_doubles(seen), (std::vector<double>{1, -2, INFINITY}));
  EXPECT_TRUE(fails_with(kArgument, "bfloat16 as float32", [&] { bits_as(seen, DataType::kFloat32); }));
  EXPECT_TRUE(
      fails_with(kArgument, "string as string", [] { bits_as(Tensor(DataType::kString, {1}), DataType::kString); }));
}

TEST(Tensors, ElementsHaveOneType) {
  const Tensor tensor(DataType::kFloat32, {2});
  EXPECT_TRUE(fails_with(kArgument, "holds float32, not int32", [&] { (void)tensor.data<int32_t>(); }));
  EXPECT_TRUE(fails_with(kArgument, "not float64", [&] { (void)tensor.data<double>(); }));
  EXPECT_TRUE(fails_with(kArgument, "not string", [&] { (void)tensor.data<std::string>(); }));
}

TEST(Tensors, ACopyOwnsAViewBorrows) {
  std::array<float, 6> values;
  std::iota(values.begin(), values.end(), 1.0f);
  const Tensor copy = Tensor::copy<float>({2, 3}, values);
  const Tensor view = Tensor::view<float>({2, 3}, std::span<const float>(values));
  values[0] = 9;
  EXPECT_EQ(copy.data<float>()[0], 1);
  EXPECT_EQ(view.data<float>()[0], 9);
  EXPECT_EQ(view.data<float>().data(), values.data());
}

TEST(Tensors, OnlyAPayloadOfOnesOwnIsWritten) {
  Tensor tensor(DataType::kInt32, {4});
  tensor.mutable_data<int32_t>()[2] = 5;
  {
    const Tensor shared = tensor;
    EXPECT_EQ(shared.data<int32_t>().data(), tensor.data<int32_t>().data());
    EXPECT_TRUE(fails_with(kArgument, "shared", [&] { tensor.mutable_data<int32_t>(); }));
  }
  tensor.mutable_data<int32_t>()[3] = 6;  // alone again
  EXPECT_EQ(tensor.data<int32_t>()[2], 5);
  std::array<int32_t, 4> values{};
  Tensor view = Tensor::view<int32_t>({4}, std::span<int32_t>(values));
  EXPECT_TRUE(fails_with(kArgument, "borrowed", [&] { view.mutable_data<int32_t>(); }));
  EXPECT_TRUE(fails_with(kArgument, "not float32", [&] { tensor.mutable_data<float>(); }));
}

TEST(Tensors, AnAdoptedPayloadLivesAsLongAsItsTensors) {
  auto owner = std::make_shared<std::vector<float>>(6, 2.5f);
  const std::weak_ptr<std::vector<float>> watched = owner;
  Tensor tensor = Tensor::adopt(DataType::kFloat32, {6}, owner, owner->data(), 24);
  owner.reset();
  Tensor other = tensor.reshaped({3, 2});
  tensor = Tensor();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(other.data<float>()[5], 2.5f);
  EXPECT_EQ(to_string(other.shape()), "[3, 2]");
  other = Tensor();
  EXPECT_TRUE(watched.expired());
}

TEST(Tensors, ReshapingKeepsTheNumberOfElements) {
  const Tensor strings = Tensor::copy<std::string>({2}, std::vector<std::string>{"a", "b"});
  const Tensor column = strings.reshaped({2, 1});
  EXPECT_EQ(column.data<std::string>()[1], "b");
  EXPECT_TRUE(fails_with(kArgument, "[3]", [&] { strings.reshaped({3}); }));
  EXPECT_TRUE(fails_with(kArgument, "takes 4 elements; the tensor of shape [6] has 6",
                         [&] { Tensor(DataType::kFloat32, {6}).reshaped({4}); }));
}

TEST(Tensors, AChainOfReshapesOwnsOnePayload) {
  Tensor tensor(DataType::kFloat32, {2, 3});
  const void* data = tensor.bytes().data();
  for (int i = 0; i < 1'000'000; ++i) tensor = tensor.reshaped(i % 2 == 0 ? Shape{3, 2} : Shape{6});
  EXPECT_EQ(tensor.bytes().data(), data);
  tensor.mutable_data<float>()[0] = 1;  // nobody else owns it any more
}

TEST(Tensors, OneThatWasMovedFromIsEmpty) {
  Tensor tensor(DataType::kInt64, {2, 3});
  const void* data = tensor.bytes().data();
  Tensor taken = std::move(tensor);
  EXPECT_EQ(tensor.dtype(), DataType::kFloat32);
  EXPECT_EQ(to_string(tensor.shape()), "[0]");
  EXPECT_EQ(tensor.size(), 0u);
  EXPECT_TRUE(tensor.bytes().empty());
  EXPECT_TRUE(tensor.data<float>().empty());
  EXPECT_TRUE(tensor.mutable_data<float>().empty());
  tensor = std::move(taken);
  EXPECT_EQ(taken.size(), 0u);
  EXPECT_EQ(tensor.bytes().data(), data);
  EXPECT_EQ(to_string(tensor.shape()), "[2, 3]");
}

template <class Container>
concept CanBeViewed = requires(Container&& data) {
  Tensor::view<float>({2}, std::forward<Container>(data));
};
static_assert(CanBeViewed<std::vector<float>&> && CanBeViewed<const std::vector<float>&>);
static_assert(CanBeViewed<std::span<float>> && CanBeViewed<std::span<const float>>);
static_assert(!CanBeViewed<std::vector<float>> && !CanBeViewed<const std::vector<float>>);
static_assert(!CanBeViewed<std::array<float, 2>>);

TEST(Tensors, AreIdenticalBitForBit) {
  const std::array<float, 2> values{0.0f, 1.0f};
  const std::array<float, 2> other{-0.0f, 1.0f};
  const Tensor a = Tensor::copy<float>({2}, values);
  EXPECT_TRUE(identical(a, Tensor::copy<float>({2}, values)));
  EXPECT_FALSE(identical(a, Tensor::copy<float>({2}, other)));
  EXPECT_FALSE(identical(a, Tensor::copy<float>({2, 1}, values)));
  EXPECT_FALSE(identical(a, Tensor(DataType::kInt32, {2})));
  EXPECT_FALSE(
      identical(Tensor::copy<std::string>({1}, std::vector<std::string>{"a"}), Tensor(DataType::kString, {1})));
}

TEST(Tensors, ElementsAsDoublesAndIntegers) {
  const std::vector<double> doubles{-1.5, 0, 3.25};
  for (const DataType dtype : {DataType::kFloat32, DataType::kFloat64, DataType::kFloat16, DataType::kBfloat16})
    EXPECT_EQ(to_doubles(from_doubles(dtype, {3}, doubles)), doubles) << to_string(dtype);
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "int32", [] { to_doubles(Tensor(DataType::kInt32, {1})); }));
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "int32", [] { from_doubles(DataType::kInt32, {0}, {}); }));
  EXPECT_TRUE(fails_with(ErrorCode::kInternal, "3 values", [&] { from_doubles(DataType::kFloat32, {2}, doubles); }));
  EXPECT_EQ(to_int64s(Tensor::copy<int8_t>({2}, std::vector<int8_t>{-128, 7})), (std::vector<int64_t>{-128, 7}));
  EXPECT_EQ(to_int64s(Tensor::copy<uint32_t>({1}, std::vector<uint32_t>{UINT32_MAX})),
            (std::vector<int64_t>{UINT32_MAX}));
  EXPECT_EQ(to_int64s(int64_tensor(std::vector<int64_t>{INT64_MIN})), (std::vector<int64_t>{INT64_MIN}));
  EXPECT_TRUE(fails_with(kArgument, "does not fit into int64",
                         [] { to_int64s(Tensor::copy<uint64_t>({1}, std::vector<uint64_t>{UINT64_MAX})); }));
  EXPECT_TRUE(fails_with(ErrorCode::kUnsupported, "float32", [] { to_int64s(Tensor(DataType::kFloat32, {1})); }));
}

TEST(Values, HoldOneOfThreeThings) {
  const Value tensor = Tensor(DataType::kFloat32, {2, 3});
  const Value sequence = Value::Sequence{tensor, tensor};
  const Value empty = Value::Optional();
  EXPECT_TRUE(tensor.is_tensor());
  EXPECT_EQ(tensor.data<float>().size(), 6u);
  EXPECT_EQ(tensor.dtype(), DataType::kFloat32);
  EXPECT_EQ(sequence.sequence().size(), 2u);
  EXPECT_EQ(empty.optional(), nullptr);
  EXPECT_TRUE(fails_with(kArgument, "a sequence, not a tensor", [&] { (void)sequence.tensor(); }));
  EXPECT_TRUE(fails_with(kArgument, "not a sequence", [&] { (void)tensor.sequence(); }));
  EXPECT_TRUE(fails_with(kArgument, "not an optional", [&] { (void)sequence.optional(); }));
  EXPECT_TRUE(fails_with(kArgument, "an optional, not a tensor", [&] { (void)empty.shape(); }));
}

TEST(Values, AreFoundByName) {
  const NamedValues values{{"image", Tensor(DataType::kFloat32, {1})}, {"mask", Tensor(DataType::kBool, {1})}};
  EXPECT_EQ(values.at("mask").dtype(), DataType::kBool);
  EXPECT_EQ(values.find("imag"), nullptr);
  EXPECT_TRUE(fails_with(kArgument,
                         "no value is named \"imag\"; there are \"image\", \"mask\"; did you mean \"image\"?",
                         [&] { (void)values.at("imag"); }));
}

/// What was read into memory of its own may be written; what somebody else knows may not.
TEST(Tensors, KnowTheirOwners) {
  Tensor tensor = Tensor::adopt(DataType::kFloat32, {1000}, allocate(4000), 4000);
  EXPECT_EQ(tensor.owners(), 1);
  tensor.mutable_data<float>()[999] = 2;
  const Tensor copy = tensor;
  EXPECT_EQ(tensor.owners(), 2);
  EXPECT_THROW((void)tensor.mutable_raw(), Error);
  EXPECT_EQ(copy.data<float>()[999], 2);
  const std::vector<float> numbers(6);
  EXPECT_EQ(Tensor::view<float>({2, 3}, numbers).owners(), 0);
  EXPECT_THROW(Tensor::adopt(DataType::kFloat32, {1000}, allocate(3999), 3999), Error);
}

/// Whole pages go, what shares one with something else stays.
TEST(Memory, DiscardsPagesOfItsOwn) {
  constexpr size_t kBytes = size_t{8} << 20, kPage = 65536;  // no page is larger than that
  const auto memory = allocate(kBytes);
  std::memset(memory.get(), 7, kBytes);
  discard({memory.get() + 100, kBytes / 2});
  EXPECT_EQ(static_cast<int>(memory.get()[0]), 7);
  EXPECT_EQ(static_cast<int>(memory.get()[99]), 7);
  EXPECT_EQ(static_cast<int>(memory.get()[kPage]), 0);
  EXPECT_EQ(static_cast<int>(memory.get()[kBytes / 2 + 100]), 7);
  EXPECT_EQ(static_cast<int>(memory.get()[kBytes - 1]), 7);
  discard({memory.get() + 1, 10});
  EXPECT_EQ(static_cast<int>(memory.get()[1]), 7);
}

/// A part is as good as memory of its own: each has owners of its own, keeps the block, and gives its pages back.
TEST(Memory, PartsOfABlockGoOneByOne) {
  constexpr size_t kBytes = size_t{6} << 20, kPage = 65536, kFirst = (size_t{2} << 20) + 64, kSecond = kBytes - kFirst;
  auto block = allocate(kBytes);
  std::byte* const start = block.get();
  const std::weak_ptr<std::byte> watched = block;
  auto first = part_of_block(block, 0, kFirst), second = part_of_block(block, kFirst, kSecond);
  block.reset();
  std::memset(first.get(), 7, kFirst);
  std::memset(second.get(), 8, kSecond);
  EXPECT_EQ(first.use_count(), 1);
  first.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(static_cast<int>(start[0]), 0);
  EXPECT_EQ(static_cast<int>(start[kFirst - kPage]), 0);
  for (const size_t i : {size_t{0}, size_t{1}, kPage, kSecond - 1}) EXPECT_EQ(static_cast<int>(second.get()[i]), 8);
  second.reset();
  EXPECT_TRUE(watched.expired());
}

}  // namespace

}  // namespace pli::test
