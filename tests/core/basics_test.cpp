#include "runtime/core/checked.h"
#include "runtime/core/error.h"
#include "runtime/core/tensor.h"
#include "tests/expect_error.h"

#include <vector>

namespace pli::test {

namespace {

// --- checked arithmetic ----------------------------------------------------------------------------------------------

TEST(Checked, SizesOfShapes) {
  const auto size = [](std::initializer_list<int64_t> shape) { return checked_size(std::vector<int64_t>(shape)); };
  EXPECT_EQ(size({}), 1);
  EXPECT_EQ(size({3, 5, 7}), 105);
  EXPECT_EQ(size({3, 0, 7}), 0);
  EXPECT_EQ(size({INT64_MAX, 0, 1}), 0);
  EXPECT_EQ(size({INT64_MAX, 0, INT64_MAX}), std::nullopt);  // nothing in it, but no strides either
  EXPECT_EQ(size({INT64_MAX}), INT64_MAX);
  EXPECT_EQ(size({INT64_MAX, 2}), std::nullopt);
  EXPECT_EQ(size({int64_t{1} << 32, int64_t{1} << 32}), std::nullopt);
  EXPECT_EQ(size({-1}), std::nullopt);
  EXPECT_EQ(size({0, -1}), std::nullopt);
  EXPECT_EQ(size({-1, -1}), std::nullopt);
}

TEST(Checked, AdditionAndMultiplication) {
  EXPECT_EQ(checked_add(INT64_MAX - 1, 1), INT64_MAX);
  EXPECT_EQ(checked_add(INT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checked_add(INT64_MIN, -1), std::nullopt);
  EXPECT_EQ(checked_mul(-3, 5), -15);
  EXPECT_EQ(checked_mul(INT64_MIN, -1), std::nullopt);
}

// --- data types ------------------------------------------------------------------------------------------------------

TEST(DataTypes, NamesAndWidths) {
  for (int32_t i = 0; i <= 26; ++i) {
    const auto dtype = static_cast<DataType>(i);
    EXPECT_EQ(parse_dtype(to_string(dtype)), dtype);
  }
  EXPECT_EQ(bit_width(DataType::kFloat32), 32);
  EXPECT_EQ(bit_width(DataType::kBool), 8);
  EXPECT_EQ(bit_width(DataType::kComplex128), 128);
  EXPECT_EQ(bit_width(DataType::kInt4), 4);
  EXPECT_EQ(bit_width(DataType::kUint2), 2);
  EXPECT_EQ(bit_width(DataType::kString), 0);
  for (const int32_t unknown : {-1, 27, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(bit_width(static_cast<DataType>(unknown)), 0);
    EXPECT_EQ(to_string(static_cast<DataType>(unknown)), "type " + std::to_string(unknown));
  }
  EXPECT_EQ(parse_dtype("float33"), std::nullopt);
}

TEST(DataTypes, PackedBytesAreRoundedUp) {
  EXPECT_EQ(packed_bytes(DataType::kInt4, 0), 0);
  EXPECT_EQ(packed_bytes(DataType::kInt4, 5), 3);
  EXPECT_EQ(packed_bytes(DataType::kInt2, 5), 2);
  EXPECT_EQ(packed_bytes(DataType::kFloat64, 5), 40);
  EXPECT_EQ(packed_bytes(DataType::kFloat64, INT64_MAX / 8), std::nullopt);
  EXPECT_EQ(packed_bytes(DataType::kInt4, INT64_MAX / 4 + 1), std::nullopt);
  EXPECT_EQ(packed_bytes(DataType::kString, 1), std::nullopt);
}

// --- messages --------------------------------------------------------------------------------------------------------

TEST(Errors, ContextStandsInFront) {
  EXPECT_TRUE(fails_with(ErrorCode::kInvalidModel, "model.onnx: Conv \"c\": group 0", [] {
    with_context("model.onnx",
                 [] { with_context("Conv \"c\"", [] { fail(ErrorCode::kInvalidModel, "group {}", 0); }); });
  }));
  EXPECT_EQ(with_context("x", [] { return 5; }), 5);
}

TEST(Errors, KnowTheInnermostFileAndNode) {
  try {
    in_file("model.onnx", [] {
      in_node("Loop \"outer\"", [] {
        in_node("Conv \"c\"", [] { with_context("attribute", [] { fail(ErrorCode::kInvalidModel, "no"); }); });
      });
    });
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "model.onnx: Loop \"outer\": Conv \"c\": attribute: no");
    EXPECT_EQ(e.file(), "model.onnx");
    EXPECT_EQ(e.node(), "Conv \"c\"");
  }
}

TEST(Errors, AreOneLineWhateverAModelNames) {
  EXPECT_EQ(one_line("a\nb\tc\x7f\x1b[1m \xc3\xa9"), "a?b?c??[1m \xc3\xa9");
  EXPECT_LT(one_line(std::string(1 << 20, 'x')).size(), size_t{17} << 10);
  EXPECT_TRUE(fails_with(ErrorCode::kIo, "a?b", [] { fail(ErrorCode::kIo, "{}", "a\nb"); }));
}

TEST(Errors, SuggestionsNameTheNearest) {
  const std::vector<std::string> right{"conv1.weight", "conv2.bias", "fc"};
  EXPECT_EQ(suggest("conv1.wieght", right), "\"conv1.weight\", \"conv2.bias\", \"fc\"; did you mean \"conv1.weight\"?");
  EXPECT_EQ(suggest("nothing like them", right), "\"conv1.weight\", \"conv2.bias\", \"fc\"");
  EXPECT_NE(suggest("x", std::vector<std::string>(20, "yyyy")).find(" and 12 more"), std::string::npos);
}

TEST(Errors, CodesHaveStableNames) {
  EXPECT_EQ(to_string(ErrorCode::kIo), "io");
  EXPECT_EQ(to_string(ErrorCode::kInvalidModel), "invalid_model");
  EXPECT_EQ(to_string(ErrorCode::kUnsupported), "unsupported");
  EXPECT_EQ(to_string(ErrorCode::kInvalidArgument), "invalid_argument");
  EXPECT_EQ(to_string(ErrorCode::kResourceLimit), "resource_limit");
  EXPECT_EQ(to_string(ErrorCode::kInternal), "internal");
}

}  // namespace

}  // namespace pli::test
